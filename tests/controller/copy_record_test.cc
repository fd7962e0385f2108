// SPDX-License-Identifier: Apache-2.0
//
// The Operation of a backup is where it is kept which record the backup wrote: what a worker must
// say to succeed, and what restores are held to.
#include <functional>

#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

class CopyRecordTest : public WorldTest {
 protected:
  void SetUp() override {
    world.AddBasics();
    world.AddRequest("r", 1, 1, 600);
    world.cluster.Edit(kube::kBackupSources, kNs, "orders", [](api::Json& object) {
      object["spec"]["restoreCredentialsRef"]["name"] = "login";
    });
  }
  // Runs a backup and returns its copy.
  api::CopySummary Backup(const std::string& name) {
    world.AddOperation(name, "r");
    EXPECT_TRUE(world.RunUntil([&] { return StateOf(name) == api::kSucceeded; }));
    return *world.Operation(name)->status.copy;
  }
  // Runs a Restore or Verify to its end and returns what the worker was told of the copy.
  messages::Assign Read(const std::string& name, const std::string& type,
                        const std::string& copy_id) {
    world.AddOperation(name, "r", type);
    world.cluster.Edit(kube::kOperations, kNs, name,
                       [&](api::Json& object) { object["spec"]["copyID"] = copy_id; });
    EXPECT_TRUE(world.RunUntil([&] { return api::Terminal(StateOf(name)); }));
    const FakeWorker* worker = world.WorkerOf(world.Operation(name)->status.pod);
    EXPECT_NE(worker, nullptr);
    return worker == nullptr ? messages::Assign() : worker->assign;
  }
};

// Restores are held to the record that the backup wrote: an Operation that succeeded names it.
TEST_F(CopyRecordTest, ABackupThatSucceededNamesItsRecord) {
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kSucceeded; }));
  const api::CopySummary copy = *world.Operation("a")->status.copy;
  EXPECT_EQ(copy.record_snapshot, world.next_copy.record_snapshot());
  EXPECT_EQ(copy.manifest_digest, world.next_copy.manifest_digest());
  EXPECT_EQ(copy.record_digest, world.next_copy.record_digest());

  const std::function<void(messages::CopyRecord&)> spoilers[] = {
      [](auto& c) { c.clear_record_snapshot(); }, [](auto& c) { c.set_record_snapshot("latest"); },
      [](auto& c) { c.clear_manifest_digest(); }, [](auto& c) { c.set_record_digest("none"); }};
  const messages::CopyRecord sound = world.next_copy;
  int n = 0;
  for (const auto& spoil : spoilers) {
    world.next_copy = sound;
    spoil(world.next_copy);
    const std::string name = "b" + std::to_string(n++);
    world.AddOperation(name, "r");
    ASSERT_TRUE(world.RunUntil([&] { return StateOf(name) == api::kOperationFailed; })) << name;
    EXPECT_EQ(world.Operation(name)->status.error->error_class, "Internal");
    EXPECT_FALSE(world.Operation(name)->status.copy.has_value());
  }
  // A worker of the version before does not know the record's digest.
  world.next_copy = sound;
  world.next_copy.clear_record_digest();
  world.AddOperation("old", "r");
  EXPECT_TRUE(world.RunUntil([&] { return StateOf("old") == api::kSucceeded; }));
}

// An object that has grown past what the API server takes could never be written again.
TEST_F(CopyRecordTest, AWorkersLongWordsAreCut) {
  const std::string umlauts = [] {
    std::string text = "x";
    for (int i = 0; i < 1'000'000; ++i) text += "\u00fc";
    return text;
  }();
  world.next_copy.set_position(umlauts);
  world.next_copy.set_tool_version(umlauts);
  world.next_copy.set_source_version(umlauts);
  const api::CopySummary copy = Backup("a");
  EXPECT_EQ(copy.position, umlauts.substr(0, 127)) << "a whole number of characters";
  EXPECT_EQ(copy.tool_version, copy.position);
  EXPECT_EQ(copy.source_version, copy.position);
}

TEST_F(CopyRecordTest, AReaderIsToldWhichRecordTheBackupWrote) {
  const api::CopySummary copy = Backup("a");
  world.next_copy.set_record_snapshot(std::string(64, '9'));
  Backup("b");
  for (const char* type : {api::kRestore, api::kVerify}) {
    const std::string name = "read-" + std::string(type == std::string(api::kRestore) ? "r" : "v");
    const messages::Assign assign = Read(name, type, copy.id);
    EXPECT_EQ(StateOf(name), api::kSucceeded);
    EXPECT_EQ(assign.copy_id(), copy.id);
    EXPECT_EQ(assign.known_copy().id(), copy.id);
    EXPECT_EQ(assign.known_copy().record_snapshot(), std::string(64, 'a'));
    EXPECT_EQ(assign.known_copy().record_digest(), std::string(64, 'c'));
    EXPECT_EQ(assign.known_copy().manifest_digest(), std::string(64, 'b'));
    EXPECT_EQ(assign.known_copy().data_snapshot(), std::string(64, 'd'));
  }
}

// Of a copy that another cluster made nothing is known. What a restore found is no better: it may
// have read a forged record.
TEST_F(CopyRecordTest, OnlyTheBackupsOwnOperationKnowsACopy) {
  world.next_result.mutable_copy()->set_record_snapshot(std::string(64, '6'));
  EXPECT_FALSE(Read("first", api::kRestore, "copy-foreign").has_known_copy());
  ASSERT_EQ(StateOf("first"), api::kSucceeded);
  EXPECT_EQ(world.Operation("first")->status.copy->id, "copy-foreign");
  EXPECT_FALSE(Read("second", api::kRestore, "copy-foreign").has_known_copy());
  EXPECT_EQ(StateOf("second"), api::kSucceeded);
}

// The backup itself has nothing to be held to: its record is not written yet.
TEST_F(CopyRecordTest, ABackupIsToldOfNoRecord) {
  Backup("a");
  EXPECT_FALSE(world.WorkerOf(world.Operation("a")->status.pod)->assign.has_known_copy());
}

// A worker of the version before looks records up by the copy's id alone and takes the earliest.
TEST_F(CopyRecordTest, AReaderOfAnotherRecordHasFailed) {
  const api::CopySummary copy = Backup("a");
  for (const std::string& read : {std::string(64, '9'), std::string()}) {
    world.next_result.mutable_copy()->set_record_snapshot(read);
    const std::string name = read.empty() ? "silent" : "deceived";
    Read(name, api::kRestore, copy.id);
    EXPECT_EQ(StateOf(name), api::kOperationFailed);
    const api::OperationStatus status = world.Operation(name)->status;
    EXPECT_EQ(status.error->error_class, "Mismatch");
    EXPECT_FALSE(status.error->retryable);
    EXPECT_EQ(status.attempt, 1);
    EXPECT_FALSE(status.copy.has_value());
    EXPECT_THAT(status.error->message, testing::HasSubstr("than its backup wrote"));
  }
}

}  // namespace
}  // namespace longshore::controller

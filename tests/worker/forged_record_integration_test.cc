// SPDX-License-Identifier: Apache-2.0
//
// Somebody who may append to the repository writes a record of their own under the id of a copy,
// with a real restic: whole in itself, dated before the true one, and naming other data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/base/files.h"
#include "common/base/strings.h"
#include "tests/worker/world.h"

namespace longshore::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ForgedRecordTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { repository_ = new test::RestServer(); }
  static void TearDownTestSuite() { delete repository_; }

  // Two copies, of which the second is what the forger would have restored instead of the first.
  void SetUp() override {
    Write("source/app/content", "true");
    Write("source/other/content", "forged");
    true_ = Backup("app", copy_);
    other_ = Backup("other", copy_ + "-other");
  }

  void Write(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(worker_.path(name)).parent_path());
    std::ofstream(worker_.path(name)) << content;
  }
  messages::Assign Assign(const std::string& type, const std::string& part,
                          const std::string& copy_id) {
    auto assign = test::NewAssign(type, part, copy_id, repository_->Repository());
    assign.mutable_filesystem()->set_path(worker_.settings().source_dir);
    return assign;
  }
  messages::CopyRecord Backup(const std::string& part, const std::string& copy_id) {
    const auto result = worker_.Run(Assign("Backup", part, copy_id));
    EXPECT_TRUE(result.succeeded()) << result.error_message();
    return result.copy();
  }
  std::string RecordOf(const messages::CopyRecord& copy) {
    return test::OutsideRestic(repository_->Repository(),
                               {"dump", copy.record_snapshot(), "/record.json"});
  }
  // Writes a record under copy_; returns its snapshot.
  std::string Forge(const std::string& record) {
    const std::string said = test::OutsideRestic(
        repository_->Repository(),
        {"--json", "backup", "--time", "2001-01-01 00:00:00", "--tag",
         "longshore,record,copy=" + copy_, "--stdin", "--stdin-filename", "record.json"},
        record);
    return std::string(Trim(
        test::MustRun({"jq", "-r", "select(.message_type == \"summary\") | .snapshot_id"}, said)));
  }
  std::string ForgedRecord() {
    return test::MustRun({"jq", "-c", ".copyID = \"" + copy_ + "\" | .part = \"app\""},
                         RecordOf(other_));
  }
  std::string Restored(const std::string& part) {
    const auto content = ReadFile(worker_.path("target/" + part + "/content"));
    return content ? *content : "nothing";
  }

  static test::RestServer* repository_;
  test::TestWorker worker_{"filesystem"};
  const std::string copy_ =
      std::string("copy-") + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  messages::CopyRecord true_, other_;
};
test::RestServer* ForgedRecordTest::repository_ = nullptr;

// Nobody knows which one the backup wrote: nothing is chosen, and the message says what there is.
TEST_F(ForgedRecordTest, OfUnknownOriginIsNotChosen) {
  const std::string forged = Forge(ForgedRecord());
  for (const char* type : {"Restore", "Verify"}) {
    const auto result = worker_.Run(Assign(type, "app", copy_));
    EXPECT_FALSE(result.succeeded()) << type << " gave: " << Restored("app");
    EXPECT_EQ(result.error_class(), "Mismatch");
    EXPECT_FALSE(result.retryable());
    EXPECT_THAT(result.error_message(), HasSubstr(forged.substr(0, 12)));
    EXPECT_THAT(result.error_message(), HasSubstr(true_.record_snapshot().substr(0, 12)));
    EXPECT_THAT(result.error_message(), HasSubstr("restic forget"));
  }
  EXPECT_EQ(Restored("app"), "nothing");
}

// The true one is known: it is read, and the forged one does not matter.
TEST_F(ForgedRecordTest, IsPassedOverWhenTheTrueOneIsKnown) {
  Forge(ForgedRecord());
  for (const char* type : {"Verify", "Restore"}) {
    auto assign = Assign(type, "app", copy_);
    *assign.mutable_known_copy() = true_;
    const auto result = worker_.Run(assign);
    ASSERT_TRUE(result.succeeded()) << type << ": " << result.error_message();
    EXPECT_EQ(result.copy().record_snapshot(), true_.record_snapshot());
    EXPECT_EQ(result.copy().data_snapshot(), true_.data_snapshot());
  }
  EXPECT_EQ(Restored("app"), "true");
}

// The copy's snapshot is another's in the repository's own terms, or has gone.
TEST_F(ForgedRecordTest, IsNotTakenForTheKnownOne) {
  const std::string forged = Forge(ForgedRecord());
  auto assign = Assign("Restore", "app", copy_);
  *assign.mutable_known_copy() = true_;
  assign.mutable_known_copy()->set_record_snapshot(forged);
  auto result = worker_.Run(assign);
  EXPECT_EQ(result.error_class(), "Mismatch") << result.error_message();
  EXPECT_THAT(result.error_message(), HasSubstr("is not the one that was written"));
  EXPECT_FALSE(result.retryable());

  assign.mutable_known_copy()->set_record_snapshot(std::string(64, '0'));
  result = worker_.Run(assign);
  EXPECT_EQ(result.error_class(), "Mismatch") << result.error_message();
  EXPECT_THAT(result.error_message(), HasSubstr("snapshot 000000000000 is not there, but "));
  EXPECT_THAT(result.error_message(), HasSubstr(forged.substr(0, 12)));
  EXPECT_EQ(Restored("app"), "nothing");
}

// The true record written once more changes nothing, with whatever time.
TEST_F(ForgedRecordTest, ThatIsEqualIsHarmless) {
  Forge(RecordOf(true_));
  const auto result = worker_.Run(Assign("Restore", "app", copy_));
  ASSERT_TRUE(result.succeeded()) << result.error_message();
  EXPECT_EQ(Restored("app"), "true");
}

// Nor does one that came first become a backup's result, or keep it from being made.
TEST_F(ForgedRecordTest, IsNoResultOfABackup) {
  Forge(ForgedRecord());
  auto assign = Assign("Backup", "app", copy_);
  assign.set_attempt(2);
  const auto result = worker_.Run(assign);
  ASSERT_TRUE(result.succeeded()) << result.error_message();
  EXPECT_NE(result.copy().data_snapshot(), other_.data_snapshot());
  auto restore = Assign("Restore", "app", copy_);
  *restore.mutable_known_copy() = result.copy();
  EXPECT_TRUE(worker_.Run(restore).succeeded());
  EXPECT_EQ(Restored("app"), "true");
}

}  // namespace
}  // namespace longshore::worker

// SPDX-License-Identifier: Apache-2.0
//
// Which record is read, when anybody may have written some.
#include "worker/record_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "common/base/strings.h"
#include "tests/worker/sound_record.h"

namespace longshore::worker {
namespace {

using test::SoundRecord;
using test::TextOf;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A repository in memory; every snapshot in it carries the tags that are asked for.
class FakeSnapshots : public SnapshotReader {
 public:
  // A record's snapshot, with an id made of one digit.
  std::string Add(char digit, const std::string& text, const std::string& time = "2026-01-01") {
    const std::string id(64, digit);
    found_.push_back({id, time, {}, {}});
    texts_[id] = text;
    return id;
  }
  // Not under the copy's id any more: only by its own.
  void Untag(const std::string& id) {
    std::erase_if(found_, [&](const Snapshot& snapshot) { return snapshot.id == id; });
  }
  Outcome<std::vector<Snapshot>> Find(const std::vector<std::string>& tags) override {
    asked_for = tags;
    if (find_fails) return *find_fails;
    return found_;
  }
  Outcome<std::string> ReadText(const std::string& snapshot, const std::string& path) override {
    EXPECT_EQ(path, "/record.json");
    read.push_back(snapshot);
    if (read_fails) return *read_fails;
    const auto it = texts_.find(snapshot);
    if (it == texts_.end()) return Failure{kRepository, "no matching ID found", false};
    if (it->second == kNoFile) return Failure{kRepository, "path not found", false};
    return it->second;
  }

  static constexpr char kNoFile[] = "(no such file)";
  std::vector<std::string> asked_for, read;
  std::optional<Failure> find_fails, read_fails;

 private:
  std::vector<Snapshot> found_;
  std::map<std::string, std::string> texts_;
};

// What somebody writes who wants other data to be restored: whole in itself.
Record Forged() {
  Record record = SoundRecord();
  record.data_snapshot = std::string(64, 'e');
  record.manifest.large_objects = 7;
  record.manifest_digest = ManifestDigest(record.manifest);
  return record;
}

class RecordLookupTest : public ::testing::Test {
 protected:
  RecordLookupTest() {
    assign.set_operation("op-1");
    assign.set_operation_namespace("backup");
    assign.set_attempt(2);
    assign.set_source_name("orders");
    assign.set_part("shop");
    assign.set_copy_id("copy-1");
  }
  // Tells what the Operation of the backup says of this record.
  void Know(const std::string& snapshot, const Record& record) {
    messages::CopyRecord& known = *assign.mutable_known_copy();
    known.set_id(record.copy_id);
    known.set_record_snapshot(snapshot);
    known.set_data_snapshot(record.data_snapshot);
    known.set_manifest_digest(record.manifest_digest);
    known.set_record_digest(Sha256Hex(TextOf(record)));
  }
  Outcome<FoundRecord> Read() { return ReadRecord(snapshots, assign, "postgresql"); }
  void ExpectMismatch(const std::string& what) {
    const auto found = Read();
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().error_class, kMismatch);
    EXPECT_FALSE(found.error().retryable);
    EXPECT_THAT(found.error().message,
                AllOf(HasSubstr("is not the one that was written"), HasSubstr(what),
                      HasSubstr("docs/restore-without-longshore.md")));
  }

  FakeSnapshots snapshots;
  messages::Assign assign;
};

// ---- the controller knows the copy -------------------------------------------------------------

TEST_F(RecordLookupTest, ReadsTheKnownSnapshotWhateverElseIsUnderTheId) {
  snapshots.Add('1', TextOf(Forged()), "2001-01-01");
  const std::string written = snapshots.Add('2', TextOf(SoundRecord()));
  snapshots.Add('3', FakeSnapshots::kNoFile);
  Know(written, SoundRecord());
  const auto found = Read();
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->snapshot, written);
  EXPECT_EQ(found->record.data_snapshot, SoundRecord().data_snapshot);
  EXPECT_EQ(found->digest, Sha256Hex(TextOf(SoundRecord())));
  EXPECT_EQ(snapshots.read, std::vector<std::string>{written});
}

TEST_F(RecordLookupTest, ReadsTheKnownSnapshotThoughTheListCannotBeHad) {
  Know(snapshots.Add('2', TextOf(SoundRecord())), SoundRecord());
  snapshots.find_fails = Failure{kUnreachable, "away", true};
  EXPECT_TRUE(Read().has_value());
}

// Each thing that the Operation says is insisted on, also where it says nothing of the others: a
// copy of the version before has no digest of the record.
TEST_F(RecordLookupTest, InsistsOnEachThingThatIsKnown) {
  const std::string snapshot = snapshots.Add('1', TextOf(Forged()));
  messages::CopyRecord& known = *assign.mutable_known_copy();
  known.set_record_snapshot(snapshot);
  EXPECT_TRUE(Read().has_value());
  known.set_record_digest(Sha256Hex(TextOf(SoundRecord())));
  ExpectMismatch("its digest is " + Sha256Hex(TextOf(Forged())).substr(0, 12));
  known.clear_record_digest();
  known.set_manifest_digest(SoundRecord().manifest_digest);
  ExpectMismatch("its manifest's digest is " + Forged().manifest_digest.substr(0, 12));
  known.clear_manifest_digest();
  known.set_data_snapshot(SoundRecord().data_snapshot);
  ExpectMismatch("its data snapshot is eeeeeeeeeeee");
}

TEST_F(RecordLookupTest, SaysWhenTheKnownSnapshotIsGone) {
  Know(std::string(64, '2'), SoundRecord());
  const auto none = Read();
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().error_class, kNotFound);
  EXPECT_FALSE(none.error().retryable);
  snapshots.Add('1', TextOf(Forged()), "2001-01-01");
  ExpectMismatch("snapshot 222222222222 is not there, but 111111111111 (2001-01-01)");
}

// Damage and absence of the repository are not taken for a forgery.
TEST_F(RecordLookupTest, TellsOtherFailuresAsTheyAre) {
  Know(snapshots.Add('2', TextOf(SoundRecord())), SoundRecord());
  snapshots.read_fails = Failure{kRepository, "ciphertext verification failed", false};
  EXPECT_EQ(Read().error().message, "ciphertext verification failed");
  snapshots.read_fails = Failure{kUnreachable, "away", true};
  EXPECT_TRUE(Read().error().retryable);
}

TEST_F(RecordLookupTest, ReadsTheKnownSnapshotByItsOwnId) {
  const std::string snapshot = snapshots.Add('2', TextOf(SoundRecord()));
  snapshots.Untag(snapshot);
  Know(snapshot, SoundRecord());
  EXPECT_TRUE(Read().has_value());
  assign.mutable_known_copy()->set_record_snapshot("latest");
  EXPECT_EQ(Read().error().error_class, kConfiguration);
}

TEST_F(RecordLookupTest, RefusesTheRecordOfAnotherCopyOrKind) {
  Record record = SoundRecord();
  record.copy_id = "copy-2";
  Know(snapshots.Add('2', TextOf(record)), record);
  EXPECT_THAT(Read().error().message, HasSubstr("the record of another copy"));
  record = SoundRecord();
  record.kind = "filesystem";
  Know(snapshots.Add('3', TextOf(record)), record);
  EXPECT_EQ(Read().error().error_class, kConfiguration);
}

// ---- nobody knows the copy ---------------------------------------------------------------------

TEST_F(RecordLookupTest, LooksUpTheOnlyRecordOfAnUnknownCopy) {
  EXPECT_EQ(Read().error().error_class, kNotFound);
  const std::string snapshot = snapshots.Add('2', TextOf(SoundRecord()));
  const auto found = Read();
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->snapshot, snapshot);
  EXPECT_THAT(snapshots.asked_for, ::testing::ElementsAre("longshore", "record", "copy=copy-1"));
}

TEST_F(RecordLookupTest, TakesRecordsOfAnUnknownCopyThatAreTheSame) {
  snapshots.Add('1', TextOf(SoundRecord()), "2001-01-01");
  snapshots.Add('2', TextOf(SoundRecord()));
  EXPECT_TRUE(Read().has_value());
}

TEST_F(RecordLookupTest, ChoosesNoneOfRecordsThatDiffer) {
  for (const std::string& other :
       {TextOf(Forged()), std::string("{"), std::string(FakeSnapshots::kNoFile)}) {
    for (const bool other_first : {true, false}) {
      snapshots = FakeSnapshots();
      if (other_first) snapshots.Add('1', other, "2001-01-01");
      snapshots.Add('2', TextOf(SoundRecord()));
      if (!other_first) snapshots.Add('1', other, "2001-01-01");
      const auto found = Read();
      ASSERT_FALSE(found.has_value()) << other;
      EXPECT_EQ(found.error().error_class, kMismatch);
      EXPECT_FALSE(found.error().retryable);
      EXPECT_THAT(found.error().message,
                  AllOf(HasSubstr("2 records"), HasSubstr("111111111111 (2001-01-01)"),
                        HasSubstr("222222222222"), HasSubstr("restic forget")));
    }
  }
}

// Whoever floods an id with records must not have them all read.
TEST_F(RecordLookupTest, ReadsNoneOfVeryManyRecords) {
  for (const char digit : std::string("0123456789abcdef"))
    snapshots.Add(digit, TextOf(SoundRecord()));
  EXPECT_THAT(Read().error().message, AllOf(HasSubstr("16 records"), HasSubstr("…")));
  EXPECT_TRUE(snapshots.read.empty());
}

// ---- a backup that is tried again --------------------------------------------------------------

TEST_F(RecordLookupTest, TakesTheRecordOfAnEarlierAttempt) {
  const auto none = FindEarlierRecord(snapshots, assign, "postgresql");
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->has_value());
  snapshots.Add('2', TextOf(SoundRecord()));
  const auto found = FindEarlierRecord(snapshots, assign, "postgresql");
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->snapshot, std::string(64, '2'));
}

// Another's record neither becomes this backup's result nor keeps it from being made.
TEST_F(RecordLookupTest, CopiesAnewWhatAnEarlierAttemptDidNotCertainlyWrite) {
  const std::function<void(Record&)> spoilers[] = {
      [](Record& r) { r.operation = "op-2"; },   [](Record& r) { r.operation_namespace = "other"; },
      [](Record& r) { r.source = "customers"; }, [](Record& r) { r.part = "other"; },
      [](Record& r) { r.kind = "filesystem"; },  [](Record& r) { r.attempt = 3; },
      [](Record& r) { r.attempt = 0; },          [](Record& r) { r.data_path = "-x"; },
      [](Record& r) { r.copy_id = "copy-2"; }};
  for (const auto& spoil : spoilers) {
    Record record = SoundRecord();
    spoil(record);
    snapshots = FakeSnapshots();
    snapshots.Add('1', TextOf(record));
    const auto found = FindEarlierRecord(snapshots, assign, "postgresql");
    ASSERT_TRUE(found.has_value()) << TextOf(record);
    EXPECT_FALSE(found->has_value()) << TextOf(record);
  }
  snapshots = FakeSnapshots();
  snapshots.Add('1', TextOf(Forged()));
  snapshots.Add('2', TextOf(SoundRecord()));
  EXPECT_FALSE(FindEarlierRecord(snapshots, assign, "postgresql")->has_value());
  snapshots = FakeSnapshots();
  snapshots.Add('1', FakeSnapshots::kNoFile);
  EXPECT_FALSE(FindEarlierRecord(snapshots, assign, "postgresql")->has_value());
}

TEST_F(RecordLookupTest, DoesNotCopyAnewWhatItCouldNotAskFor) {
  snapshots.Add('2', TextOf(SoundRecord()));
  snapshots.read_fails = Failure{kUnreachable, "away", true};
  EXPECT_FALSE(FindEarlierRecord(snapshots, assign, "postgresql").has_value());
  snapshots.find_fails = Failure{kAuthentication, "no", false};
  EXPECT_FALSE(FindEarlierRecord(snapshots, assign, "postgresql").has_value());
}

}  // namespace
}  // namespace longshore::worker

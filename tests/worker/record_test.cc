// SPDX-License-Identifier: Apache-2.0
#include "worker/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/worker/sound_record.h"

namespace longshore::worker {
namespace {

using test::SoundRecord;
using test::TextOf;
using ::testing::HasSubstr;

TEST(RecordTest, ReadsWhatIsWritten) {
  const auto read = ParseRecord(TextOf(SoundRecord()));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(TextOf(*read), TextOf(SoundRecord()));
}

// Legal names of parts and folders, whatever they look like.
TEST(RecordTest, TakesOddNames) {
  Record record = SoundRecord();
  record.part = "--target=/";
  record.data_path = "/source/..a/b.../-c/ d:e";
  EXPECT_TRUE(ParseRecord(TextOf(record)).has_value());
}

TEST(RecordTest, RefusesWhatIsNoRecordOrNotItself) {
  Record record = SoundRecord();
  record.manifest.large_objects = 1;  // the digest is that of the manifest before
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"),
                                  std::string(R"({"copyID": 1})"), TextOf(record)}) {
    const auto read = ParseRecord(text);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().error_class, kMismatch);
    EXPECT_FALSE(read.error().retryable);
  }
}

struct UnfitCase {
  const char* name;
  const char* field;
  std::function<void(Record&)> spoil;
};
class UnfitRecordTest : public ::testing::TestWithParam<UnfitCase> {};

// A record that anybody may have written names what restic is told to read.
TEST_P(UnfitRecordTest, IsRefusedByField) {
  Record record = SoundRecord();
  GetParam().spoil(record);
  const auto read = ParseRecord(TextOf(record));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().error_class, kMismatch);
  EXPECT_FALSE(read.error().retryable);
  EXPECT_THAT(read.error().message, HasSubstr("field " + std::string(GetParam().field) + ":"));
}

INSTANTIATE_TEST_SUITE_P(
    Records, UnfitRecordTest,
    ::testing::Values(
        UnfitCase{"Format", "format", [](Record& r) { r.format = "longshore.dev/copy-record/v2"; }},
        UnfitCase{"SnapshotEmpty", "dataSnapshot", [](Record& r) { r.data_snapshot = ""; }},
        UnfitCase{"SnapshotByWord", "dataSnapshot", [](Record& r) { r.data_snapshot = "latest"; }},
        UnfitCase{"SnapshotAbbreviated", "dataSnapshot",
                  [](Record& r) { r.data_snapshot = "0123abcd"; }},
        UnfitCase{"SnapshotUpperCase", "dataSnapshot",
                  [](Record& r) { r.data_snapshot = std::string(64, 'D'); }},
        UnfitCase{"SnapshotWithPath", "dataSnapshot",
                  [](Record& r) { r.data_snapshot = std::string(64, 'd') + ":/"; }},
        UnfitCase{"SnapshotOption", "dataSnapshot", [](Record& r) { r.data_snapshot = "--help"; }},
        UnfitCase{"PathEmpty", "dataPath", [](Record& r) { r.data_path = ""; }},
        UnfitCase{"PathRelative", "dataPath", [](Record& r) { r.data_path = "shop.dump"; }},
        UnfitCase{"PathOption", "dataPath", [](Record& r) { r.data_path = "--target=/"; }},
        UnfitCase{"PathUpwards", "dataPath", [](Record& r) { r.data_path = "/a/../b"; }},
        UnfitCase{"PathEndsUpwards", "dataPath", [](Record& r) { r.data_path = "/a/.."; }},
        UnfitCase{"PathWithLineBreak", "dataPath", [](Record& r) { r.data_path = "/a\nb"; }},
        UnfitCase{"PathWithNul", "dataPath",
                  [](Record& r) { r.data_path = std::string("/a\0b", 4); }},
        UnfitCase{"CopyOption", "copyID", [](Record& r) { r.copy_id = "-x"; }},
        UnfitCase{"OperationOption", "operation", [](Record& r) { r.operation = "-x"; }},
        UnfitCase{"NamespaceOption", "operationNamespace",
                  [](Record& r) { r.operation_namespace = "-x"; }},
        UnfitCase{"KindOption", "kind", [](Record& r) { r.kind = "-x"; }},
        UnfitCase{"SourceOption", "source", [](Record& r) { r.source = "-x"; }},
        UnfitCase{"TimeOption", "time", [](Record& r) { r.time = "-x"; }},
        UnfitCase{"PositionOption", "position", [](Record& r) { r.position = "-x"; }},
        UnfitCase{"VersionOption", "sourceVersion", [](Record& r) { r.source_version = "-x"; }},
        UnfitCase{"DigestOption", "manifestDigest", [](Record& r) { r.manifest_digest = "-x"; }},
        UnfitCase{"ToolOption", "tools", [](Record& r) { r.tools["-x"] = "1"; }},
        UnfitCase{"ToolVersionOption", "tools", [](Record& r) { r.tools["x"] = "-1"; }}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace longshore::worker

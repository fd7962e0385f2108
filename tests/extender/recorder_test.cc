// SPDX-License-Identifier: Apache-2.0
//
// What is kept of calls, and what is not.
#include "extender/recorder.h"

#include <sys/stat.h>

#include "tests/extender/recorded_calls.h"

namespace longshore::extender {
namespace {

using placement::MakeSource;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using RecorderTest = RecordedCalls;

TEST_F(RecorderTest, OnlyNodesThatWereLookedAtAreRecorded) {
  service_->Prioritize(RequestBody({"n4"}));
  const Recording recording = Last();
  ASSERT_THAT(recording.cluster.nodes, SizeIs(2));  // and that of the data
  EXPECT_EQ(recording.cluster.nodes[0].name, "n1");
  EXPECT_EQ(recording.version, "1.2.3");
}

TEST_F(RecorderTest, FilesAreOfTheirOwnerOnlyAndNamedByNobodyElse) {
  std::string body = RequestBody(kAll);
  body.replace(body.find("p-u1"), 4, "../../etc/X");
  service_->Filter(body);
  const auto files = Files();
  ASSERT_THAT(files, SizeIs(1));
  EXPECT_THAT(files[0], HasSubstr("-filter-backup.______etc__.recording"));
  struct stat status{};
  ASSERT_EQ(::stat(files[0].c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
}

TEST_F(RecorderTest, TheOldestFilesMakeRoomForNewOnes) {
  StartWith({.max_files = 3});
  for (int i = 0; i < 5; ++i) {
    service_->Filter(RequestBody(kAll, "u" + std::to_string(i)));
    recorder_->Flush();
  }
  ASSERT_THAT(Files(), SizeIs(3));
  EXPECT_EQ(ReadRecording(*ReadFile(Files()[0]))->pod_uid, "u2");
  EXPECT_EQ(Count("longshore_extender_recordings_total"), 5);
  // Also those that an earlier process left.
  const uint64_t size = std::filesystem::file_size(Files()[0]);
  StartWith({.max_bytes = 2 * size + size / 2});
  service_->Filter(RequestBody(kAll, "u5"));
  EXPECT_THAT(Files(), SizeIs(2));
}

TEST_F(RecorderTest, CallsThatAreTooLargeAreCountedAndNotRecorded) {
  StartWith({.max_call_bytes = 100});
  service_->Filter(RequestBody(kAll));
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_EQ(Count("longshore_extender_recordings_dropped_total"), 1);
}

TEST_F(RecorderTest, PodsOfOthersAreNotRecorded) {
  service_->Filter(RequestBody(kAll, "u1", ""));
  service_->Filter("{\"Pod\":");
  world_.cluster.is_synced = false;
  service_->Filter(RequestBody(kAll));
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_EQ(Count("longshore_extender_recordings_dropped_total"), 0);
}

// What others wrote into the source's metadata is nobody's business.
TEST_F(RecorderTest, OfTheSourceOnlyTheSpecIsRecorded) {
  auto source = MakeSource({.node_name = "n1"});
  source.metadata.annotations["note"] = "s3cret";
  world_.cluster.SetSource(source);
  service_->Filter(RequestBody(kAll));
  EXPECT_EQ(ReadFile(Files()[0])->find("s3cret"), std::string::npos);
}

TEST_F(RecorderTest, WhatIsNoRecordingIsRefused) {
  service_->Filter(RequestBody(kAll));
  const std::string file = *ReadFile(Files()[0]);
  EXPECT_TRUE(ReadRecording(file).has_value());
  for (const size_t length : {size_t{0}, size_t{10}, file.size() / 2, file.size() - 1}) {
    EXPECT_FALSE(ReadRecording(file.substr(0, length)).has_value()) << length;
  }
  std::string newer = file;
  newer.replace(newer.find("\"format\":1"), 10, "\"format\":2");
  EXPECT_THAT(ReadRecording(newer).error().message, HasSubstr("format: 2 is unknown"));
  EXPECT_FALSE(ReadRecording("{}\n").has_value());
  EXPECT_FALSE(ReadRecording("[]\n\n\n").has_value());
}

// A recording may come from anybody: none of its numbers makes a sum overflow.
TEST_F(RecorderTest, NumbersThatNoClusterHasAreRefused) {
  world_.pressure.Set({{"n1", {.cpu_used_milli = 1, .age_ms = 0}}}, world_.clock.now);
  service_->Prioritize(RequestBody(kAll, "u0"));
  service_->Filter(RequestBody(kAll));
  const Recording sound = *ReadRecording(*ReadFile(Files().back()));
  const auto refused = [&](auto change) {
    Recording changed = sound;
    change(changed);
    return !ReadRecording(WriteRecording(changed)).has_value();
  };
  EXPECT_FALSE(refused([](Recording&) {}));
  EXPECT_TRUE(refused([](Recording& r) { r.cluster.nodes[0].cpu_requested_milli = INT64_MIN; }));
  EXPECT_TRUE(refused([](Recording& r) { r.cluster.nodes[0].pods = INT32_MAX; }));
  EXPECT_TRUE(refused([](Recording& r) { r.pressure[0].pressure.age_ms = INT64_MAX; }));
  EXPECT_TRUE(refused([](Recording& r) { r.pressure_elapsed_ms = INT64_MAX; }));
  EXPECT_TRUE(refused([](Recording& r) { r.reserved["n1"] = INT32_MAX; }));
  EXPECT_TRUE(refused([](Recording& r) { r.judged = -1; }));
}

}  // namespace
}  // namespace longshore::extender

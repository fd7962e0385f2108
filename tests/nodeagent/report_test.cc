// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace longshore::nodeagent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

PodSample Pod(const std::string& uid, uint64_t cpu_ns, bool final = false) {
  PodSample pod;
  pod.uid = uid;
  pod.usage.counters.cpu_ns = cpu_ns;
  pod.usage.counters.run_queue_wait_ns = 2;
  pod.usage.counters.read_bytes = 3;
  pod.usage.counters.write_bytes = 4;
  pod.usage.counters.read_ops = 5;
  pod.usage.counters.write_ops = 6;
  pod.final = final;
  pod.usage.memory = {.usage_bytes = 7, .working_set_bytes = 8};
  return pod;
}

Sample At(int64_t milliseconds, std::vector<PodSample> pods) {
  Sample sample;
  sample.end = MonotonicTime(std::chrono::milliseconds(milliseconds));
  sample.start = sample.end - std::chrono::seconds(1);
  sample.wall_end = WallTime(std::chrono::seconds(1'800'000'000));
  sample.pods = std::move(pods);
  sample.node.cpu_ns = 1000;
  sample.node.cpu_capacity_milli = 2000;
  sample.node.memory_available_bytes = 11;
  sample.node.memory_capacity_bytes = 12;
  return sample;
}

TEST(RenderTest, RatesAreBetweenTheSamplesAndTheBusiestComesFirst) {
  const Sample before = At(1000, {Pod("idle", 100), Pod("busy", 1'000'000'000)});
  const Sample now = At(3000, {Pod("idle", 100), Pod("busy", 2'000'000'000)});
  const auto json = nlohmann::json::parse(RenderJson(before, now));
  ASSERT_EQ(json["pods"].size(), 2u);
  EXPECT_EQ(json["pods"][0]["uid"], "busy");
  EXPECT_DOUBLE_EQ(json["pods"][0]["cpuCores"].get<double>(), 0.5);
  EXPECT_EQ(json["pods"][0]["cpuNanoseconds"], 2'000'000'000u);
  EXPECT_DOUBLE_EQ(json["pods"][1]["cpuCores"].get<double>(), 0.0);
  EXPECT_TRUE(json["node"]["pressure"].is_null());
  EXPECT_THAT(RenderTable(before, now), HasSubstr("busy"));
  EXPECT_THAT(RenderTable(before, now), HasSubstr("500m"));
}

// A new pod has used all of its time since it was made; a counter that fell gives no negative rate.
TEST(RenderTest, NewPodsCountFromZeroAndNoRateIsNegative) {
  const Sample before = At(1000, {Pod("fell", 5'000'000'000)});
  const Sample now = At(2000, {Pod("fell", 1), Pod("new", 250'000'000, true)});
  const auto json = nlohmann::json::parse(RenderJson(before, now));
  EXPECT_EQ(json["pods"][0]["uid"], "new");
  EXPECT_DOUBLE_EQ(json["pods"][0]["cpuCores"].get<double>(), 0.25);
  EXPECT_DOUBLE_EQ(json["pods"][1]["cpuCores"].get<double>(), 0.0);
  const std::string table = RenderTable(before, now);
  EXPECT_THAT(table, HasSubstr("(gone)"));
  EXPECT_THAT(table, Not(HasSubstr("-")));
}

}  // namespace
}  // namespace longshore::nodeagent

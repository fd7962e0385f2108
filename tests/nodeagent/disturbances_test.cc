// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/disturbances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::nodeagent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DisturbancesTest : public ::testing::Test {
 protected:
  void Next(std::vector<Preemption> preemptions) {
    Sample sample;
    sample.pods = pods_;
    sample.preemptions = std::move(preemptions);
    sample.node.devices[{8, 0}] = {.name = "sda"};
    disturbances_.Follow(has_before_ ? &before_ : nullptr, sample);
    before_ = std::move(sample);
    has_before_ = true;
  }
  std::string Text() {
    Exposition out;
    disturbances_.AddTo(out, before_);
    return out.Take();
  }

  std::vector<PodSample> pods_ = {{.uid = "db", .watched = true}, {.uid = "web"}};
  Disturbances disturbances_{2};
  Sample before_;
  bool has_before_ = false;
};

constexpr char kCount[] = "longshore_nodeagent_watched_pod_preemptions_total{pod_uid=\"db\"} ";

// All offenders together; a pair that vanishes with its offender takes nothing back.
TEST_F(DisturbancesTest, WhatAnOffenderDidStaysWhenItEnds) {
  Next({{"db", "", 5, 1'000'000'000}, {"db", "web", 7, 500'000'000}});
  EXPECT_THAT(Text(), HasSubstr(std::string(kCount) + "12\n"));
  EXPECT_THAT(Text(), HasSubstr("preemptor_cpu_seconds_total{pod_uid=\"db\"} 1.5\n"));
  Next({{"db", "", 6, 1'000'000'000}});
  EXPECT_THAT(Text(), HasSubstr(std::string(kCount) + "13\n"));
  Next({{"db", "", 6, 1'000'000'000}, {"db", "other", 2, 0}});
  EXPECT_THAT(Text(), HasSubstr(std::string(kCount) + "15\n"));
}

// What isn't watched has no series, and a pod's go with it.
TEST_F(DisturbancesTest, OnlyWatchedPodsThatLiveAreShown) {
  Next({{"db", "web", 1, 1}});
  EXPECT_THAT(Text(), Not(HasSubstr("web")));
  pods_[0].final = true;
  Next({});
  EXPECT_THAT(Text(), Not(HasSubstr("db")));
}

// Its part of each device that it uses, by the device's name, of the busiest few.
TEST_F(DisturbancesTest, ItsPartOfADeviceIsShown) {
  pods_[0].usage.devices[{8, 0}] = {.read_bytes = 3, .write_bytes = 4};
  for (uint32_t minor = 1; minor < 9; ++minor) pods_[0].usage.devices[{9, minor}] = {};
  Next({});
  EXPECT_THAT(Text(), HasSubstr("device_write_bytes_total{pod_uid=\"db\",device=\"sda\"} 4\n"));
  EXPECT_THAT(Text(), Not(HasSubstr("9:8")));
}

TEST_F(DisturbancesTest, WhatItWaitedForIsShownAsHistograms) {
  Usage& usage = pods_[0].usage;
  usage.counters.run_queue_wait_ns = 5'000;
  usage.counters.run_queue_wait.buckets = {0, 2};
  usage.counters.fsync_ns = 2'000'000'000;
  usage.counters.fsync.buckets.back() = 1;
  usage.devices[{8, 0}].device_ns = 30'000;
  usage.devices[{8, 0}].read.buckets = {0, 0, 0, 1};
  usage.devices[{8, 0}].flush.buckets = {0, 0, 0, 0, 1};
  Next({});
  const std::string text = Text(), name = "longshore_nodeagent_watched_pod_";
  EXPECT_THAT(text,
              HasSubstr(name + "run_queue_wait_seconds_bucket{pod_uid=\"db\",le=\"2e-06\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr(name + "run_queue_wait_seconds_bucket{pod_uid=\"db\",le=\"4e-06\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(name + "run_queue_wait_seconds_sum{pod_uid=\"db\"} 5e-06\n"));
  EXPECT_THAT(text, HasSubstr(name + "fsync_seconds_bucket{pod_uid=\"db\",le=\"0.524288\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(name + "fsync_seconds_bucket{pod_uid=\"db\",le=\"+Inf\"} 1\n"));
  const std::string labels = "{pod_uid=\"db\",device=\"sda\"} ";
  EXPECT_THAT(text, HasSubstr(name + "device_latency_seconds_count" + labels + "2\n"));
  EXPECT_THAT(text, HasSubstr(name + "device_latency_seconds_sum" + labels + "3e-05\n"));
}

// The number of series has a bound.
TEST_F(DisturbancesTest, NoMorePodsAreShownThanAllowed) {
  pods_ = {
      {.uid = "a", .watched = true}, {.uid = "b", .watched = true}, {.uid = "c", .watched = true}};
  Next({});
  EXPECT_THAT(Text(), HasSubstr("\"b\""));
  EXPECT_THAT(Text(), Not(HasSubstr("\"c\"")));
}

}  // namespace
}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// Did the last growth bring anything? Evaluations in a row, each given the memory of the one
// before.
#include "common/scaling/growth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/scaling/made_up.h"

namespace longshore::scaling {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

// So many busy pods, hot or not, that send so many bytes a second together; settled 20 s ago.
ScalingInput Crew(int pods, double bytes, bool hot, GrowthMemory memory = {}) {
  std::vector<PodUsage> crew;
  for (int i = 0; i < pods; ++i) {
    auto samples = Samples(std::vector<double>(20, hot ? 130 : 50));
    for (Sample& sample : samples) {
      sample.set(Signal::kReadBytes, 0);
      sample.set(Signal::kWriteBytes, 0);
      sample.set(Signal::kNetworkBytes, bytes / pods);
    }
    crew.push_back(Pod("p" + std::to_string(i), std::move(samples), false, i));
  }
  ScalingInput in = Input(std::move(crew));
  in.settled_since = kNow - seconds(20);
  in.growth = std::move(memory);
  return in;
}

// Two pods with 100 MB/s together have become three.
GrowthMemory Grown() {
  const auto verdict = EvaluateScaling(Crew(2, 100e6, true));
  EXPECT_EQ(verdict.decision.to, 3);
  EXPECT_TRUE(verdict.growth.trial.has_value());
  return verdict.growth;
}

TEST(GrowthTest, WhatPaysGoesOn) {
  const auto verdict = EvaluateScaling(Crew(3, 106e6, true, Grown()));
  EXPECT_EQ(verdict.decision.to, 4) << "6 MB/s are 12 % of what a pod brought before";
  EXPECT_FALSE(verdict.limit);
}

TEST(GrowthTest, WhatBringsNextToNothingStopsIt) {
  const auto verdict = EvaluateScaling(Crew(3, 104e6, true, Grown()));
  EXPECT_FALSE(verdict.change);
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->reason, "GrowthFutile");
  EXPECT_THAT(verdict.limit->message, HasSubstr("from 2 to 3 pods"));
}

// A pod has come, and no work for it: another one would wait beside it.
TEST(GrowthTest, NothingGrowsBesideAPodWithoutWork) {
  auto in = Input(
      {Pod("works", Samples(kHot), /*idle=*/false), Pod("free", Samples({5, 5, 5, 5}), true, 1)});
  const auto verdict = EvaluateScaling(in);
  EXPECT_FALSE(verdict.change);
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->reason, "GrowthFutile");
  EXPECT_THAT(verdict.limit->message, HasSubstr("free is free and no operation waits"));
  in.queued = 1;
  in.work_waiting = true;
  EXPECT_EQ(EvaluateScaling(in).decision.to, 3) << "an operation waits, whatever keeps it";
  in.queued = 0;
  in.work_waiting = false;
  in.demand = 1;
  EXPECT_EQ(EvaluateScaling(in).decision.to, 3) << "more is announced";
}

// Who works the pods by itself makes no operations: whether one is free, we cannot know.
TEST(GrowthTest, CrewsWithoutAnyOperationGrowByWhatTheyUse) {
  const auto in = Input({Pod("a", Samples(kHot)), Pod("b", Samples({5, 5, 5, 5}), true, 1)});
  EXPECT_EQ(EvaluateScaling(in).decision.to, 3);
}

TEST(GrowthTest, NothingIsJudgedBeforeItWasMeasured) {
  struct Case {
    const char* name;
    std::function<void(ScalingInput&)> change;
  };
  for (const Case& c : {
           Case{"settled just now", [](auto& in) { in.settled_since = kNow - seconds(8); }},
           Case{"a pod has no work", [](auto& in) { in.pods[2].idle = true; }},
           Case{"its work began just now", [](auto& in) { in.pods[2].age = seconds(5); }},
           Case{"a pod is on its way", [](auto& in) { in.pending = 1; }},
           Case{"an unknown second",
                [](auto& in) { in.pods[0].samples[15].values = Sample::AllUnknown(); }},
       }) {
    ScalingInput in = Crew(3, 100e6, false, Grown());
    c.change(in);
    const auto verdict = EvaluateScaling(in);
    EXPECT_FALSE(verdict.limit) << c.name;
    EXPECT_TRUE(verdict.growth.trial) << c.name << ": it will be judged later";
  }
}

TEST(GrowthTest, NoBytesBeforeSayNothing) {
  EXPECT_FALSE(EvaluateScaling(Crew(2, 0, true)).growth.trial);
}

// What is far over its threshold is answered after two samples.
TEST(GrowthTest, TheFastestGrowthIsJudgedToo) {
  ScalingInput in = Crew(2, 100e6, true);
  in.settled_since = kNow - seconds(2);
  for (Sample& sample : in.pods[0].samples) sample.set(Signal::kCpu, 180);
  const auto verdict = EvaluateScaling(in);
  ASSERT_TRUE(verdict.change);
  ASSERT_TRUE(verdict.growth.trial);
  EXPECT_EQ(verdict.growth.trial->rate, 100e6);
}

TEST(GrowthTest, StepsThatFollowFastAreJudgedTogether) {
  ScalingInput in = Crew(3, 150e6, true, Grown());
  in.settled_since = kNow - seconds(3);
  in.policy.rules[0].window = seconds(1);
  in.pods[2].age = seconds(1);
  const auto verdict = EvaluateScaling(in);
  ASSERT_EQ(verdict.decision.to, 4);
  ASSERT_TRUE(verdict.growth.trial);
  EXPECT_EQ(verdict.growth.trial->from, 2);
  EXPECT_EQ(verdict.growth.trial->to, 4);
}

class FutileTest : public testing::Test {
 protected:
  const GrowthMemory memory = EvaluateScaling(Crew(3, 100e6, true, Grown())).growth;
};

TEST_F(FutileTest, TheExtraPodGoesWhenItIsFreeEvenWhileWorkWaits) {
  ScalingInput in = Crew(3, 100e6, true, memory);
  in.work_waiting = true;
  EXPECT_FALSE(EvaluateScaling(in).change) << "busy pods are never taken away";
  in.pods[1].idle = true;
  in.pods[1].age = seconds(0);
  const auto verdict = EvaluateScaling(in);
  ASSERT_TRUE(verdict.change);
  EXPECT_EQ(verdict.victim, "p1");
  EXPECT_EQ(verdict.decision.to, 2);
  EXPECT_EQ(verdict.decision.cause, api::kCauseFutile);
  ASSERT_EQ(verdict.decision.inputs.size(), 1u);
  EXPECT_EQ(verdict.decision.inputs[0].pod, "p1");
  EXPECT_EQ(verdict.decision.inputs[0].signal, "bytesMoved");
  EXPECT_EQ(verdict.decision.inputs[0].threshold, "105000000");
  // One, not one after the other.
  in = Crew(2, 100e6, true, verdict.growth);
  in.pods[0].idle = true;
  EXPECT_FALSE(EvaluateScaling(in).change);
}

TEST_F(FutileTest, HoldsAPodOfWhichNothingIsKnownAndThoseBelowMin) {
  ScalingInput in = Crew(3, 100e6, true, memory);
  in.pods[1].idle = true;
  in.min = 3;
  EXPECT_FALSE(EvaluateScaling(in).change);
  in.min = 0;
  in.pods[1].samples.clear();
  EXPECT_FALSE(EvaluateScaling(in).change);
}

TEST_F(FutileTest, HoldsForFiveMinutesWhoeverAsks) {
  ScalingInput in = Crew(2, 100e6, true, memory);
  in.policy.follow_demand = true;
  in.queued = 5;
  EXPECT_FALSE(EvaluateScaling(in).change);
  EXPECT_EQ(EvaluateScaling(in).limit->reason, "GrowthFutile");
  in.growth.futile_until = kNow;  // five minutes later
  EXPECT_TRUE(EvaluateScaling(in).change);
}

TEST_F(FutileTest, IsSaidWhileItHoldsEvenIfNobodyWantsMore) {
  const auto verdict = EvaluateScaling(Crew(3, 100e6, false, memory));
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->reason, "GrowthFutile");
  EXPECT_EQ(*verdict.growth.futile_until, kNow + minutes(5));
}

}  // namespace
}  // namespace longshore::scaling

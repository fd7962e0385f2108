// SPDX-License-Identifier: Apache-2.0
//
// What an evaluation saw, in words.
#include "common/scaling/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/scaling/made_up.h"

namespace longshore::scaling {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;

Explanation Of(const ScalingInput& in) { return Explain(in, EvaluateScaling(in)); }

TEST(ExplainTest, ShowsHowFarEachSignalIsFromDeciding) {
  ScalingInput in = Input({Pod("hot", Samples({10, 130, 140}), false), Pod("cold", Samples(kCold)),
                           Pod("silent", Samples({5}, seconds(9)))});
  in.pods[1].samples[12].set(Signal::kCpu, 31);
  const Explanation now = Of(in);
  ASSERT_EQ(now.pods.size(), 3u);
  EXPECT_TRUE(now.pods[0].busy);
  EXPECT_EQ(now.pods[0].signals[0].value, "140m");
  EXPECT_EQ(now.pods[0].signals[0].up, "120m");
  EXPECT_EQ(now.pods[0].signals[0].over_seconds, 2);
  EXPECT_EQ(now.pods[0].signals[0].window_seconds, 3);
  EXPECT_EQ(now.pods[1].idle_seconds, 7) << "since the sample that was over down";
  EXPECT_EQ(now.pods[2].signals[0].value, "") << "unknown, not zero";
  EXPECT_EQ(now.pods[2].idle_seconds, 0);
  EXPECT_THAT(now.shrink, Contains(HasSubstr("nothing is known of silent")));
}

TEST(ExplainTest, IsNoLongerIdleThanWithoutWork) {
  ScalingInput in = Input({Pod("a", Samples(kCold))});
  in.pods[0].age = seconds(4);
  EXPECT_EQ(Of(in).pods[0].idle_seconds, 4);
}

TEST(ExplainTest, NamesWhatHoldsGrowthAndShrinking) {
  ScalingInput in = Input({Pod("a", Samples(kHot), false)});
  in.max = 1;
  in.min = 1;
  in.work_waiting = true;
  const Explanation now = Of(in);
  EXPECT_THAT(now.growth, Contains(HasSubstr("MaxPods: spec.pods.max is 1")));
  EXPECT_THAT(now.growth, Contains(HasSubstr("cpu of any pod is over 120m for 3 s")));
  EXPECT_THAT(now.shrink, Contains(HasSubstr("spec.pods.min of 1")));
  EXPECT_THAT(now.shrink, Contains(HasSubstr("operations wait")));
  in.pending = 2;
  EXPECT_THAT(Of(in).growth, Contains(HasSubstr("2 pods are starting or leaving")));
}

TEST(ExplainTest, SaysWhatWouldMakeItGrow) {
  ScalingInput in = Input({Pod("a", Samples(kCold))});
  in.policy.rules = {{Signal::kCpu, 120, 30, seconds(3)},
                     {Signal::kMemory, 100, 10, seconds(1)},
                     {Signal::kIoPressure, 80, 10, seconds(3)}};
  in.policy.require_demand = true;
  EXPECT_THAT(Of(in).growth,
              testing::ElementsAre("more pods when cpu of any pod is over 120m for 3 s, or 180m "
                                   "for 2 s",
                                   "more pods when memory of any pod is over 100 for 1 s",
                                   "more pods when ioPressure of any pod is over 80% for 3 s",
                                   "usage adds no pod without work"));
}

TEST(ExplainTest, NamesWhatUsageMayNotHave) {
  ScalingInput in = Input({Pod("a", Samples(kHot), false)});
  in.policy.require_demand = true;
  EXPECT_THAT(Of(in).growth, Contains(HasSubstr("NoDemand: 1 pod has work")));
}

TEST(ExplainTest, NamesWhoKeepsPods) {
  ScalingInput in = Input({Pod("a", Samples(kCold)), Pod("b", Samples(kCold))});
  in.policy.warm_pods = 2;
  EXPECT_THAT(Of(in).shrink, Contains(HasSubstr("WarmPods wants 2")));
}

}  // namespace
}  // namespace longshore::scaling

// SPDX-License-Identifier: Apache-2.0
//
// Who wants how many pods, who wins, and what limits the winner.
#include "common/scaling/candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/scaling/made_up.h"

namespace longshore::scaling {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// `busy` pods with work, and `free` ones, none of which does much.
ScalingInput Quiet(int busy, int free) {
  std::vector<PodUsage> pods;
  for (int i = 0; i < busy + free; ++i) {
    pods.push_back(Pod("p" + std::to_string(i), Samples(kCold), i >= busy, i));
  }
  ScalingInput in = Input(std::move(pods));
  in.max = 100;
  return in;
}

struct Case {
  const char* name;
  ScalingInput in;
  std::function<void(ScalingInput&)> change;
  int to;             // the same as in.desired: it holds
  const char* cause;  // of the change
  const char* limit;  // "": nothing limits it
};

class DecisionTest : public testing::TestWithParam<Case> {};

TEST_P(DecisionTest, IsMadeOfCandidates) {
  ScalingInput in = GetParam().in;
  GetParam().change(in);
  const auto verdict = EvaluateScaling(in);
  const int to = verdict.change ? verdict.decision.to : in.desired;
  EXPECT_EQ(to, GetParam().to);
  EXPECT_EQ(verdict.decision.cause, GetParam().cause);
  EXPECT_EQ(verdict.limit ? verdict.limit->reason : "", GetParam().limit);
}

constexpr char kNone[] = "";
void Follow(ScalingInput& in) { in.policy.follow_demand = true; }

INSTANTIATE_TEST_SUITE_P(
    , DecisionTest,
    testing::Values(
        Case{"DemandIsIgnoredUnlessAskedFor", Quiet(2, 0), [](auto& in) { in.queued = 9; }, 2,
             kNone, kNone},
        Case{"DemandIsMetAtOnce", Quiet(2, 0), [](auto& in) { Follow(in), in.queued = 3; }, 5,
             api::kCauseDemand, kNone},
        Case{"AnnouncedDemandCountsToo", Quiet(2, 0),
             [](auto& in) { Follow(in), in.queued = 1, in.demand = 4; }, 7, api::kCauseDemand,
             kNone},
        Case{"FreePodsAreTakenFirst", Quiet(1, 2), [](auto& in) { Follow(in), in.queued = 2; }, 3,
             kNone, kNone},
        Case{"DemandDoesNotWaitForPodsOnTheirWay", Quiet(2, 0),
             [](auto& in) { Follow(in), in.queued = 3, in.pending = 1, in.desired = 3; }, 5,
             api::kCauseDemand, kNone},
        Case{"NobodyWorksYet", Quiet(0, 0),
             [](auto& in) { Follow(in), in.queued = 9, in.pending = 1, in.desired = 1; }, 1, kNone,
             kNone},
        Case{"ACrewOfNoneBeginsWithOne", Quiet(0, 0), [](auto& in) { Follow(in), in.demand = 9; },
             1, api::kCauseDemand, kNone},
        Case{"DemandGoesUpToMax", Quiet(2, 0),
             [](auto& in) { Follow(in), in.queued = 9, in.max = 4; }, 4, api::kCauseDemand,
             "MaxPods"},
        Case{"TheTightestCapCounts", Quiet(2, 0),
             [](auto& in) {
               Follow(in), in.queued = 9, in.max = 8;
               in.limits = {{"SourceCap", 5, ""}, {"RepositoryCap", 3, ""}};
             },
             3, api::kCauseDemand, "RepositoryCap"},
        Case{"ACapBelowWhatThereIsTakesNothingAway", Quiet(2, 0),
             [](auto& in) { Follow(in), in.queued = 9, in.limits = {{"SourceCap", 1, ""}}; }, 2,
             kNone, "SourceCap"},
        Case{"WarmPodsStandBesideTheBusyOnes", Quiet(2, 1),
             [](auto& in) { in.policy.warm_pods = 2; }, 4, api::kCauseWarmPods, kNone},
        Case{"WarmPodsAreNotTakenAway", Quiet(0, 2), [](auto& in) { in.policy.warm_pods = 2; }, 2,
             kNone, kNone},
        Case{"MoreThanTheWarmOnesGoes", Quiet(0, 3), [](auto& in) { in.policy.warm_pods = 2; }, 2,
             api::kCauseIdle, kNone},
        Case{"DemandIsNotGoneBelow", Quiet(0, 3), [](auto& in) { Follow(in), in.demand = 3; }, 3,
             kNone, kNone},
        Case{"TheDeadlineTakesMorePods", Quiet(2, 0), [](auto& in) { in.deadline_pods = 5; }, 5,
             api::kCauseDeadline, kNone},
        Case{"TheDeadlineStaysWithinTheCaps", Quiet(2, 0),
             [](auto& in) { in.deadline_pods = 5, in.max = 3; }, 3, api::kCauseDeadline, "MaxPods"},
        Case{"UsageWinsOfEquals", Quiet(1, 0),
             [](auto& in) { Follow(in), in.queued = 1, in.pods[0].samples = Samples(kHot); }, 2,
             api::kCauseThreshold, kNone},
        Case{"TheLargestWins", Quiet(1, 0),
             [](auto& in) { Follow(in), in.queued = 2, in.pods[0].samples = Samples(kHot); }, 3,
             api::kCauseDemand, kNone}),
    [](const auto& info) { return info.param.name; });

// Two busy pods, the first over its threshold.
ScalingInput Hot() {
  ScalingInput in = Quiet(2, 0);
  in.pods[0].samples = Samples(kHot);
  return in;
}
void SetAll(ScalingInput& in, Signal signal, double value) {
  for (Sample& sample : in.pods[0].samples) sample.set(signal, value);
}

struct SaturationCase {
  const char* name;
  std::function<void(ScalingInput&)> change;
  int to;
};
class SaturationTest : public testing::TestWithParam<SaturationCase> {};

TEST_P(SaturationTest, HiddenNeedDoublesTheCrew) {
  ScalingInput in = Hot();
  GetParam().change(in);
  EXPECT_EQ(EvaluateScaling(in).decision.to, GetParam().to);
  EXPECT_EQ(EvaluateScaling(in).decision.cause, api::kCauseThreshold);
}

INSTANTIATE_TEST_SUITE_P(
    , SaturationTest,
    testing::Values(
        SaturationCase{"NoLimitIsKnown", [](auto&) {}, 3},
        SaturationCase{"FarFromItsLimit", [](auto& in) { in.policy.cpu_limit_milli = 400; }, 3},
        SaturationCase{"AtItsLimit", [](auto& in) { in.policy.cpu_limit_milli = 150; }, 4},
        SaturationCase{"Throttled", [](auto& in) { SetAll(in, Signal::kCpuThrottling, 12); }, 4},
        SaturationCase{"HardlyThrottled", [](auto& in) { SetAll(in, Signal::kCpuThrottling, 8); },
                       3},
        SaturationCase{"Stalled", [](auto& in) { SetAll(in, Signal::kCpuPressure, 30); }, 4},
        SaturationCase{"NotAtTheEndOfTheWindow",
                       [](auto& in) {
                         SetAll(in, Signal::kCpuThrottling, 30);
                         in.pods[0].samples.back().set(Signal::kCpuThrottling, Sample::kUnknown);
                       },
                       3},
        SaturationCase{"AnotherSignalIsOver",
                       [](auto& in) {
                         in.policy.cpu_limit_milli = 150;
                         in.policy.rules = {{Signal::kReadBytes, 10, 1, seconds(3)}};
                         SetAll(in, Signal::kReadBytes, 20);
                       },
                       3}),
    [](const auto& info) { return info.param.name; });

TEST(ScalingDecisionTest, RecordsEveryCandidateAndWhoWon) {
  ScalingInput in = Hot();
  Follow(in);
  in.queued = 3;
  in.policy.warm_pods = 1;
  in.max = 4;
  const api::ScalingDecision decision = EvaluateScaling(in).decision;
  ASSERT_EQ(decision.candidates.size(), 3u);
  EXPECT_EQ(decision.candidates[0].name, "Usage");
  EXPECT_EQ(decision.candidates[0].pods, 3);
  EXPECT_FALSE(decision.candidates[0].chosen);
  EXPECT_EQ(decision.candidates[1].name, "Demand");
  EXPECT_EQ(decision.candidates[1].pods, 5);
  EXPECT_TRUE(decision.candidates[1].chosen);
  EXPECT_THAT(decision.candidates[1].message, HasSubstr("3 operations wait"));
  EXPECT_EQ(decision.candidates[2].name, "WarmPods");
  ASSERT_TRUE(decision.limit);
  EXPECT_EQ(decision.limit->reason, "MaxPods");
  EXPECT_EQ(decision.limit->pods, 4);
  EXPECT_EQ(decision.to, 4);
}

TEST(ScalingDecisionTest, NamesEverySignalThatIsOver) {
  ScalingInput in = Hot();
  in.policy.rules.push_back({Signal::kReadBytes, 10, 1, seconds(3)});
  SetAll(in, Signal::kReadBytes, 20);
  const auto decision = EvaluateScaling(in).decision;
  ASSERT_EQ(decision.inputs.size(), 2u);
  EXPECT_EQ(decision.inputs[1].signal, "readBytes");
  EXPECT_EQ(decision.to, 3) << "one step, however many are over";
}

}  // namespace
}  // namespace longshore::scaling

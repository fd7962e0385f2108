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

struct DecisionCase {
  const char* name;
  ScalingInput in;
  std::function<void(ScalingInput&)> change;
  int to;             // the same as in.desired: it holds
  const char* cause;  // of the change
  const char* limit;  // "": nothing limits it
};

class DecisionTest : public testing::TestWithParam<DecisionCase> {};

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
        DecisionCase{"DemandIsIgnoredUnlessAskedFor", Quiet(2, 0), [](auto& in) { in.queued = 9; },
                     2, kNone, kNone},
        DecisionCase{"DemandIsMetAtOnce", Quiet(2, 0), [](auto& in) { Follow(in), in.queued = 3; },
                     5, api::kCauseDemand, kNone},
        DecisionCase{"AnnouncedDemandCountsToo", Quiet(2, 0),
                     [](auto& in) { Follow(in), in.queued = 1, in.demand = 4; }, 7,
                     api::kCauseDemand, kNone},
        DecisionCase{"FreePodsAreTakenFirst", Quiet(1, 2),
                     [](auto& in) { Follow(in), in.queued = 2; }, 3, kNone, kNone},
        DecisionCase{"DemandDoesNotWaitForPodsOnTheirWay", Quiet(2, 0),
                     [](auto& in) { Follow(in), in.queued = 3, in.pending = 1, in.desired = 3; }, 5,
                     api::kCauseDemand, kNone},
        DecisionCase{"NobodyWorksYet", Quiet(0, 0),
                     [](auto& in) { Follow(in), in.queued = 9, in.pending = 1, in.desired = 1; }, 1,
                     kNone, kNone},
        DecisionCase{"ACrewOfNoneBeginsWithOne", Quiet(0, 0),
                     [](auto& in) { Follow(in), in.demand = 9; }, 1, api::kCauseDemand, kNone},
        DecisionCase{"DemandGoesUpToMax", Quiet(2, 0),
                     [](auto& in) { Follow(in), in.queued = 9, in.max = 4; }, 4, api::kCauseDemand,
                     "MaxPods"},
        DecisionCase{"TheTightestCapCounts", Quiet(2, 0),
                     [](auto& in) {
                       Follow(in), in.queued = 9, in.max = 8;
                       in.limits = {{"SourceCap", 5, ""}, {"RepositoryCap", 3, ""}};
                     },
                     3, api::kCauseDemand, "RepositoryCap"},
        DecisionCase{
            "ACapBelowWhatThereIsTakesNothingAway", Quiet(2, 0),
            [](auto& in) { Follow(in), in.queued = 9, in.limits = {{"SourceCap", 1, ""}}; }, 2,
            kNone, "SourceCap"},
        DecisionCase{"WarmPodsStandBesideTheBusyOnes", Quiet(2, 1),
                     [](auto& in) { in.policy.warm_pods = 2; }, 4, api::kCauseWarmPods, kNone},
        DecisionCase{"WarmPodsAreNotTakenAway", Quiet(0, 2),
                     [](auto& in) { in.policy.warm_pods = 2; }, 2, kNone, kNone},
        DecisionCase{"MoreThanTheWarmOnesGoes", Quiet(0, 3),
                     [](auto& in) { in.policy.warm_pods = 2; }, 2, api::kCauseIdle, kNone},
        DecisionCase{"DemandIsNotGoneBelow", Quiet(0, 3),
                     [](auto& in) { Follow(in), in.demand = 3; }, 3, kNone, kNone},
        DecisionCase{"TheDeadlineTakesMorePods", Quiet(2, 0),
                     [](auto& in) { in.deadline_pods = 5; }, 5, api::kCauseDeadline, kNone},
        DecisionCase{"TheDeadlineStaysWithinTheCaps", Quiet(2, 0),
                     [](auto& in) { in.deadline_pods = 5, in.max = 3; }, 3, api::kCauseDeadline,
                     "MaxPods"},
        DecisionCase{
            "UsageWinsOfEquals", Quiet(1, 0),
            [](auto& in) { Follow(in), in.queued = 1, in.pods[0].samples = Samples(kHot); }, 2,
            api::kCauseThreshold, kNone},
        DecisionCase{
            "TheLargestWins", Quiet(1, 0),
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

void SetCpu(ScalingInput& in, size_t pod, double millicores) {
  in.pods[pod].samples = Samples(std::vector<double>(10, millicores));
}

struct DivisionCase {
  const char* name;
  std::vector<double> cpu;  // of each pod; up is 120
  std::function<void(ScalingInput&)> change;
  int to;
  const char* says;
};
class UsageTest : public testing::TestWithParam<DivisionCase> {};

TEST_P(UsageTest, IsDividedByAsManyPodsAsItTakes) {
  const auto& cpu = GetParam().cpu;
  ScalingInput in = Quiet(static_cast<int>(cpu.size()), 0);
  for (size_t i = 0; i < cpu.size(); ++i) SetCpu(in, i, cpu[i]);
  GetParam().change(in);
  const auto decision = EvaluateScaling(in).decision;
  EXPECT_EQ(decision.to, GetParam().to);
  EXPECT_THAT(decision.message, HasSubstr(GetParam().says));
}

// All samples of all pods in place of cpu.
void Measure(ScalingInput& in, Signal signal, double up, double value) {
  in.policy.rules = {{signal, up, up / 4, seconds(3)}};
  for (PodUsage& pod : in.pods) {
    for (Sample& sample : pod.samples) sample.set(signal, value);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , UsageTest,
    testing::Values(
        DivisionCase{"OneMoreAtLeast", {130, 5, 5, 5}, [](auto&) {}, 5, "now 130m"},
        DivisionCase{"WhatAllUseTogether",
                     {170, 170, 170, 170},
                     [](auto&) {},
                     6,
                     "cpu of p0 was over 120m for 10 samples, now 170m; the 680m of all pods take "
                     "6 at 120m each"},
        DivisionCase{"AtMostTwice",
                     {900, 900},
                     [](auto&) {},
                     4,
                     "the 1800m of all pods take more than 4 at 120m each: twice as many for now"},
        DivisionCase{"OneHotPodIsNotTheCrew", {360, 5, 5, 5}, [](auto&) {}, 5, "now 360m"},
        DivisionCase{"UnknownIsNothing",
                     {170, 170, 170, 170},
                     [](auto& in) { in.pods[2].samples.clear(), in.pods[3].samples.clear(); },
                     5,
                     "now 170m"},
        DivisionCase{"NorIsWhatStartingTakes",
                     {170, 170, 900, 900},
                     [](auto& in) {
                       in.policy.startup_grace = seconds(5);
                       in.pods[2].uptime = in.pods[3].uptime = seconds(5);
                     },
                     5,
                     "now 170m"},
        DivisionCase{"OverTheWindowOnly",
                     {170, 170, 170, 5},
                     [](auto& in) {
                       for (int i = 0; i < 7; ++i) in.pods[3].samples[i].set(Signal::kCpu, 9000);
                     },
                     5,
                     "now 170m"},
        DivisionCase{"UpToTheCap", {170, 170, 170, 170}, [](auto& in) { in.max = 5; }, 5, "take 6"},
        DivisionCase{"BytesToo",
                     {5, 5, 5, 5},
                     [](auto& in) { Measure(in, Signal::kNetworkBytes, 1e6, 1.5e6); },
                     6,
                     "the 6000000 of all pods take 6 at 1000000 each"},
        DivisionCase{"NotMemory",
                     {5, 5, 5, 5},
                     [](auto& in) { Measure(in, Signal::kMemory, 1e6, 1.5e6); },
                     5,
                     "memory"},
        DivisionCase{"NotLatency",
                     {5, 5, 5, 5},
                     [](auto& in) { Measure(in, Signal::kIoLatency, 20, 60); },
                     5,
                     "ioLatency"},
        DivisionCase{"NotPressure",
                     {5, 5, 5, 5},
                     [](auto& in) { Measure(in, Signal::kIoPressure, 20, 60); },
                     5,
                     "ioPressure"}),
    [](const auto& info) { return info.param.name; });

struct RequireCase {
  const char* name;
  int busy, free;
  std::function<void(ScalingInput&)> change;
  int to;  // as many as there are: it holds
  const char* limit;
};
class RequireDemandTest : public testing::TestWithParam<RequireCase> {};

// Each pod uses 170m of 120m.
TEST_P(RequireDemandTest, UsageAddsNoPodWithoutWork) {
  ScalingInput in = Quiet(GetParam().busy, GetParam().free);
  for (size_t i = 0; i < in.pods.size(); ++i) SetCpu(in, i, 170);
  in.policy.require_demand = true;
  GetParam().change(in);
  const auto verdict = EvaluateScaling(in);
  EXPECT_EQ(verdict.change ? verdict.decision.to : in.desired, GetParam().to);
  ASSERT_FALSE(verdict.candidates.empty());
  EXPECT_EQ(verdict.candidates[0].name, api::kCandidateUsage);
  EXPECT_EQ(verdict.limit ? verdict.limit->reason : "", GetParam().limit);
}

constexpr char kNoDemand[] = "NoDemand";
INSTANTIATE_TEST_SUITE_P(
    , RequireDemandTest,
    testing::Values(
        RequireCase{"WithItsLastOperation", 1, 0, [](auto&) {}, 1, kNoDemand},
        RequireCase{"WhatWaitsIsWork", 4, 0, [](auto& in) { in.queued = 1; }, 5, kNoDemand},
        RequireCase{"WhatIsAnnouncedIsWork", 4, 0, [](auto& in) { in.demand = 3; }, 6, kNone},
        RequireCase{"FreePodsDoSomeOfIt", 3, 1, [](auto& in) { in.queued = 2; }, 5, kNoDemand},
        RequireCase{"FreePodsDoAllOfIt", 3, 1, [](auto& in) { in.queued = 1; }, 4, kNoDemand},
        RequireCase{"CrewsThatDoNotSayWhatTheyDo", 0, 4, [](auto&) {}, 4, kNoDemand},
        RequireCase{"NeitherIsAHotPodTakenAway", 1, 1, [](auto& in) { SetCpu(in, 1, 5); }, 2,
                    kNoDemand},
        RequireCase{"ATighterCapIsTheOneThatIsNamed", 4, 0,
                    [](auto& in) { in.demand = 1, in.max = 4; }, 4, "MaxPods"},
        RequireCase{"WarmPodsAreNotHeld", 4, 0, [](auto& in) { in.policy.warm_pods = 1; }, 5,
                    kNone},
        RequireCase{"UnlessAskedForUsageIsFree", 4, 0,
                    [](auto& in) { in.policy.require_demand = false; }, 6, kNone}),
    [](const auto& info) { return info.param.name; });

TEST(ScalingDecisionTest, SaysWhatWorkUsageWaitsFor) {
  ScalingInput in = Hot();
  in.policy.require_demand = true;
  const auto verdict = EvaluateScaling(in);
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->pods, 2);
  EXPECT_EQ(verdict.candidates[0].pods, 3) << "what it wanted";
  EXPECT_THAT(verdict.limit->message, HasSubstr("2 pods have work, 0 operations wait: by "
                                                "demandPolicy Require usage adds no pod"));
}

// What usage may not have, others may: they are not outvoted by it.
TEST(ScalingDecisionTest, AWarmPodComesThoughUsageMayNotHaveOne) {
  ScalingInput in = Quiet(1, 1);
  SetCpu(in, 0, 900);
  in.policy.warm_pods = 2;
  const auto verdict = EvaluateScaling(in);
  EXPECT_EQ(verdict.decision.to, 3);
  EXPECT_EQ(verdict.decision.cause, api::kCauseWarmPods);
}

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

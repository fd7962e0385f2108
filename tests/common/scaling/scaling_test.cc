// SPDX-License-Identifier: Apache-2.0
//
// The scaling rule, with made-up samples and time.
#include "common/scaling/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/scaling/made_up.h"

namespace longshore::scaling {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ScalingTest, GrowsByOneWhenASignalWasOverUpForItsWholeWindow) {
  const auto verdict = EvaluateScaling(Input({Pod("a", Samples({10, 130, 140, 150}), false)}));
  ASSERT_TRUE(verdict.change);
  EXPECT_EQ(verdict.decision.from, 1);
  EXPECT_EQ(verdict.decision.to, 2);
  EXPECT_EQ(verdict.decision.cause, "ThresholdExceeded");
  ASSERT_EQ(verdict.decision.inputs.size(), 1u);
  EXPECT_EQ(verdict.decision.inputs[0].value, "150m");
  EXPECT_EQ(verdict.decision.inputs[0].threshold, "120m");
  EXPECT_EQ(verdict.decision.inputs[0].samples, 3);
  EXPECT_EQ(verdict.decision.crossing_time, FormatTime(kWall - seconds(2)));
}

struct OverUpCase {
  const char* name;
  int window;  // seconds
  std::vector<double> cpu;
  int64_t samples;  // that decide; 0: none do
};

class OverUpTest : public testing::TestWithParam<OverUpCase> {};

TEST_P(OverUpTest, LastsAWindow) {
  auto in = Input({Pod("a", Samples(GetParam().cpu), false)});
  in.policy.rules[0].window = seconds(GetParam().window);
  const auto verdict = EvaluateScaling(in);
  EXPECT_EQ(verdict.change ? verdict.decision.inputs.at(0).samples : 0, GetParam().samples);
}

// Over is more than 120, far over 180 and more.
INSTANTIATE_TEST_SUITE_P(
    , OverUpTest,
    testing::Values(
        OverUpCase{"OneSecondIsOneSample", 1, {10, 130}, 1},
        OverUpCase{"OneSecondAfterAnother", 1, {130, 10}, 0},
        OverUpCase{"OneSecondOfASwing", 1, {130, 10, 130}, 1},
        OverUpCase{"EverySample", 3, {10, 10, 130, 130, 130}, 3},
        OverUpCase{"OneShort", 3, {10, 10, 130, 130}, 0},
        OverUpCase{"FarOverForTwoThirds", 3, {10, 10, 180, 180}, 2},
        OverUpCase{"FarOverAndNotQuite", 3, {10, 10, 180, 179}, 0},
        OverUpCase{"FarOverAndNotQuiteAnyMore", 3, {10, 10, 179, 180}, 0},
        OverUpCase{"FarOverOnce", 3, {10, 10, 900}, 0},
        OverUpCase{"FarOverWithOneUnder", 3, {10, 10, 900, 10, 900}, 0},
        OverUpCase{
            "LongWindowsAreNotCutToTwoSeconds", 12, {10, 10, 900, 900, 900, 900, 900, 900}, 0},
        OverUpCase{"LongWindowsTwoThirds", 12, std::vector<double>(8, 900), 8},
        OverUpCase{"OneUnderInFour", 3, {130, 10, 130, 130}, 3},
        OverUpCase{"OneUnderInFive", 3, {130, 130, 10, 130, 130}, 4},
        OverUpCase{
            "OneUnderInEachFive", 9, {130, 10, 130, 130, 130, 130, 10, 130, 130, 130, 130}, 9},
        OverUpCase{"TwoUnderInFive", 3, {130, 10, 130, 10, 130}, 0},
        OverUpCase{"TwoUnderInARow", 3, {130, 130, 10, 10, 130, 130}, 0},
        OverUpCase{"TheNewestUnder", 3, {130, 130, 130, 130, 10}, 0},
        OverUpCase{"ASwingRoundIt", 2, {114, 126, 114, 126, 114, 126}, 0}),
    [](const auto& info) { return info.param.name; });

struct HoldCase {
  const char* name;
  std::vector<Sample> samples;
  std::function<void(ScalingInput&)> change = [](ScalingInput&) {};
};

class ScalingHoldsTest : public testing::TestWithParam<HoldCase> {};

TEST_P(ScalingHoldsTest, Holds) {
  auto in = Input({Pod("a", GetParam().samples, false)});
  GetParam().change(in);
  EXPECT_FALSE(EvaluateScaling(in).change);
}

std::vector<Sample> WithGap() {
  auto samples = Samples({130, 130, 130, 130});
  samples.back().length = seconds(5);  // nothing was heard in between
  return samples;
}

std::vector<Sample> WithUnknown() {
  auto samples = Samples({130, 130, 130, 130});
  samples[2].values = Sample::AllUnknown();
  return samples;
}

INSTANTIATE_TEST_SUITE_P(
    , ScalingHoldsTest,
    testing::Values(
        HoldCase{"AtTheThreshold", Samples({120, 120, 120, 120})},
        HoldCase{"Stale", Samples({130, 130, 130, 130}, seconds(6))}, HoldCase{"NoSamples", {}},
        HoldCase{"GapInTheRun", WithGap()}, HoldCase{"UnknownInTheRun", WithUnknown()},
        HoldCase{"NoSuchSignalOnItsNode", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) { in.policy.rules[0].signal = Signal::kIoPressure; }},
        HoldCase{"FarOverWhileStarting", Samples({900, 900, 900, 900}),
                 [](ScalingInput& in) {
                   in.pods[0].uptime = seconds(6);
                   in.policy.startup_grace = seconds(5);
                 }},
        HoldCase{"StillStarting", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) {
                   in.pods[0].uptime = seconds(7);
                   in.policy.startup_grace = seconds(5);
                 }},
        HoldCase{"PodOnItsWay", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) { in.pending = 1; }},
        HoldCase{"MeasuredBeforeThingsSettled", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) { in.settled_since = kNow - milliseconds(2500); }},
        HoldCase{"AtMax", Samples({130, 130, 130, 130}), [](ScalingInput& in) { in.max = 1; }},
        HoldCase{"NoRules", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) { in.policy.rules.clear(); }}),
    [](const auto& info) { return info.param.name; });

TEST(ScalingTest, StartupIsForgivenTheCpuAndNothingElse) {
  auto in = Input({Pod("a", Samples({130, 130, 130, 130}), false)});
  in.policy.startup_grace = seconds(5);
  in.pods[0].uptime = seconds(8);
  EXPECT_TRUE(EvaluateScaling(in).change) << "three seconds after the grace";
  in.pods[0].uptime = seconds(4);
  in.policy.rules = {{Signal::kMemory, 120, 30, seconds(3)}};
  for (Sample& sample : in.pods[0].samples) sample.set(Signal::kMemory, 130);
  EXPECT_TRUE(EvaluateScaling(in).change);
}

TEST(ScalingTest, AnySignalOverItsUpGrows) {
  for (size_t i = 0; i < kSignals; ++i) {
    const auto signal = static_cast<Signal>(i);
    auto in = Input({Pod("a", Samples({1, 1, 1, 1}), false)});
    in.policy.rules.push_back({signal, 50, 20, seconds(3)});
    if (i == 0) in.policy.rules.erase(in.policy.rules.begin());
    for (Sample& sample : in.pods[0].samples) sample.set(signal, 60);
    const auto verdict = EvaluateScaling(in);
    ASSERT_TRUE(verdict.change) << SignalName(signal);
    EXPECT_EQ(verdict.decision.inputs[0].signal, SignalName(signal));
  }
}

TEST(ScalingTest, SaysWhenOnlyMaxHoldsItBack) {
  auto in = Input({Pod("a", Samples({130, 130, 130, 130}), false)});
  in.max = 1;
  ASSERT_TRUE(EvaluateScaling(in).limit);
  EXPECT_EQ(EvaluateScaling(in).limit->reason, "MaxPods");
  EXPECT_EQ(EvaluateScaling(in).limit->message,
            "spec.pods.max is 1: raise it if more operations are to come: none waits now");
  in.work_waiting = true;
  in.queued = 1;
  EXPECT_EQ(EvaluateScaling(in).limit->message, "spec.pods.max is 1: raise it");
}

TEST(ScalingTest, NamesPodsWithoutFreshSamplesButForgivesNewOnes) {
  auto in = Input({Pod("silent", Samples({1}, seconds(9))), Pod("new", {})});
  in.pods[1].age = seconds(2);
  EXPECT_THAT(EvaluateScaling(in).silent, testing::ElementsAre("silent"));
}

TEST(ScalingTest, NamesTheSignalThatIsNotMeasured) {
  auto in = Input({Pod("a", Samples({1}))});
  in.policy.rules.push_back({Signal::kIoPressure, 50, 20, seconds(3)});
  EXPECT_THAT(EvaluateScaling(in).silent, testing::ElementsAre("a (ioPressure)"));
}

std::vector<Sample> Idle(size_t count) { return Samples(std::vector<double>(count, 5)); }

TEST(ScalingTest, ShrinksAPodThatWasUnderDownForTheWholeIdleTime) {
  const auto verdict =
      EvaluateScaling(Input({Pod("a", Idle(20), true, 0), Pod("b", Idle(20), true, 1)}));
  ASSERT_TRUE(verdict.change);
  EXPECT_EQ(verdict.victim, "b");  // the newest slot goes first
  EXPECT_EQ(verdict.decision.to, 1);
  EXPECT_EQ(verdict.decision.cause, "Idle");
  ASSERT_EQ(verdict.decision.inputs.size(), 1u);
  EXPECT_EQ(verdict.decision.inputs[0].pod, "b");
  EXPECT_EQ(verdict.decision.inputs[0].value, "5m");
  EXPECT_GE(verdict.decision.inputs[0].samples, 10);
}

// Signals that stand still (a pressure file that is not there) must not read as idle.
TEST(ScalingTest, UnknownSignalShrinksNothing) {
  auto in = Input({Pod("a", Idle(20))});
  in.policy.rules.push_back({Signal::kIoPressure, 50, 20, seconds(3)});
  EXPECT_FALSE(EvaluateScaling(in).change);
  for (Sample& sample : in.pods[0].samples) sample.set(Signal::kIoPressure, 3);
  EXPECT_TRUE(EvaluateScaling(in).change);
}

TEST(ScalingTest, BusyPodsAreNotIdleWhateverTheyUse) {
  EXPECT_FALSE(EvaluateScaling(Input({Pod("a", Idle(20), false)})).change);
}

TEST(ScalingTest, NothingShrinksBelowMinOrWhileWorkWaits) {
  auto in = Input({Pod("a", Idle(20))});
  in.min = 1;
  EXPECT_FALSE(EvaluateScaling(in).change);
  in.min = 0;
  in.work_waiting = true;
  EXPECT_FALSE(EvaluateScaling(in).change);
}

TEST(ScalingTest, PodThatHadAnOperationWithinTheIdleTimeStays) {
  auto in = Input({Pod("a", Idle(20))});
  in.pods[0].age = seconds(9);
  EXPECT_FALSE(EvaluateScaling(in).change);
}

// A new leader, or a new pod: samples of 8 s are 80 % of the idle time, but not all of it was seen.
TEST(ScalingTest, NothingShrinksBeforeAWholeIdleTimeWasListenedTo) {
  EXPECT_FALSE(EvaluateScaling(Input({Pod("a", Idle(8))})).change);
}

TEST(ScalingTest, EightOfTenSamplesAreEnoughAndSevenAreNot) {
  auto samples = Idle(20);
  const auto drop = [](std::vector<Sample> all, size_t from, size_t count) {
    all.erase(all.begin() + from, all.begin() + from + count);
    return all;
  };
  EXPECT_TRUE(EvaluateScaling(Input({Pod("a", drop(samples, 12, 2))})).change);
  EXPECT_FALSE(EvaluateScaling(Input({Pod("a", drop(samples, 12, 4))})).change);
}

TEST(ScalingTest, OneSampleOverDownBeginsTheIdleTimeAnew) {
  std::vector<double> cpu(20, 5);
  cpu[15] = 31;
  EXPECT_FALSE(EvaluateScaling(Input({Pod("a", Samples(cpu))})).change);
}

}  // namespace
}  // namespace longshore::scaling

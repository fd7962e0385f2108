// SPDX-License-Identifier: Apache-2.0
//
// The scaling rule, with made-up samples and time.
#include "controller/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MonotonicTime kNow = MonotonicTime(std::chrono::hours(10));
const WallTime kWall = WallTime(seconds(1'790'000'000));

// One sample a second, the last one just now; values are millicores, oldest first.
std::vector<Sample> Samples(const std::vector<double>& cpu, seconds age = seconds(0)) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < cpu.size(); ++i) {
    const seconds back = seconds(cpu.size() - 1 - i) + age;
    Sample sample;
    sample.received = kNow - back;
    sample.end = kWall - back;
    sample.length = seconds(1);
    sample.values[0] = cpu[i];
    samples.push_back(sample);
  }
  return samples;
}

PodUsage Pod(const std::string& name, std::vector<Sample> samples, bool idle = true, int slot = 0) {
  return {name, slot, idle, seconds(60), std::move(samples)};
}

ScalingInput Input(std::vector<PodUsage> pods) {
  ScalingInput in;
  in.now = kNow;
  in.wall = kWall;
  in.settled_since = kNow - seconds(1000);
  in.desired = static_cast<int>(pods.size());
  in.max = 4;
  in.pods = std::move(pods);
  in.rules = {{Signal::kCpu, 120, 30, seconds(3)}};
  in.idle = seconds(10);
  return in;
}

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

TEST(ScalingTest, AWindowOfOneSampleDecidesAtOnce) {
  auto in = Input({Pod("a", Samples({10, 130}), false)});
  in.rules[0].window = seconds(1);
  EXPECT_TRUE(EvaluateScaling(in).change);
}

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

INSTANTIATE_TEST_SUITE_P(
    , ScalingHoldsTest,
    testing::Values(
        HoldCase{"WindowNotFull", Samples({10, 130, 140})},
        HoldCase{"InterruptedRun", Samples({130, 130, 10, 130, 130})},
        HoldCase{"AtTheThreshold", Samples({120, 120, 120, 120})},
        HoldCase{"Stale", Samples({130, 130, 130, 130}, seconds(6))}, HoldCase{"NoSamples", {}},
        HoldCase{"GapInTheRun", WithGap()},
        HoldCase{"PodOnItsWay", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) { in.pending = 1; }},
        HoldCase{"MeasuredBeforeThingsSettled", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) { in.settled_since = kNow - milliseconds(2500); }},
        HoldCase{"AtMax", Samples({130, 130, 130, 130}), [](ScalingInput& in) { in.max = 1; }},
        HoldCase{"NoRules", Samples({130, 130, 130, 130}),
                 [](ScalingInput& in) { in.rules.clear(); }}),
    [](const auto& info) { return info.param.name; });

TEST(ScalingTest, SaysWhenOnlyMaxHoldsItBack) {
  auto in = Input({Pod("a", Samples({130, 130, 130, 130}), false)});
  in.max = 1;
  EXPECT_TRUE(EvaluateScaling(in).at_max);
}

TEST(ScalingTest, NamesPodsWithoutFreshSamplesButForgivesNewOnes) {
  auto in = Input({Pod("silent", Samples({1}, seconds(9))), Pod("new", {})});
  in.pods[1].age = seconds(2);
  EXPECT_THAT(EvaluateScaling(in).silent, testing::ElementsAre("silent"));
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

api::ScalingSignal Rule(const std::string& name, api::Threshold up, api::Threshold down) {
  api::ScalingSignal signal;
  signal.name = name;
  signal.up = std::move(up);
  signal.down = std::move(down);
  return signal;
}

TEST(ResolveRulesTest, PercentagesAreOfTheRequestAndValuesAreQuantities) {
  api::Scaling scaling;
  scaling.signals = {Rule("cpu", {60, ""}, {15, ""}), Rule("memory", {{}, "1Gi"}, {{}, "64Mi"}),
                     Rule("readBytes", {{}, "10M"}, {{}, "1M"})};
  api::ResourceRequirements resources;
  resources.requests = {{"cpu", "200m"}};
  const auto rules = ResolveRules(scaling, resources);
  ASSERT_TRUE(rules.has_value());
  EXPECT_DOUBLE_EQ((*rules)[0].up, 120);
  EXPECT_DOUBLE_EQ((*rules)[0].down, 30);
  EXPECT_DOUBLE_EQ((*rules)[1].up, 1024.0 * 1024 * 1024);
  EXPECT_DOUBLE_EQ((*rules)[2].up, 10e6);
}

TEST(ResolveRulesTest, PercentageOfAnAbsentRequestIsRefusedWithTheField) {
  api::Scaling scaling;
  scaling.signals = {Rule("memory", {60, ""}, {15, ""})};
  const auto rules = ResolveRules(scaling, {});
  ASSERT_FALSE(rules.has_value());
  EXPECT_THAT(rules.error().message, testing::HasSubstr("spec.scaling.signals[memory].up"));
}

}  // namespace
}  // namespace longshore::controller

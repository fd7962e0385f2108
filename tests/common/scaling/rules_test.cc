// SPDX-License-Identifier: Apache-2.0
//
// spec.scaling in the units of samples.
#include "common/scaling/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::scaling {
namespace {

api::ScalingSignal Rule(const std::string& name, api::Threshold up, api::Threshold down) {
  api::ScalingSignal signal;
  signal.name = name;
  signal.up = std::move(up);
  signal.down = std::move(down);
  return signal;
}

TEST(ResolvePolicyTest, PercentagesAreOfTheRequestAndValuesAreQuantities) {
  api::Scaling scaling;
  scaling.signals = {Rule("cpu", {60, ""}, {15, ""}), Rule("memory", {{}, "1Gi"}, {{}, "64Mi"}),
                     Rule("readBytes", {{}, "10M"}, {{}, "1M"})};
  api::ResourceRequirements resources;
  resources.requests = {{"cpu", "200m"}};
  const auto policy = ResolvePolicy(scaling, resources);
  ASSERT_TRUE(policy.has_value());
  EXPECT_DOUBLE_EQ(policy->rules[0].up, 120);
  EXPECT_DOUBLE_EQ(policy->rules[0].down, 30);
  EXPECT_DOUBLE_EQ(policy->rules[1].up, 1024.0 * 1024 * 1024);
  EXPECT_DOUBLE_EQ(policy->rules[2].up, 10e6);
}

TEST(ResolvePolicyTest, PercentageOfAnAbsentRequestIsRefusedWithTheField) {
  api::Scaling scaling;
  scaling.signals = {Rule("memory", {60, ""}, {15, ""})};
  const auto policy = ResolvePolicy(scaling, {});
  ASSERT_FALSE(policy.has_value());
  EXPECT_THAT(policy.error().message, testing::HasSubstr("spec.scaling.signals[memory].up"));
}

// Else every sample would be over it, and the crew grow as far as it may.
TEST(ResolvePolicyTest, PercentageOfNothingIsRefused) {
  api::Scaling scaling;
  scaling.signals = {Rule("cpu", {60, ""}, {15, ""})};
  api::ResourceRequirements resources;
  for (const char* request : {"0", "-1", "0m"}) {
    resources.requests = {{"cpu", request}};
    const auto policy = ResolvePolicy(scaling, resources);
    ASSERT_FALSE(policy.has_value()) << request;
    EXPECT_THAT(
        policy.error().message,
        testing::HasSubstr("signals[cpu].up.utilizationPercent: the pod's request for cpu"));
  }
}

struct Refused {
  const char* name;
  api::ScalingSignal signal;
  const char* says;
};
class ResolvePolicyRefusesTest : public testing::TestWithParam<Refused> {};

TEST_P(ResolvePolicyRefusesTest, WithTheField) {
  api::Scaling scaling;
  scaling.signals = {GetParam().signal};
  const auto policy = ResolvePolicy(scaling, {});
  ASSERT_FALSE(policy.has_value());
  EXPECT_THAT(policy.error().message, testing::HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    , ResolvePolicyRefusesTest,
    testing::Values(Refused{"UnknownSignal", Rule("heat", {60, ""}, {15, ""}), "no such signal"},
                    Refused{"PercentOfBytes", Rule("readBytes", {60, ""}, {15, ""}),
                            "signals[readBytes].up.utilizationPercent"},
                    Refused{"ShareAsValue", Rule("ioPressure", {{}, "1"}, {{}, "0"}),
                            "use utilizationPercent"},
                    Refused{"NoQuantity", Rule("ioLatency", {{}, "fast"}, {{}, "1m"}), "up.value"}),
    [](const auto& info) { return info.param.name; });

TEST(ResolvePolicyTest, DemandIsIgnoredFollowedOrRequired) {
  struct Case {
    const char* policy;
    bool follow, require;
  };
  for (const Case& c :
       {Case{"Ignore", false, false}, Case{"Follow", true, false}, Case{"Require", false, true}}) {
    api::Scaling scaling;
    scaling.demand_policy = c.policy;
    const auto policy = ResolvePolicy(scaling, {});
    ASSERT_TRUE(policy.has_value());
    EXPECT_EQ(policy->follow_demand, c.follow) << c.policy;
    EXPECT_EQ(policy->require_demand, c.require) << c.policy;
  }
}

TEST(ResolvePolicyTest, LatencyIsInSecondsAndSharesAreOfTheTime) {
  api::Scaling scaling;
  scaling.startup_grace_seconds = 7;
  scaling.signals = {Rule("ioLatency", {{}, "20m"}, {{}, "0.005"}),
                     Rule("cpuThrottling", {25, ""}, {5, ""})};
  const auto policy = ResolvePolicy(scaling, {});
  ASSERT_TRUE(policy.has_value());
  EXPECT_DOUBLE_EQ(policy->rules[0].up, 20) << "milliseconds";
  EXPECT_DOUBLE_EQ(policy->rules[0].down, 5);
  EXPECT_DOUBLE_EQ(policy->rules[1].up, 25);
  EXPECT_EQ(policy->startup_grace, std::chrono::seconds(7));
}

}  // namespace
}  // namespace longshore::scaling

// SPDX-License-Identifier: Apache-2.0
#include "cli/scaling_flags.h"

#include <gmock/gmock.h>

namespace longshore::cli {
namespace {

using testing::HasSubstr;

TEST(ScalingFlagsTest, BecomeTheSpec) {
  const auto spec = ScalingSpec({.up = {"cpu=60%", "readBytes=20Mi"},
                                 .down = {"readBytes=1Mi", "cpu=15%"},
                                 .window = "2",
                                 .idle = "2m"});
  ASSERT_TRUE(spec.has_value()) << spec.error().ToString();
  EXPECT_EQ(*spec, *api::ParseJson(R"({
    "signals": [
      {"name": "cpu", "up": {"utilizationPercent": 60}, "down": {"utilizationPercent": 15},
       "windowSeconds": 2},
      {"name": "readBytes", "up": {"value": "20Mi"}, "down": {"value": "1Mi"},
       "windowSeconds": 2}],
    "idleSeconds": 120})"));
}

TEST(ScalingFlagsTest, DemandAndWarmPodsNeedNoSignals) {
  EXPECT_EQ(*ScalingSpec({.follow_demand = true, .warm = 2}),
            *api::ParseJson(R"({"demandPolicy": "Follow", "warmPods": 2})"));
  EXPECT_EQ(*ScalingSpec({.require_demand = true}),
            *api::ParseJson(R"({"demandPolicy": "Require"})"));
}

TEST(ScalingFlagsTest, AreNothingWhenNotGiven) { EXPECT_TRUE(ScalingSpec({})->is_null()); }

TEST(ScalingFlagsTest, NameTheFlagThatIsWrong) {
  const auto message = [](const ScalingFlags& flags) {
    const auto spec = ScalingSpec(flags);
    return spec ? std::string() : spec.error().message;
  };
  EXPECT_THAT(message({.up = {"cpu"}}), HasSubstr("--up cpu: use SIGNAL="));
  EXPECT_THAT(message({.up = {"cpu=0%"}}), HasSubstr("percentage"));
  EXPECT_THAT(message({.up = {"cpu=60%"}}), HasSubstr("--down is missing"));
  EXPECT_THAT(message({.down = {"cpu=6%"}}), HasSubstr("--up is missing"));
  EXPECT_THAT(message({.window = "3"}), HasSubstr("--window belongs to"));
  EXPECT_THAT(message({.idle = "soon"}), HasSubstr("no duration"));
}

}  // namespace
}  // namespace longshore::cli

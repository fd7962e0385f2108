// SPDX-License-Identifier: Apache-2.0
//
// Placements that require a tier: what they refuse, and what they wait for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/common/placement/made_ranking.h"

namespace longshore::placement {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

struct RequireCase {
  const char* tier;
  std::vector<std::string> feasible;
};

class RequireTest : public testing::TestWithParam<RequireCase> {};

TEST_P(RequireTest, RefusesWhatIsFurtherAwayWithAReason) {
  const FakeView view = OneNodePerTier();
  std::vector<std::string> feasible;
  for (const NodeScore& score : Ranked(OnN1("Require", GetParam().tier), view)) {
    if (score.feasible) {
      feasible.push_back(score.node);
    } else {
      EXPECT_TRUE(score.unresolvable);
      EXPECT_THAT(score.reasons,
                  Contains(HasSubstr(std::string("placement requires tier ") + GetParam().tier)));
    }
  }
  EXPECT_THAT(feasible, testing::UnorderedElementsAreArray(GetParam().feasible));
}

INSTANTIATE_TEST_SUITE_P(Tiers, RequireTest,
                         testing::Values(RequireCase{"Node", {"n1"}},
                                         RequireCase{"Rack", {"n1", "n2"}},
                                         RequireCase{"Zone", {"n1", "n2", "n3"}},
                                         RequireCase{"Region", {"n1", "n2", "n3", "n4"}}),
                         [](const auto& info) { return info.param.tier; });

// The leader may come back in a second: not "never", so not unresolvable; and not "anywhere".
TEST(RankingTest, RequireWaitsWhileTheLocationIsUnknown) {
  const FakeView view = OneNodePerTier();
  const auto ranked = Ranked(MakeSource({.pod_labels = {{"role", "leader"}}}, "Require"), view);
  for (const NodeScore& score : ranked) {
    EXPECT_FALSE(score.feasible);
    EXPECT_FALSE(score.unresolvable);
  }
  EXPECT_THAT(SteeringCandidates(ranked, 3), IsEmpty());
}

// Edge case 30: no deadlock with WaitForFirstConsumer.
TEST(RankingTest, RequireDoesNotVetoWhileTheClaimIsUnbound) {
  FakeView view = OneNodePerTier();
  view.volume_nodes.insert_or_assign(
      {"db", "data"}, Result<std::vector<std::string>>(FailedPrecondition("not bound yet")));
  for (const NodeScore& score :
       Ranked(MakeSource({.persistent_volume_claim = "data"}, "Require"), view)) {
    EXPECT_TRUE(score.feasible);
  }
}

// No node is nearer to it than another, and that will not change by waiting.
TEST(RankingTest, RequireRefusesNoNodeForDataOutsideOfTheCluster) {
  const FakeView view = OneNodePerTier();
  for (const NodeScore& score : Ranked(MakeSource({.external = true}, "Require"), view)) {
    EXPECT_TRUE(score.feasible) << score.node;
    EXPECT_EQ(score.locality_points, kUnknownPoints);
    EXPECT_THAT(score.reasons, Contains("the data is outside of the cluster (+11)"));
  }
}

}  // namespace
}  // namespace longshore::placement

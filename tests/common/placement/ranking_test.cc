// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <tuple>

#include "tests/common/placement/made_ranking.h"

namespace longshore::placement {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(RankingTest, NearerIsBetter) {
  const FakeView view = OneNodePerTier();
  EXPECT_THAT(Names(Ranked(OnN1(), view)), ElementsAre("n1", "n2", "n3", "n4", "n5"));
}

// Locality dominates: the busiest, fullest node of a tier beats the idlest of the next one, even
// with pods just placed on it.
TEST(RankingTest, NoPressureNoRoomAndReservationsDoNotCostATier) {
  FakeView view = OneNodePerTier();
  NodeInfo& n1 = view.AddNode("n1", "r1", "za", "eu");
  n1.cpu_requested_milli = 1000;
  const auto ranked = Ranked(OnN1(), view, {{"n1", Busy()}, {"n2", Calm()}}, {{"n1", 11}});
  EXPECT_EQ(ranked[0].node, "n1");
  EXPECT_EQ(ranked[0].pressure_points, 0);
  EXPECT_EQ(ranked[0].room_points, 0);
  EXPECT_GT(ranked[0].score, ranked[1].score);
  static_assert(kRackPoints + kMaxPressurePoints + kMaxRoomPoints <
                kNodePoints - kMaxReservedPenalty);
}

TEST(RankingTest, CalmerNodeOfATierIsBetter) {
  FakeView view = OneNodePerTier();
  view.AddNode("n1b", "r1", "za", "eu");
  const auto source = MakeSource({.node_name = "n4"});
  const auto ranked = Ranked(source, view, {{"n1", Busy()}, {"n1b", Calm()}});
  const auto names = Names(ranked);
  EXPECT_LT(std::find(names.begin(), names.end(), "n1b"),
            std::find(names.begin(), names.end(), "n1"));
}

TEST(RankingTest, EmptierNodeOfATierIsBetter) {
  FakeView view;
  view.AddNode("a", "", "za", "eu").cpu_requested_milli = 3000;
  view.AddNode("b", "", "za", "eu");
  EXPECT_THAT(Names(Ranked(MakeSource({.zone = "za"}), view)), ElementsAre("b", "a"));
}

// Near, but not on it: reading beside a database that is at its limit harms it.
TEST(RankingTest, Case36_BusyNodeOfTheDataIsNoBetterThanItsZone) {
  const FakeView view = OneNodePerTier();
  auto source = OnN1();
  const auto at = [](int percent, int64_t age_ms = 100) {
    return PressureMap{
        {"n1", {.cpu_used_milli = 40 * percent, .cpu_capacity_milli = 4000, .age_ms = age_ms}}};
  };
  EXPECT_EQ(Ranked(source, view, at(95))[0].node, "n1");
  source.spec.placement.avoid_node_above_percent = 70;
  EXPECT_EQ(Ranked(source, view, at(70))[0].node, "n1");
  const auto busy = Ranked(source, view, at(71));
  EXPECT_THAT(Names(busy), ElementsAre("n2", "n3", "n1", "n4", "n5"));
  EXPECT_EQ(busy[2].tier, Tier::kNode);
  EXPECT_EQ(busy[2].locality_points, kZonePoints);
  EXPECT_THAT(
      busy[2].reasons,
      Contains("the data is on this node, whose load of 71 % is above avoidNodeAbovePercent 70 "
               "(+42)"));
  EXPECT_THAT(SteeringCandidates(busy, 3), ElementsAre("n2"));
  // Pressure of tasks that wait counts as CPU does; what is unknown does not.
  PressureMap waiting = at(10);
  waiting["n1"].psi_valid = true;
  waiting["n1"].psi_io_permille = 900;
  EXPECT_EQ(Ranked(source, view, waiting)[0].node, "n2");
  EXPECT_EQ(Ranked(source, view, at(95, 6000))[0].node, "n1");
  // Where the whole zone is near enough, its pressure alone puts it behind the others.
  source.spec.placement.tier = "Zone";
  EXPECT_EQ(Ranked(source, view, at(71))[2].node, "n1");
  // It is a preference: where nothing else fits, it is taken; and it is never refused for it.
  source.spec.placement = {.mode = "Require", .tier = "Node", .avoid_node_above_percent = 0};
  const auto only = Ranked(source, view);
  EXPECT_EQ(only[0].node, "n1");
  EXPECT_TRUE(only[0].feasible);
  EXPECT_EQ(only[0].locality_points, kZonePoints);
}

// Whatever the nodes are labelled with: where others are at no known tier or in the region only,
// the avoided one is so too, and its load puts it behind them.
TEST(RankingTest, Case36_AvoidedNodeIsNoNearerThanOthersWithTheSameLabels) {
  for (const auto& [zone, region, points] :
       {std::tuple("", "", kUnknownPoints), {"", "eu", kRegionPoints}, {"za", "eu", kZonePoints}}) {
    FakeView view;
    for (const char* name : {"n1", "n2"}) view.AddNode(name, "", zone, region);
    auto source = OnN1();
    source.spec.placement.avoid_node_above_percent = 70;
    const auto ranked = Ranked(source, view, {{"n1", Busy()}});
    EXPECT_THAT(Names(ranked), ElementsAre("n2", "n1")) << zone << " of " << region;
    EXPECT_EQ(ranked[1].locality_points, points) << zone << " of " << region;
    EXPECT_EQ(Ranked(source, view, {{"n1", Calm()}})[0].node, "n1");
    // Unasked too, but as good as the others.
    source.spec.placement.avoid_node_above_percent = 0;
    const auto equal = Ranked(source, view);
    EXPECT_EQ(equal[0].score, equal[1].score) << zone << " of " << region;
  }
}

// It starts sooner there; but a node that is calmer or emptier by more is still better.
TEST(RankingTest, NodeThatHasTheImageIsBetter) {
  FakeView view;
  for (const char* name : {"a", "b"}) view.AddNode(name, "", "za", "eu");
  auto& has = view.AddNode("c", "", "za", "eu");
  has.images = ImageSet().With("reg/pg@sha256:1");
  PodDemand demand = kSmall;
  demand.image = "reg/pg@sha256:1";
  const auto source = MakeSource({.zone = "za"});
  const auto ranked = Ranked(source, view, {}, {}, demand);
  EXPECT_EQ(ranked[0].node, "c");
  EXPECT_EQ(ranked[0].image_points, kImagePoints);
  EXPECT_EQ(ranked[0].score - ranked[1].score, kImagePoints);
  EXPECT_THAT(ranked[0].reasons, Contains("its image is there (+2)"));
  EXPECT_THAT(ranked[1].reasons, Contains("its image would have to be fetched (+0)"));
  EXPECT_NE(Ranked(source, view, {{"c", Busy()}}, {}, demand)[0].node, "c");
  EXPECT_NE(Ranked(source, view, {}, {{"c", 3}}, demand)[0].node, "c");
  // Nothing is known of the pod's image.
  EXPECT_EQ(Ranked(source, view)[0].node, "a");
}

struct AgeCase {
  const char* name;
  Pressure pressure;
  int points;
};

class PressureTest : public testing::TestWithParam<AgeCase> {};

// Edge case 38: what is not known to be true now is neither good nor bad.
TEST_P(PressureTest, StaleOrOddIsNeutral) {
  const FakeView view = OneNodePerTier();
  const auto source = OnN1();
  const Location location = Locate(source, view);
  const auto score = ScoreNode(source, location, *view.Node("n1"), kSmall, GetParam().pressure, 0);
  EXPECT_EQ(score.pressure_points, GetParam().points);
}

INSTANTIATE_TEST_SUITE_P(
    Ages, PressureTest,
    testing::Values(
        AgeCase{"Never", {}, kNeutralPressurePoints},
        AgeCase{"JustNow", Calm(0), kMaxPressurePoints},
        AgeCase{"StillFresh", Calm(2500), kMaxPressurePoints},
        AgeCase{"HalfAsMuch", Calm(3750), (kMaxPressurePoints + kNeutralPressurePoints + 1) / 2},
        AgeCase{"HalfAsBad", Busy(3750), kNeutralPressurePoints / 2},
        AgeCase{"NearlyNothing", Calm(4999), kNeutralPressurePoints},
        AgeCase{"OverFiveSeconds", Calm(5001), kNeutralPressurePoints},
        AgeCase{"ThirtySeconds", Calm(30'000), kNeutralPressurePoints},
        AgeCase{"TenMinutes", Calm(600'000), kNeutralPressurePoints},
        AgeCase{"ClockSkew", Calm(-20), kNeutralPressurePoints}, AgeCase{"Busy", Busy(), 0},
        AgeCase{
            "OverCapacity", {.cpu_used_milli = 9000, .cpu_capacity_milli = 4000, .age_ms = 1}, 0},
        AgeCase{"NegativeUsageAfterReset",
                {.cpu_used_milli = -50, .cpu_capacity_milli = 4000, .age_ms = 1},
                kMaxPressurePoints},
        AgeCase{"NoCapacityKnown", {.cpu_used_milli = 100, .age_ms = 1}, kMaxPressurePoints},
        AgeCase{"PsiIgnoredWhenInvalid",
                {.cpu_capacity_milli = 4000, .psi_io_permille = 1000, .age_ms = 1},
                kMaxPressurePoints}),
    [](const auto& info) { return info.param.name; });

// `tier` says what is near enough: within it, nearness no longer counts.
TEST(RankingTest, NearerThanWantedIsNotBetter) {
  const FakeView view = OneNodePerTier();
  const auto ranked = Ranked(OnN1("Prefer", "Zone"), view, {{"n1", Busy()}, {"n2", Busy()}});
  EXPECT_EQ(ranked[0].node, "n3");
  EXPECT_EQ(ranked[0].tier, Tier::kZone);
  EXPECT_EQ(ranked[1].tier, Tier::kNode);
}

TEST(RankingTest, ExplainsTheFirstAndRanksAll) {
  FakeView view = OneNodePerTier();
  view.AddNode("n0", "r3", "za", "eu").ready = false;
  const api::BackupSource source = OnN1();
  const Location location = Locate(source, view);
  const auto all = RankNodes(source, location, view, kSmall, {}, {{"n2", 1}});
  const auto brief = RankNodes(source, location, view, kSmall, {}, {{"n2", 1}}, 2);
  ASSERT_EQ(brief.size(), all.size());
  EXPECT_EQ(Names(brief), Names(all));
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(brief[i].score, all[i].score);
    EXPECT_EQ(brief[i].feasible, all[i].feasible);
    EXPECT_EQ(brief[i].locality_points, all[i].locality_points);
    EXPECT_THAT(all[i].reasons, Not(IsEmpty()));
    EXPECT_EQ(brief[i].reasons, i < 2 ? all[i].reasons : std::vector<std::string>{});
  }
}

// Edge case 39: equals get equal scores, the scheduler picks one at random.
TEST(RankingTest, EqualNodesScoreTheSame) {
  FakeView view;
  for (int i = 0; i < 50; ++i) view.AddNode("n" + std::to_string(i), "r", "z", "eu");
  const auto ranked = Ranked(MakeSource({.zone = "z"}), view);
  for (const NodeScore& score : ranked) EXPECT_EQ(score.score, ranked[0].score);
}

// Edge case 27: nothing known of the data: any node will do, the reason is visible.
TEST(RankingTest, UnknownLocationIsNeutral) {
  const FakeView view = OneNodePerTier();
  for (const NodeScore& score : Ranked(MakeSource({}), view)) {
    EXPECT_TRUE(score.feasible);
    EXPECT_EQ(score.locality_points, kUnknownPoints);
    EXPECT_THAT(score.reasons, Contains(HasSubstr("says nothing about where its data is")));
  }
}

// Edge case 37, the part of steering: a burst is spread over what is equally near.
TEST(RankingTest, BurstSpreadsOverEqualNodes) {
  FakeView view;
  for (int i = 0; i < 10; ++i) view.AddNode("n" + std::to_string(i), "r", "z", "eu");
  const auto source = MakeSource({.zone = "z"});
  std::map<std::string, int> reserved;
  for (int pod = 0; pod < 100; ++pod) ++reserved[Ranked(source, view, {}, reserved)[0].node];
  for (const auto& [node, pods] : reserved) EXPECT_EQ(pods, 10) << node;
}

TEST(SteeringTest, GivesTheBestTierOnly) {
  FakeView view = OneNodePerTier();
  view.AddNode("n3b", "r3", "za", "eu");
  const auto on_rack_only = OnN1();
  EXPECT_THAT(SteeringCandidates(Ranked(on_rack_only, view), 3), ElementsAre("n1"));
  view.AddNode("n1", "r1", "za", "eu").schedulable = false;
  EXPECT_THAT(SteeringCandidates(Ranked(on_rack_only, view), 3), ElementsAre("n2"));
  view.AddNode("n2", "r1", "za", "eu").pods = 110;
  EXPECT_THAT(SteeringCandidates(Ranked(on_rack_only, view), 3), ElementsAre("n3", "n3b"));
  EXPECT_THAT(SteeringCandidates(Ranked(on_rack_only, view), 1), ElementsAre("n3"));
}

TEST(SteeringTest, GivesAllThatIsNearEnough) {
  const FakeView view = OneNodePerTier();
  EXPECT_THAT(SteeringCandidates(Ranked(OnN1("Prefer", "Zone"), view), 5),
              ElementsAre("n1", "n2", "n3"));
}

// Points of room are compared with steps; said as in docs/placement.md they are a rounded share.
TEST(RankingTest, RoomPointsAreTheSmallerShareRounded) {
  FakeView view;
  NodeInfo& node = view.AddNode("n1");
  const api::BackupSource source = OnN1();
  const Location location = Locate(source, view);
  std::mt19937_64 random(6);
  for (int i = 0; i < 10'000; ++i) {
    const auto amount = [&](int64_t most) { return static_cast<int64_t>(random() % most); };
    node.cpu_allocatable_milli = i % 50 == 0 ? 0 : amount(i % 2 == 0 ? 3000 : 200'000);
    node.cpu_requested_milli = amount(node.cpu_allocatable_milli + 10);
    node.memory_allocatable_bytes = amount(int64_t{1} << 40);
    node.memory_requested_bytes = amount(node.memory_allocatable_bytes + 10);
    const PodDemand demand{amount(2000), amount(int64_t{4} << 30), {}};
    const int reserved = static_cast<int>(amount(4));
    const auto permille = [&](int64_t allocatable, int64_t requested, int64_t wanted) -> int64_t {
      if (allocatable <= 0) return 0;
      const int64_t left = allocatable - requested - wanted * (1 + reserved);
      return std::clamp<int64_t>(left / std::max<int64_t>(1, allocatable / 1000), 0, 1000);
    };
    const int64_t share = std::min(
        permille(node.cpu_allocatable_milli, node.cpu_requested_milli, demand.cpu_milli),
        permille(node.memory_allocatable_bytes, node.memory_requested_bytes, demand.memory_bytes));
    ASSERT_EQ(ScoreNode(source, location, node, demand, {}, reserved).room_points,
              (share * kMaxRoomPoints + 500) / 1000)
        << "share " << share;
  }
}

}  // namespace
}  // namespace longshore::placement

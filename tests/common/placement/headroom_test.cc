// SPDX-License-Identifier: Apache-2.0
//
// What is left of a node for others: how it is counted, and that it never costs a pod its last
// node.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/placement/counterfactual.h"
#include "tests/common/placement/fake_view.h"

namespace longshore::placement {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// Each node has 4000m and 8 GiB.
PodDemand WithHeadroom(int percent) {
  return {.cpu_milli = 250,
          .memory_bytes = int64_t{256} << 20,
          .node_selector = {},
          .attached_to = {},
          .headroom_percent = percent};
}

struct HeadroomCase {
  const char* name;
  int64_t cpu_requested_milli, memory_requested_mib;
  int percent, reserved;
  const char* reason;  // "": it fits
};

class HeadroomTest : public testing::TestWithParam<HeadroomCase> {};

TEST_P(HeadroomTest, IsLeftAfterThePodAndThoseJustPlaced) {
  FakeView view;
  NodeInfo& node = view.AddNode("n1");
  node.cpu_requested_milli = GetParam().cpu_requested_milli;
  node.memory_requested_bytes = GetParam().memory_requested_mib << 20;
  const auto source = MakeSource({.node_name = "n1"});
  const auto score = ScoreNode(source, Locate(source, view), node, WithHeadroom(GetParam().percent),
                               {}, GetParam().reserved);
  EXPECT_EQ(score.feasible, *GetParam().reason == '\0');
  if (!score.feasible) {
    EXPECT_EQ(score.reasons[0], GetParam().reason);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shares, HeadroomTest,
    testing::Values(
        HeadroomCase{"ExactlyThat", 3550, 0, 5, 0, ""},
        HeadroomCase{"OneLess", 3551, 0, 5, 0,
                     "less than 5 % of its CPU would be left: 199m of 4000m"},
        HeadroomCase{"Memory", 0, 7168, 25, 0,
                     "less than 25 % of its memory would be left: 768 MiB of 8.0 GiB"},
        HeadroomCase{"NoneIsWanted", 3750, 0, 0, 0, ""},
        HeadroomCase{"TooFullIsToldFirst", 3800, 0, 5, 0, "too little CPU: 250m wanted, 200m free"},
        HeadroomCase{"JustPlaced", 3050, 0, 5, 2, ""},
        HeadroomCase{"JustPlacedCount", 3100, 0, 5, 2,
                     "less than 5 % of its CPU would be left: 150m of 4000m"},
        HeadroomCase{"OneMoreJustPlaced", 3050, 0, 5, 3, "too little CPU: 250m wanted, 200m free"}),
    [](const auto& info) { return info.param.name; });

class FullClusterTest : public testing::Test {
 protected:
  FullClusterTest() {
    for (const char* node : {"n1", "n2"}) view_.AddNode(node).cpu_requested_milli = 3700;
  }
  std::vector<NodeScore> Ranked(int percent) const {
    return RankNodes(source_, Locate(source_, view_), view_, WithHeadroom(percent), {}, {});
  }
  Counterfactual Ask(const std::string& node, int percent) const {
    return WhatWouldChange(source_, Locate(source_, view_), view_, WithHeadroom(percent), {}, {},
                           *view_.Node(node));
  }
  const api::BackupSource source_ = MakeSource({.node_name = "n1"});
  FakeView view_;
};

// A pod on a full node is better than none.
TEST_F(FullClusterTest, HeadroomThatNoNodeHasDoesNotCount) {
  EXPECT_EQ(Ranked(5)[0].node, "n1");
  EXPECT_TRUE(Ranked(5)[0].feasible);
  EXPECT_TRUE(Ranked(5)[1].feasible);
  view_.AddNode("n2").cpu_requested_milli = 3000;
  EXPECT_EQ(Ranked(5)[0].node, "n2");
  EXPECT_FALSE(Ranked(5)[1].feasible);
}

// Production is told that it gets less room than was promised.
TEST_F(FullClusterTest, HeadroomThatIsGivenUpIsSaidOfTheNodesThatGiveItUp) {
  view_.AddNode("n3").ready = false;
  const auto ranked = Ranked(5);
  for (const NodeScore& score : {ranked[0], ranked[1]}) {
    EXPECT_THAT(score.reasons, Contains("less than 5 % of its CPU would be left: 50m of 4000m, but "
                                        "nodeHeadroomPercent is waived: no node has so much"));
  }
  EXPECT_THAT(ranked[2].reasons, Not(Contains(HasSubstr("waived"))));
  view_.AddNode("n2").cpu_requested_milli = 3000;
  for (const NodeScore& score : Ranked(5)) {
    EXPECT_THAT(score.reasons, Not(Contains(HasSubstr("waived"))));
  }
}

TEST_F(FullClusterTest, SaysHowMuchHeadroomWasTooMuch) {
  view_.AddNode("n1").cpu_requested_milli = 3250;
  view_.AddNode("n2").cpu_requested_milli = 0;
  const Counterfactual asked = Ask("n1", 20);
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kHeadroom);
  ASSERT_EQ(asked.changes.size(), 2u);
  EXPECT_EQ(asked.changes[0].needed, "1050m CPU free");
  EXPECT_EQ(asked.changes[1].input, "nodeHeadroomPercent");
  EXPECT_EQ(asked.changes[1].value, 12);
  EXPECT_EQ(asked.changes[1].needed, "nodeHeadroomPercent of at most 12");
  EXPECT_EQ(asked.changes[1].effect, "Wins");
  EXPECT_EQ(Ranked(13)[0].node, "n2");
  EXPECT_EQ(Ranked(12)[0].node, "n1");
}

// What is told is how they rank, and that is without it.
TEST_F(FullClusterTest, HeadroomThatNoNodeHasIsNoObstacle) {
  EXPECT_TRUE(Ask("n1", 50).standing.wins);
  const Counterfactual asked = Ask("n2", 50);
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kNone);
  EXPECT_GT(asked.standing.score, 0);
}

}  // namespace
}  // namespace longshore::placement

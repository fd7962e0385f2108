// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a pod fits on, and what is said of those it does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/common/placement/made_ranking.h"

namespace longshore::placement {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

struct FitCase {
  const char* name;
  void (*change)(NodeInfo& node);
  int reserved;
  const char* reason;
};

class FeasibilityTest : public testing::TestWithParam<FitCase> {};

TEST_P(FeasibilityTest, SaysWhyNot) {
  FakeView view;
  GetParam().change(view.AddNode("n1"));
  const auto source = OnN1();
  const auto score =
      ScoreNode(source, Locate(source, view), *view.Node("n1"), kSmall, {}, GetParam().reserved);
  EXPECT_FALSE(score.feasible);
  EXPECT_FALSE(score.unresolvable);
  EXPECT_EQ(score.score, 0);
  EXPECT_THAT(score.reasons, Contains(HasSubstr(GetParam().reason)));
}

INSTANTIATE_TEST_SUITE_P(
    Obstacles, FeasibilityTest,
    testing::Values(
        FitCase{"NotReady", [](NodeInfo& n) { n.ready = false; }, 0, "not ready"},
        FitCase{"Cordoned", [](NodeInfo& n) { n.schedulable = false; }, 0, "cordoned"},
        FitCase{"Cpu", [](NodeInfo& n) { n.cpu_requested_milli = 3800; }, 0,
                "too little CPU: 250m wanted, 200m free"},
        FitCase{"Memory", [](NodeInfo& n) { n.memory_requested_bytes = int64_t{8} << 30; }, 0,
                "too little memory: 256 MiB wanted"},
        FitCase{"Pods", [](NodeInfo& n) { n.pods = 110; }, 0, "has its 110 pods"},
        FitCase{"CpuTakenByPodsJustPlaced", [](NodeInfo& n) { n.cpu_requested_milli = 3400; }, 2,
                "too little CPU: 250m wanted, 100m free"},
        FitCase{"PodsJustPlaced", [](NodeInfo& n) { n.pods = 108; }, 2, "has its 110 pods"}),
    [](const auto& info) { return info.param.name; });

// Drained, not ready or gone: steering goes to the next tier, and does not wait for it to come
// back.
TEST(RankingTest, Case34_NodeOfTheDataThatTakesNothingLeavesTheNextTier) {
  const auto source = OnN1();
  for (const auto& change : std::vector<std::function<void(NodeInfo&)>>{
           [](NodeInfo& node) { node.schedulable = false; },
           [](NodeInfo& node) { node.ready = false; },
           [](NodeInfo& node) { node.schedulable = node.ready = false; }}) {
    FakeView view = OneNodePerTier();
    change(view.AddNode("n1", "r1", "za", "eu"));
    const auto ranked = Ranked(source, view);
    EXPECT_THAT(SteeringCandidates(ranked, 3), ElementsAre("n2"));
    EXPECT_EQ(ranked.back().node, "n1");
  }
  FakeView view = OneNodePerTier();
  view.by_labels[{"db", {{"role", "leader"}}}] = {{"pg-0", "n1", true, ""}};
  view.RemoveNode("n1");  // its pod is not gone yet, but its labels are: none is near for sure
  const auto ranked = Ranked(MakeSource({.pod_labels = {{"role", "leader"}}}), view);
  for (const NodeScore& score : ranked) EXPECT_EQ(score.tier, Tier::kUnknown) << score.node;
}

TEST(RankingTest, Case29_PodGoesWhereItsVolumeIs) {
  FakeView view;
  view.AddNode("n1");
  view.AddNode("n2");
  const auto source = MakeSource({.node_name = "n1"});
  PodDemand demand;
  demand.attached_to = "n2";
  const auto ranked = RankNodes(source, Locate(source, view), view, demand, {}, {});
  EXPECT_EQ(ranked[0].node, "n2");
  EXPECT_FALSE(ranked[1].feasible);
  EXPECT_FALSE(ranked[1].unresolvable);
  EXPECT_EQ(ranked[1].reasons[0], "its volume can be on one node at a time and is attached to n2");
}

TEST(RankingTest, NodeWithItsBackupPodsTakesNoMore) {
  FakeView view;
  view.AddNode("n1").backup_pods = 2;
  view.AddNode("n2").backup_pods = 1;
  const auto source = MakeSource({.node_name = "n1"});
  PodDemand demand;
  demand.max_backup_pods = 2;
  const auto ranked = RankNodes(source, Locate(source, view), view, demand, {}, {});
  EXPECT_EQ(ranked[0].node, "n2");
  EXPECT_FALSE(ranked[1].feasible);
  EXPECT_THAT(ranked[1].reasons[0], HasSubstr("2 of at most 2 backup pods"));
  // One that was just placed there counts.
  EXPECT_FALSE(RankNodes(source, Locate(source, view), view, demand, {}, {{"n2", 1}})[0].feasible);
}

TEST(RankingTest, ExactFitFits) {
  FakeView view;
  view.AddNode("n1").cpu_requested_milli = 3750;
  EXPECT_TRUE(Ranked(OnN1(), view)[0].feasible);
}

TEST(RankingTest, NodeSelectorIsUnresolvable) {
  FakeView view;
  view.AddNode("n1").labels["disk"] = "hdd";
  const auto ranked = Ranked(OnN1(), view, {}, {}, {100, 100, {{"disk", "ssd"}}});
  EXPECT_FALSE(ranked[0].feasible);
  EXPECT_TRUE(ranked[0].unresolvable);
}

TEST(RankingTest, TaintedNodeIsForPodsThatTolerateIt) {
  FakeView view;
  view.AddNode("n1").taints = {{"dedicated", "db", "NoSchedule"}};
  view.AddNode("n2");
  PodDemand demand = kSmall;
  demand.tolerations.emplace();
  auto ranked = Ranked(OnN1(), view, {}, {}, demand);
  EXPECT_EQ(ranked[0].node, "n2");
  EXPECT_FALSE(ranked[1].feasible);
  EXPECT_TRUE(ranked[1].unresolvable);
  EXPECT_EQ(ranked[1].reasons[0],
            "the node has the taint dedicated=db:NoSchedule, which the pod's policy does not "
            "tolerate");
  demand.tolerations->push_back({"dedicated", "", "db", "NoSchedule"});
  EXPECT_EQ(Ranked(OnN1(), view, {}, {}, demand)[0].node, "n1");
  // kube-scheduler has looked at them before it asks.
  demand.tolerations.reset();
  EXPECT_EQ(Ranked(OnN1(), view, {}, {}, demand)[0].node, "n1");
}

}  // namespace
}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// What keeps a node out whatever its score: required tiers, caps, volumes, taints. As in
// counterfactual_test.cc each change is done by hand, and one step less than that.
#include <gtest/gtest.h>

#include <tuple>

#include "tests/common/placement/counterfactual_fixture.h"

namespace longshore::placement {
namespace {

// As in docs/placement.md: another mode lets it in, which is not yet to win.
TEST_F(CounterfactualTest, RequiredNearnessIsToldFromBeingBest) {
  Place({.node_name = "n1"}, "Require", "Node");
  const Counterfactual asked = Ask("n4");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kTooFar);
  const auto mode = Find(asked, "mode");
  ASSERT_TRUE(mode);
  EXPECT_EQ(mode->effect, "Passes");
  EXPECT_EQ(mode->text,
            "would have passed with spec.placement.mode Prefer (was Require), but not won: "
            "30 points against 93 of n1");
  EXPECT_FALSE(Find(asked, "tier"));
  const auto data = Find(asked, "data");
  ASSERT_TRUE(data);
  EXPECT_EQ(data->needed, "the data on n4");
  EXPECT_FALSE(Feasible("n4"));
  Place({.node_name = "n1"}, "Prefer", "Node");
  EXPECT_TRUE(Feasible("n4"));
  EXPECT_EQ(First(), "n1");
  Place({.node_name = "n4"}, "Require", "Node");
  EXPECT_EQ(First(), "n4");
}

TEST_F(CounterfactualTest, SaysWhichTierHadToDo) {
  Place({.node_name = "n1"}, "Require", "Node");
  const auto tier = Find(Ask("n3"), "tier");
  ASSERT_TRUE(tier);
  EXPECT_EQ(tier->needed, "spec.placement.tier Zone");
  EXPECT_EQ(tier->was, "Node");
  Place({.node_name = "n1"}, "Require", "Rack");
  EXPECT_FALSE(Feasible("n3"));
  Place({.node_name = "n1"}, "Require", "Zone");
  EXPECT_TRUE(Feasible("n3"));
}

// One obstacle behind the other: each is told, and then what else it takes.
TEST_F(CounterfactualTest, GoesOnUntilNothingKeepsTheNodeOut) {
  Node("n1").schedulable = false;
  Node("n1").ready = false;
  demand_.node_selector = {{"disk", "ssd"}};
  for (const char* other : {"n2", "n3", "n4"}) Node(other).labels["disk"] = "ssd";
  const Counterfactual asked = Ask("n1");
  ASSERT_EQ(asked.changes.size(), 3u);
  EXPECT_EQ(asked.changes[0].effect, "Clears");
  EXPECT_EQ(asked.changes[1].effect, "Clears");
  EXPECT_EQ(asked.changes[2].effect, "Wins");
  EXPECT_EQ(asked.changes[2].text,
            "would have won with the node ready and the node not cordoned and labels disk=ssd (was "
            "disk not set): 93 points against 72 of n2");
  Node("n1").schedulable = Node("n1").ready = true;
  EXPECT_NE(First(), "n1");
  Node("n1").labels["disk"] = "ssd";
  EXPECT_EQ(First(), "n1");
}

TEST_F(CounterfactualTest, SaysHowManyPodsWereTooMany) {
  Node("n1").pods = 115;
  const auto change = Find(Ask("n1"), "pods");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->value, 109);
  Node("n1").pods = 110;
  EXPECT_FALSE(Feasible("n1"));
  Node("n1").pods = 109;
  EXPECT_TRUE(Feasible("n1"));
}

TEST_F(CounterfactualTest, SaysHowManyBackupPodsWereTooMany) {
  demand_.max_backup_pods = 2;
  Node("n1").backup_pods = 3;
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kBackupPods);
  EXPECT_EQ(Find(asked, "backupPods")->text,
            "would have won with at most 1 backup pods bound to it (was 3): "
            "93 points against 72 of n2");
  EXPECT_EQ(Find(asked, "maxPodsPerNode")->needed, "maxPodsPerNode of at least 4");
  for (const auto& [bound, cap, fits] :
       {std::tuple(2, 2, false), {1, 2, true}, {3, 3, false}, {3, 4, true}}) {
    Node("n1").backup_pods = bound;
    demand_.max_backup_pods = cap;
    EXPECT_EQ(First() == "n1", fits) << bound << " of " << cap;
  }
}

TEST_F(CounterfactualTest, PodsJustPlacedCountAgainstTheCapToo) {
  demand_.max_backup_pods = 2;
  Node("n1").backup_pods = 1;
  reserved_["n1"] = 1;
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(Find(asked, "reserved")->value, 0);
  EXPECT_EQ(Find(asked, "reserved")->effect, "Wins");
  EXPECT_EQ(Find(asked, "backupPods")->value, 0);
  // Where there are too many of both, fewer of one alone are too many still.
  Node("n1").backup_pods = reserved_["n1"] = 2;
  const Counterfactual both = Ask("n1");
  EXPECT_FALSE(Find(both, "reserved"));
  EXPECT_FALSE(Find(both, "backupPods"));
  EXPECT_EQ(Find(both, "maxPodsPerNode")->value, 5);
  demand_.max_backup_pods = 4;
  EXPECT_FALSE(Feasible("n1"));
  demand_.max_backup_pods = 5;
  EXPECT_TRUE(Feasible("n1"));
}

TEST_F(CounterfactualTest, SaysThatAVolumeHadToBeDetached) {
  demand_.attached_to = "n3";
  EXPECT_TRUE(Ask("n3").standing.wins);
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kAttached);
  ASSERT_EQ(asked.changes.size(), 1u);
  EXPECT_EQ(asked.changes[0].text,
            "would have won with no volume of the pod attached to another node (was attached to "
            "n3): 93 points against 72 of n2");
  demand_.attached_to.clear();
  EXPECT_EQ(First(), "n1");
}

TEST_F(CounterfactualTest, SaysWhichTaintsHadToBeTolerated) {
  demand_.tolerations.emplace();
  for (const char* node : {"n1", "n2"}) Node(node).taints = {{"dedicated", "db", "NoSchedule"}};
  Node("n1").taints.push_back({"gpu", "", "NoExecute"});
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kTainted);
  ASSERT_EQ(asked.changes.size(), 1u);
  EXPECT_EQ(asked.changes[0].input, "taint");
  // n2 is let in by it too, and is the next best.
  EXPECT_EQ(asked.changes[0].text,
            "would have won with the taints dedicated=db:NoSchedule, gpu:NoExecute tolerated (was "
            "not tolerated): 93 points against 72 of n2");
  demand_.tolerations->push_back({"dedicated", "Equal", "db", "NoSchedule"});
  EXPECT_EQ(First(), "n2");
  demand_.tolerations->push_back({"gpu", "Exists", "", ""});
  EXPECT_EQ(First(), "n1");
}

TEST_F(CounterfactualTest, SaysWhenNoSingleChangeLetsANodeIn) {
  demand_.cpu_milli = 5000;
  Node("n1").ready = false;
  const Counterfactual asked = Ask("n1");
  ASSERT_EQ(asked.changes.size(), 2u);
  EXPECT_EQ(asked.changes[0].effect, "Clears");
  EXPECT_EQ(asked.changes[1].input, "none");
  EXPECT_EQ(asked.changes[1].text,
            "with the node ready, no change of one input alone would have let it in");
}

}  // namespace
}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// Required nearness that is given up after spec.placement.requireTimeoutSeconds. Numbers in names
// are those of the list of edge cases in docs/placement.md.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// No pod is bound unless a test says so.
class RequireTimeoutTest : public WorldTest {
 protected:
  RequireTimeoutTest() {
    world.AddBasics();
    world.kubelets_work = false;
  }
  void Require(const std::string& tier, std::optional<int> timeout) {
    world.cluster.Edit(kube::kBackupSources, kNs, "orders", [&](api::Json& source) {
      api::Json& placement = source["spec"]["placement"];
      placement = {{"mode", "Require"}, {"tier", tier}};
      if (timeout) placement["requireTimeoutSeconds"] = *timeout;
    });
  }
  // Of the attempts in order: the mode of each, "" while nearness is required.
  std::vector<std::string> Modes() const {
    std::map<int, std::string> modes;
    for (const api::BackupPod& row : world.Rows("r")) {
      modes[row.spec.attempt] = row.spec.placement_mode;
      EXPECT_EQ(row.spec.slot, 0);
    }
    std::vector<std::string> in_order;
    for (const auto& [attempt, mode] : modes) in_order.push_back(mode);
    return in_order;
  }
  api::BackupPod Newest() const {
    api::BackupPod newest;
    for (const api::BackupPod& row : world.Rows("r")) {
      if (row.spec.attempt >= newest.spec.attempt) newest = row;
    }
    return newest;
  }
  std::string AnnotationOf(const api::BackupPod& row) const {
    const auto pod = world.cluster.Get(kube::kPods, kNs, row.metadata.name);
    return pod ? std::string(kube::AnnotationOf(*pod, api::kAnnotationPlacementMode)) : "no pod";
  }
};

TEST_F(RequireTimeoutTest, Case41_RequirementBecomesAPreferenceAfterItsTime) {
  Require("Node", 70);
  world.AddRequest("r", 1, 3);
  world.Run(seconds(69));
  EXPECT_THAT(Modes(), ElementsAre(""));
  EXPECT_EQ(AnnotationOf(Newest()), "");
  EXPECT_THAT(Newest().spec.candidate_nodes, ElementsAre("node-1"));
  world.Run(seconds(3));
  ASSERT_THAT(Modes(), ElementsAre("", "Prefer"));
  EXPECT_EQ(AnnotationOf(Newest()), "Prefer");
  EXPECT_THAT(Newest().spec.candidate_nodes, ElementsAre("node-1", "node-2", "node-3"));
  EXPECT_THAT(Newest().status.message, HasSubstr("timed out"));
  EXPECT_THAT(world.cluster.events(), Contains("RequireTimedOut"));
  for (const api::BackupPod& row : world.Rows("r")) {
    if (row.spec.attempt > 0) continue;
    EXPECT_EQ(row.status.reason, "RequireTimedOut");
    EXPECT_THAT(row.status.message, HasSubstr("requireTimeoutSeconds"));
  }
  world.kubelets_work = true;
  EXPECT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAvailable) == 1; }));
}

// What helps is not to set what is set.
TEST_F(RequireTimeoutTest, WhereNoNodeWillDoItIsSaidThatTheTimeoutComes) {
  Require("Node", 70);
  world.cluster.view().AddNode("node-1").ready = false;
  world.AddRequest("r", 1, 3);
  world.Run(seconds(3));
  const auto provisioned = world.Condition("r", "PodsProvisioned");
  EXPECT_EQ(provisioned->reason, "NoFeasibleNode");
  EXPECT_THAT(provisioned->message, HasSubstr("when the source's requireTimeoutSeconds of 70 are"));
}

TEST_F(RequireTimeoutTest, Case41_WithoutATimeoutItWaitsForEver) {
  Require("Node", std::nullopt);
  world.AddRequest("r", 1, 3);
  world.Run(seconds(2000));
  EXPECT_THAT(Modes(), ElementsAre(""));
  EXPECT_THAT(world.cluster.events(), Not(Contains("RequireTimedOut")));
}

// The controller forgets everything every few seconds; what the objects say is enough.
TEST_F(RequireTimeoutTest, Case41_RestartsInTheMiddleLoseNothing) {
  Require("Node", 70);
  world.AddRequest("r", 1, 3);
  for (int i = 0; i < 10; ++i) {
    world.Run(std::chrono::milliseconds(6900));
    EXPECT_THAT(Modes(), ElementsAre(""));
    world.Restart();
  }
  world.Run(seconds(3));
  EXPECT_THAT(Modes(), ElementsAre("", "Prefer"));
}

// Wider attempts on the way are part of the same search, which is as long as it is.
TEST_F(RequireTimeoutTest, Case41_TimeCountsFromTheFirstAttempt) {
  for (const char* node : {"node-1", "node-2", "node-3", "node-4", "node-5"}) {
    world.cluster.view().AddNode(node, "", "za", "eu");
  }
  world.cluster.view().AddNode("far", "", "zb", "eu");
  Require("Zone", 50);
  world.AddRequest("r", 1, 3);
  world.Run(seconds(49));
  EXPECT_THAT(Modes(), ElementsAre("", ""));
  EXPECT_THAT(Newest().spec.candidate_nodes, SizeIs(5));
  world.Run(seconds(3));
  EXPECT_THAT(Modes(), ElementsAre("", "", "Prefer"));
  EXPECT_THAT(Newest().spec.candidate_nodes, Contains("far"));
  // Nor do those few nodes take it: it may go anywhere, and is still not required to be near.
  world.Run(seconds(35));
  EXPECT_THAT(Modes(), ElementsAre("", "", "Prefer", "Prefer"));
  EXPECT_THAT(Newest().spec.candidate_nodes, IsEmpty());
}

// There is no attempt while no node will do; since when, the condition says.
TEST_F(RequireTimeoutTest, Case41_TimeCountsWhileThereIsNoNodeToTry) {
  world.cluster.Edit(kube::kBackupSources, kNs, "orders", [](api::Json& source) {
    source["spec"]["location"] = {{"podLabels", {{"role", "leader"}}}};
  });
  Require("Node", 70);
  world.AddRequest("r", 1, 3);
  for (int i = 0; i < 10; ++i) {
    world.Run(std::chrono::milliseconds(6900));
    EXPECT_THAT(Modes(), IsEmpty());
    EXPECT_EQ(world.Condition("r", "Placeable")->status, "False");
    world.Restart();
  }
  world.Run(seconds(8));
  EXPECT_THAT(Modes(), ElementsAre("Prefer"));
  EXPECT_THAT(world.cluster.events(), Contains("RequireTimedOut"));
  EXPECT_EQ(world.Condition("r", "Placeable")->status, "True");
}

// The next search begins with the requirement.
TEST_F(RequireTimeoutTest, APodThatIsLostIsReplacedNearItsDataAgain) {
  Require("Node", 10);
  world.AddRequest("r", 1, 1);
  world.Run(seconds(12));
  world.kubelets_work = true;
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAvailable) == 1; }));
  world.kubelets_work = false;
  world.cluster.Remove(kube::kPods, kNs, Newest().metadata.name);
  world.Run(seconds(5));
  EXPECT_THAT(Modes(), ElementsAre("", "Prefer", ""));
}

// Rows of a long search are tidied away, but not the one that says how long it is.
TEST_F(RequireTimeoutTest, ALongSearchKeepsItsBeginning) {
  std::vector<api::BackupPodPtr> rows;
  for (int attempt = 0; attempt < 4; ++attempt) {
    api::BackupPod row;
    row.spec.attempt = attempt;
    row.status.state = attempt < 3 ? api::kFailed : api::kProvisioning;
    row.status.reason = attempt < 3 ? kReasonUnplaced : "PodCreated";
    row.metadata.creation_timestamp = "2026-01-01T00:0" + std::to_string(attempt) + ":00Z";
    row.status.last_transition_time = row.metadata.creation_timestamp;
    rows.push_back(std::make_shared<const api::BackupPod>(row));
  }
  const Crew crew = MakeCrew(
      rows, [](const api::BackupPod& row) { return row.status.state == api::kProvisioning; });
  const auto prunable = crew.Prunable(*ParseTime("2026-01-01T01:00:00Z"), seconds(900), false);
  std::vector<int> attempts;
  for (const CrewMember* member : prunable) attempts.push_back(member->row->spec.attempt);
  EXPECT_THAT(attempts, ElementsAre(1, 2));
  EXPECT_EQ(crew.SearchOf(0, 3).since, "2026-01-01T00:00:00Z");
  EXPECT_EQ(crew.SearchOf(0, 3).widening, 3);
}

}  // namespace
}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// Pods that no node has taken yet: bursts of requests, and how soon more nodes are tried.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// No pod is bound unless a test says so.
class UnboundTest : public WorldTest {
 protected:
  UnboundTest() {
    world.AddBasics();
    world.kubelets_work = false;
  }
  // How often each node is the first that a row was offered.
  std::map<std::string, int> FirstChoices() const {
    std::map<std::string, int> nodes;
    for (const api::BackupPodPtr& row : world.cluster.Rows(kNs)) {
      if (!row->spec.candidate_nodes.empty()) ++nodes[row->spec.candidate_nodes.front()];
    }
    return nodes;
  }
  std::vector<size_t> Offered() const {
    std::map<int, size_t> by_attempt;
    for (const api::BackupPod& row : world.Rows("r")) {
      by_attempt[row.spec.attempt] = row.spec.candidate_nodes.size();
    }
    std::vector<size_t> offered;
    for (const auto& [attempt, nodes] : by_attempt) offered.push_back(nodes);
    return offered;
  }
  // kube-scheduler looks at each pod soon after it was made, and finds no node for it.
  void RunRefusing(seconds time) {
    for (const auto end = world.clock.Now() + time; world.clock.Now() < end;) {
      for (const kube::ObjectPtr& pod : world.cluster.Objects(kube::kPods)) {
        if (pod->contains("/status/conditions"_json_pointer)) continue;
        world.cluster.Edit(kube::kPods, kNs, std::string(kube::NameOf(*pod)),
                           [&](api::Json& object) {
                             object["status"]["conditions"] = {
                                 {{"type", "PodScheduled"},
                                  {"status", "False"},
                                  {"reason", "Unschedulable"},
                                  {"message", "0/3 nodes are available"},
                                  {"lastTransitionTime", FormatTimeSeconds(world.clock.Now())}}};
                           });
      }
      world.Run(std::chrono::milliseconds(250));
    }
  }
};

// node-1 has the data, and room for 19 pods of 200m if 5 % are left.
TEST_F(UnboundTest, Case37_ManyRequestsAtOnceShareTheNode) {
  for (int i = 0; i < 25; ++i) world.AddRequest("r" + std::to_string(i), 1, 1);
  world.Run(seconds(5));
  EXPECT_THAT(world.cluster.Rows(kNs), SizeIs(25));
  EXPECT_EQ(FirstChoices(),
            (std::map<std::string, int>{{"node-1", 19}, {"node-2", 3}, {"node-3", 3}}));
}

// One crew of as many spreads as it did before.
TEST_F(UnboundTest, Case37_OneRequestForAsManyDoesTheSame) {
  world.AddRequest("r", 25, 25);
  world.Run(seconds(5));
  EXPECT_EQ(FirstChoices(),
            (std::map<std::string, int>{{"node-1", 19}, {"node-2", 3}, {"node-3", 3}}));
}

TEST_F(UnboundTest, WhatTheSchedulerRefusesIsSoonOfferedMore) {
  world.AddRequest("r", 1, 1);
  RunRefusing(seconds(2));
  EXPECT_THAT(Offered(), ElementsAre(1));
  RunRefusing(seconds(3));
  EXPECT_THAT(Offered(), ElementsAre(1, 3));
  RunRefusing(seconds(5));
  EXPECT_THAT(Offered(), ElementsAre(1, 3, 0));
  // It may go anywhere, and there is nothing wider.
  RunRefusing(seconds(60));
  EXPECT_THAT(Offered(), ElementsAre(1, 3, 0));
}

// A scheduler that has not looked yet, since it is away or busy, is waited for.
TEST_F(UnboundTest, WhatNobodyHasRefusedHasItsTime) {
  world.AddRequest("r", 1, 1);
  world.Run(seconds(28));
  EXPECT_THAT(Offered(), ElementsAre(1));
  world.Run(seconds(5));
  EXPECT_THAT(Offered(), ElementsAre(1, 3));
}

// There is always another node that was not offered, and none of them takes it.
TEST_F(UnboundTest, ALongSearchIsNotHurried) {
  for (int i = 1; i < 80; ++i) world.cluster.view().AddNode("node-" + std::to_string(i), "", "za");
  world.cluster.Edit(kube::kBackupSources, kNs, "orders", [&](api::Json& source) {
    source["spec"]["placement"] = {{"mode", "Require"}, {"tier", "Zone"}};
  });
  world.AddRequest("r", 1, 1);
  RunRefusing(seconds(25));
  EXPECT_THAT(Offered(), ElementsAre(3, 10, 64));
}

TEST_F(UnboundTest, NodesThatAreGoneAreNotWaitedFor) {
  world.AddRequest("r", 1, 1);
  world.Run(seconds(2));
  ASSERT_THAT(Offered(), ElementsAre(1));
  world.cluster.view().RemoveNode("node-1");
  world.cluster.Edit(kube::kPods, kNs, world.PodNames().at(0), [](api::Json& pod) {
    pod["metadata"]["annotations"]["seen-by"] = "the scheduler";
  });
  world.Run(seconds(1));
  EXPECT_THAT(Offered(), ElementsAre(1, 2));
  for (const api::BackupPod& row : world.Rows("r")) {
    if (row.spec.attempt > 0) continue;
    EXPECT_EQ(row.status.reason, kReasonUnplaced);
    EXPECT_THAT(row.status.message, HasSubstr("have left the cluster"));
  }
}

}  // namespace
}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a pod is offered, beyond nearness: taints, headroom, caps and attached volumes.
#include "controller/steering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/placement/fake_view.h"

namespace longshore::controller {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SteeringTest : public testing::Test {
 protected:
  SteeringTest() {
    for (const char* node : {"n1", "n2", "n3"}) view_.AddNode(node);
    refs_.source = placement::MakeSource({.node_name = "n1"});
    request_.spec.purpose = "Backup";
  }
  Steer Next() { return SteerPod({refs_, request_, view_, {}}, crew_, 0, false); }
  // The next pod is planned, and offered those.
  std::vector<std::string> Plan() {
    const Steer steer = Next();
    api::BackupPod row;
    row.metadata.ns = "db";
    row.metadata.name = "p" + std::to_string(crew_.members.size());
    row.spec.slot = static_cast<int>(crew_.members.size());
    row.spec.candidate_nodes = steer.candidates;
    row.status.state = api::kProvisioning;
    row.status.pod_uid = "u-" + row.metadata.name;
    crew_.Add(std::make_shared<const api::BackupPod>(row), true);
    return steer.candidates;
  }

  placement::FakeView view_;
  References refs_;
  api::ComputeRequest request_;
  Crew crew_;
};

TEST_F(SteeringTest, CapSpreadsABurst) {
  refs_.policy.spec.max_pods_per_node = 1;
  EXPECT_THAT(Plan(), ElementsAre("n1"));
  EXPECT_THAT(Plan(), ElementsAre("n2", "n3"));
  EXPECT_THAT(Plan(), ElementsAre("n3"));
  EXPECT_THAT(Next().candidates, IsEmpty());
  EXPECT_TRUE(Next().possible);  // the extender lets it wait for a place
  refs_.source.spec.placement.mode = "Require";
  EXPECT_FALSE(Next().possible);
}

// Its Pod is among the node's, and its row does not say yet that it is bound.
TEST_F(SteeringTest, BoundPodCountsOnce) {
  refs_.policy.spec.max_pods_per_node = 2;
  EXPECT_THAT(Plan(), ElementsAre("n1"));
  view_.AddNode("n1").backup_pods = 1;
  view_.bound["db/p0/u-p0"] = "n1";
  EXPECT_THAT(Plan(), ElementsAre("n1"));
  EXPECT_THAT(Next().candidates, ElementsAre("n2", "n3"));
}

TEST_F(SteeringTest, TaintedNodeIsOfferedToThoseWhoTolerateIt) {
  view_.AddNode("n1").taints = {{"dedicated", "db", "NoSchedule"}};
  EXPECT_THAT(Next().candidates, ElementsAre("n2", "n3"));
  refs_.policy.spec.tolerations = {{"dedicated", "Exists", "", ""}};
  EXPECT_THAT(Next().candidates, ElementsAre("n1"));
}

TEST_F(SteeringTest, LeavesRoomForProductionWhereItCan) {
  view_.AddNode("n1").cpu_requested_milli = 3900;  // of 4000, and the pod asks for nothing
  EXPECT_THAT(Next().candidates, ElementsAre("n2", "n3"));
  refs_.policy.spec.node_headroom_percent = 0;
  EXPECT_THAT(Next().candidates, ElementsAre("n1"));
  refs_.policy.spec.node_headroom_percent = 5;
  for (const char* node : {"n2", "n3"}) view_.AddNode(node).cpu_requested_milli = 3900;
  EXPECT_THAT(Next().candidates, ElementsAre("n1"));
}

// Nor does it keep a pod for ever from a node that is the only one left.
TEST_F(SteeringTest, RequiredNearnessIsNotLostToHeadroom) {
  refs_.source = placement::MakeSource({.node_name = "n1"}, "Require");
  view_.AddNode("n1").cpu_requested_milli = 3900;
  EXPECT_THAT(Next().candidates, ElementsAre("n1"));
  EXPECT_TRUE(Next().possible);
  refs_.source.spec.placement.tier = "Zone";
  for (const char* node : {"n1", "n2", "n3"}) view_.AddNode(node, "", "za");
  view_.AddNode("n1", "", "za").cpu_requested_milli = 0;
  view_.AddNode("n3", "", "za").memory_requested_bytes = int64_t{8} << 30;
  const SteerInput input{refs_, request_, view_, {}};
  api::BackupPod row;
  row.spec.candidate_nodes = {"n1", "n2"};
  EXPECT_THAT(SteerPod(input, crew_, 1, false).candidates, ElementsAre("n1", "n2"));
  EXPECT_TRUE(WiderExists(input, row));
  EXPECT_THAT(SteerPod(input, crew_, 2, false).candidates, ElementsAre("n1", "n2", "n3"));
}

TEST_F(SteeringTest, Case29_PodThatMountsAnAttachedVolumeGoesToIt) {
  refs_.source.spec.filesystem.emplace().persistent_volume_claim = "data";
  view_.attached[{"db", "data"}] = {"n2"};
  EXPECT_THAT(Next().candidates, ElementsAre("n2"));
  request_.spec.purpose = "Verify";  // mounts nothing
  EXPECT_THAT(Next().candidates, ElementsAre("n1"));
}

}  // namespace
}  // namespace longshore::controller

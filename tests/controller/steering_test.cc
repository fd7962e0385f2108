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
  Steer Next(int widening = 0) {
    return SteerPod({refs_, request_, view_, {}}, ExpectedOn(rows_, view_, now_), widening, false);
  }
  // The next pod is planned, and offered those.
  std::vector<std::string> Plan() {
    const Steer steer = Next();
    api::BackupPod row;
    row.metadata.ns = "db";
    row.metadata.name = "p" + std::to_string(rows_.size());
    row.metadata.creation_timestamp = FormatTimeSeconds(now_);
    row.spec.candidate_nodes = steer.candidates;
    row.status.state = api::kProvisioning;
    row.status.pod_uid = "u-" + row.metadata.name;
    EXPECT_TRUE(LooksForANode(row));
    rows_.push_back(std::make_shared<const api::BackupPod>(row));
    return steer.candidates;
  }

  placement::FakeView view_;
  References refs_;
  api::ComputeRequest request_;
  std::vector<api::BackupPodPtr> rows_;
  WallTime now_ = *ParseTime("2026-11-23T00:00:00Z");
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

// A Pod that waits for something else, such as its claim, keeps nobody from its node for ever.
TEST_F(SteeringTest, APlaceIsHeldForAWhile) {
  refs_.policy.spec.max_pods_per_node = 1;
  EXPECT_THAT(Plan(), ElementsAre("n1"));
  now_ += kHoldsPlace - std::chrono::seconds(1);
  EXPECT_THAT(Next().candidates, ElementsAre("n2", "n3"));
  now_ += std::chrono::seconds(1);
  EXPECT_THAT(Next().candidates, ElementsAre("n1"));
}

TEST_F(SteeringTest, OnlyRowsThatMayBecomeBoundLookForANode) {
  api::BackupPod row;
  EXPECT_FALSE(LooksForANode(row));  // it may go anywhere
  row.spec.candidate_nodes = {"n1"};
  for (const char* state : {"", api::kPlanned, api::kProvisioning}) {
    row.status.state = state;
    EXPECT_TRUE(LooksForANode(row)) << state;
  }
  for (const char* state : {api::kAvailable, api::kAssigned, api::kDraining, api::kFailed}) {
    row.status.state = state;
    EXPECT_FALSE(LooksForANode(row)) << state;
  }
  row.status.state = api::kProvisioning;
  row.status.node_name = "n1";
  EXPECT_FALSE(LooksForANode(row));  // its worker is silent
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
  api::BackupPod row;
  row.spec.candidate_nodes = {"n1", "n2"};
  EXPECT_THAT(Next(1).candidates, ElementsAre("n1", "n2"));
  EXPECT_TRUE(WiderExists({refs_, request_, view_, {}}, row));
  EXPECT_THAT(Next(2).candidates, ElementsAre("n1", "n2", "n3"));
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

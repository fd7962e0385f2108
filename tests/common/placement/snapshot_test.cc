// SPDX-License-Identifier: Apache-2.0
//
// Nodes, what is requested of them, and how one snapshot follows another.
#include "tests/common/placement/made_snapshots.h"

namespace longshore::placement {
namespace {

TEST_F(SnapshotTest, ReadsNodes) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  const auto snapshot = Build();
  const NodeInfo* node = snapshot->Node("n1");
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->rack, "r-n1");
  EXPECT_EQ(node->zone, "za");
  EXPECT_EQ(node->region, "eu");
  EXPECT_TRUE(node->ready && node->schedulable);
  EXPECT_EQ(node->cpu_allocatable_milli, 3920);
  EXPECT_EQ(node->memory_allocatable_bytes, int64_t{8} << 30);
  EXPECT_EQ(node->max_pods, 110);
  EXPECT_EQ(snapshot->Node("n2"), nullptr);
}

TEST_F(SnapshotTest, NodeWithoutReadyConditionIsNotReady) {
  Json node = NodeJson("n1");
  node["status"].erase("conditions");
  node["spec"]["unschedulable"] = true;
  Add(&SnapshotBuilder::Node, node);
  const auto snapshot = Build();
  EXPECT_FALSE(snapshot->Node("n1")->ready);
  EXPECT_FALSE(snapshot->Node("n1")->schedulable);
}

TEST_F(SnapshotTest, AddsUpRequestsOfPods) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  Add(&SnapshotBuilder::Pod, PodJson("b", "n1"));
  Add(&SnapshotBuilder::Pod, PodJson("unbound", ""));
  const auto snapshot = Build();
  EXPECT_EQ(snapshot->Node("n1")->cpu_requested_milli, 3000);
  EXPECT_EQ(snapshot->Node("n1")->memory_requested_bytes, int64_t{2} << 30);
  EXPECT_EQ(snapshot->Node("n1")->pods, 2);
}

// Anybody may ask for what no node has; it must not turn into room for others when it is added up.
TEST_F(SnapshotTest, RequestsBeyondAnyNodeStopCounting) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  const auto asking = [](const std::string& name, const char* amount) {
    Json pod = PodJson(name, "n1", "u-" + name);
    const Json container{{"resources", {{"requests", {{"cpu", amount}, {"memory", amount}}}}}};
    pod["spec"]["containers"] = Json::array({container, container});
    pod["spec"]["initContainers"] = Json::array({container});
    return pod;
  };
  std::vector<Json> pods;
  for (const char* amount : {"9e15", "9223372036854775807", "9E"}) {
    pods.push_back(asking("p-" + std::to_string(pods.size()), amount));
    EXPECT_EQ(ReadPod(pods.back()).cpu_milli, kMostRequested) << amount;
    EXPECT_EQ(ReadPod(pods.back()).memory_bytes, kMostRequested) << amount;
  }
  for (int i = 0; i < 10'000; ++i) pods.push_back(asking("q-" + std::to_string(i), "9e15"));
  for (const Json& pod : pods) Add(&SnapshotBuilder::Pod, pod);
  const auto full = Build();
  EXPECT_EQ(full->Node("n1")->cpu_requested_milli, kMostRequestedOfNode);
  EXPECT_EQ(full->Node("n1")->memory_requested_bytes, kMostRequestedOfNode);
  EXPECT_LT(full->Table().room(0).cpu_milli.free, 0);
  for (size_t i = 1; i < pods.size(); ++i) builder_.Pod(&pods[i], nullptr);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, kMostRequested);
  builder_.Pod(&pods[0], nullptr);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, 0);
}

TEST_F(SnapshotTest, CountsBackupPodsOfEachNode) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("pg-0", "n1"));
  Json ours = PodJson("lsp-1", "n1", "u2");
  ours["metadata"]["labels"][api::kLabelSource] = "orders";
  Add(&SnapshotBuilder::Pod, ours);
  EXPECT_EQ(Build()->Node("n1")->backup_pods, 1);
  EXPECT_EQ(Build()->Node("n1")->pods, 2);
  ours["status"]["phase"] = "Succeeded";
  Add(&SnapshotBuilder::Pod, ours);
  EXPECT_EQ(Build()->Node("n1")->backup_pods, 0);
}

// What was published does not change: a request is answered from one state of the cluster.
TEST_F(SnapshotTest, StaysAsItWasWhenTheClusterMovesOn) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  const auto before = Build();
  const Json pod = PodJson("a", "n1");
  builder_.Pod(&pod, nullptr);
  Add(&SnapshotBuilder::Node, NodeJson("n1", "zb"));
  const auto after = Build();
  EXPECT_EQ(before->Node("n1")->pods, 1);
  EXPECT_EQ(before->Node("n1")->zone, "za");
  EXPECT_EQ(after->Node("n1")->pods, 0);
  EXPECT_EQ(after->Node("n1")->cpu_requested_milli, 0);
  EXPECT_EQ(after->Node("n1")->zone, "zb");
}

TEST_F(SnapshotTest, SharesNodesThatDidNotChange) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Node, NodeJson("n2"));
  const auto before = Build();
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  const auto after = Build();
  EXPECT_NE(before->Node("n1"), after->Node("n1"));
  EXPECT_EQ(before->Node("n2"), after->Node("n2"));
}

TEST_F(SnapshotTest, FinishedPodsHoldNoRoom) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  Json done = PodJson("a", "n1");
  done["status"]["phase"] = "Succeeded";
  Add(&SnapshotBuilder::Pod, done);
  EXPECT_EQ(Build()->Node("n1")->pods, 0);
}

// Pods are listed before their nodes, or a node comes back under its name (edge case 19).
TEST_F(SnapshotTest, UsageSurvivesTheOrderOfArrival) {
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  EXPECT_EQ(Build()->Node("n1"), nullptr);
  const Json node = NodeJson("n1");
  Add(&SnapshotBuilder::Node, node);
  EXPECT_EQ(Build()->Node("n1")->pods, 1);
  builder_.Node(&node, nullptr);
  EXPECT_EQ(Build()->Node("n1"), nullptr);
  Add(&SnapshotBuilder::Node, node);
  EXPECT_EQ(Build()->Node("n1")->pods, 1);
}

TEST_F(SnapshotTest, CountsInitContainersSidecarsAndOverheadAsTheSchedulerDoes) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Json pod = PodJson("a", "n1");
  pod["spec"]["initContainers"] = {
      {{"restartPolicy", "Always"}, {"resources", {{"requests", {{"cpu", "100m"}}}}}},
      {{"resources", {{"requests", {{"cpu", "2"}}}}}}};
  pod["spec"]["overhead"] = {{"cpu", "10m"}};
  Add(&SnapshotBuilder::Pod, pod);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, 2110);  // max(1600, 2100) + 10
  pod["spec"]["resources"]["requests"]["cpu"] = "3";
  Add(&SnapshotBuilder::Pod, pod);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, 3010);
}

// What an API server of another version, or an attacker with rights to write, might send.
TEST_F(SnapshotTest, MalformedObjectsAreReadAsFarAsPossible) {
  for (const char* text :
       {R"({"metadata":{"name":"n1","labels":7},"status":{"conditions":[3],"allocatable":"x"}})",
        R"({"metadata":{"name":"n1","labels":{"a":1}},"spec":[],"status":null})"}) {
    Add(&SnapshotBuilder::Node, Json::parse(text));
    EXPECT_NE(Build()->Node("n1"), nullptr);
  }
  for (
      const char* text :
      {R"({"metadata":{"namespace":"db","name":"p"},"spec":{"containers":{"a":1},"volumes":3}})",
       R"({"metadata":{"namespace":"db","name":"p"},"spec":{"nodeName":"n1","containers":[7]}})"}) {
    Add(&SnapshotBuilder::Pod, Json::parse(text));
    Build();
  }
  EXPECT_EQ(Build()->Node("n1")->pods, 1);
}

}  // namespace
}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// The view against a real API server: objects are written by another client, snapshots follow.
#include "common/placement/cluster_view.h"

#include <gmock/gmock.h>

#include "tests/common/kube/real_cluster.h"

namespace longshore::placement {
namespace {

using kube::Json;
using testing::ElementsAre;
using testing::HasSubstr;

class ClusterViewTest : public kube::RealClusterTest {
 protected:
  void SetUp() override {
    RealClusterTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    AddNode();
    view_ = std::make_unique<ClusterView>(*client_);
  }
  void TearDown() override {
    if (view_ != nullptr) view_->Stop();
    if (client_ != nullptr) {
      (void)client_->Delete(kube::kPods, ns_, "pg-0", {.grace_period_seconds = 0});
      (void)client_->Delete(kube::kNodes, "", node_);
      (void)client_->Delete(kube::kPersistentVolumes, "", volume_);
    }
    RealClusterTest::TearDown();
  }

  // A node without a kubelet, which nothing else is scheduled to.
  void AddNode() {
    const Json node{{"metadata",
                     {{"name", node_},
                      {"labels",
                       {{"topology.kubernetes.io/zone", "zone-x"},
                        {"topology.kubernetes.io/region", "region-x"},
                        {"topology.longshore.dev/rack", "rack-x"}}}}},
                    {"spec", {{"unschedulable", true}}}};
    ASSERT_TRUE(client_->Create(kube::kNodes, "", node).has_value());
    const Json status{{"status",
                       {{"allocatable", {{"cpu", "4"}, {"memory", "8Gi"}, {"pods", "110"}}},
                        {"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
    ASSERT_TRUE(client_->Patch(kube::kNodes, "", node_, kube::PatchType::kMerge, status, "status")
                    .has_value());
  }

  // A pod as a kubelet would report it: bound, running, with the claim mounted.
  void AddLeader() { AddPod("pg-0", "leader"); }
  void AddPod(const std::string& name, const std::string& role) {
    const Json container{{"name", "c"},
                         {"image", "none"},
                         {"resources", {{"requests", {{"cpu", "250m"}, {"memory", "64Mi"}}}}}};
    const Json pod{
        {"metadata", {{"name", name}, {"labels", {{"role", role}}}}},
        {"spec",
         {{"nodeName", node_},
          {"automountServiceAccountToken", false},
          {"containers", Json::array({container})},
          {"volumes",
           Json::array({{{"name", "d"}, {"persistentVolumeClaim", {{"claimName", "data"}}}}})}}}};
    Json created = MustCreate(kube::kPods, pod);
    const Json status{{"status",
                       {{"phase", "Running"},
                        {"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
    const auto patched =
        client_->Patch(kube::kPods, ns_, name, kube::PatchType::kMerge, status, "status");
    ASSERT_TRUE(patched.has_value()) << patched.error().ToString();
  }

  // A local volume on our node, and a claim that is bound to it.
  void AddVolume() {
    const Json requirement{
        {"key", "topology.longshore.dev/rack"}, {"operator", "In"}, {"values", {"rack-x"}}};
    const Json term{{"matchExpressions", Json::array({requirement})}};
    const Json volume{
        {"metadata", {{"name", volume_}}},
        {"spec",
         {{"capacity", {{"storage", "1Gi"}}},
          {"accessModes", {"ReadWriteOnce"}},
          {"storageClassName", "none"},
          {"claimRef", {{"namespace", ns_}, {"name", "data"}}},
          {"local", {{"path", "/nowhere"}}},
          {"nodeAffinity", {{"required", {{"nodeSelectorTerms", Json::array({term})}}}}}}}};
    const auto made = client_->Create(kube::kPersistentVolumes, "", volume);
    ASSERT_TRUE(made.has_value()) << made.error().ToString();
    MustCreate(kube::kPersistentVolumeClaims,
               {{"metadata", {{"name", "data"}}},
                {"spec",
                 {{"accessModes", {"ReadWriteOnce"}},
                  {"storageClassName", "none"},
                  {"volumeName", volume_},
                  {"resources", {{"requests", {{"storage", "1Gi"}}}}}}}});
    // Binding is the work of a controller that may not run here.
    (void)client_->Patch(kube::kPersistentVolumeClaims, ns_, "data", kube::PatchType::kMerge,
                         {{"status", {{"phase", "Bound"}}}}, "status");
  }

  std::shared_ptr<const View> Snapshot() { return view_->Snapshot(); }
  void StartAndSync() {
    view_->Start();
    ASSERT_TRUE(view_->WaitForSync(std::chrono::seconds(30)));
  }

  const std::string node_ = "longshore-test-node-" + RandomId(8);
  const std::string volume_ = "longshore-test-volume-" + RandomId(8);
  std::unique_ptr<ClusterView> view_;
};

TEST_F(ClusterViewTest, IsEmptyAndUnsyncedAtFirst) {
  EXPECT_FALSE(view_->synced());
  ASSERT_NE(Snapshot(), nullptr);
  EXPECT_EQ(Snapshot()->Node(node_), nullptr);
  EXPECT_FALSE(view_->WaitForSync(std::chrono::milliseconds(10)));
}

// Synced means that the snapshot holds what was there before the start.
TEST_F(ClusterViewTest, HoldsAllThatExistsWhenItSaysSynced) {
  AddVolume();
  StartAndSync();
  const auto snapshot = Snapshot();
  const NodeInfo* node = snapshot->Node(node_);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->zone, "zone-x");
  EXPECT_EQ(node->rack, "rack-x");
  EXPECT_EQ(node->cpu_allocatable_milli, 4000);
  EXPECT_FALSE(node->schedulable);
  EXPECT_THAT(snapshot->VolumeNodes(ns_, "data")->nodes, ElementsAre(node_));
  EXPECT_LT(view_->staleness(), std::chrono::minutes(2));
}

TEST_F(ClusterViewTest, FollowsPodsAndLeavesOldSnapshotsAlone) {
  AddVolume();
  StartAndSync();
  const auto before = Snapshot();
  AddLeader();
  ASSERT_TRUE(
      Eventually([&] { return Snapshot()->PodsByLabels(ns_, {{"role", "leader"}}).size() == 1; }));
  const auto after = Snapshot();
  const auto place = after->PodsByLabels(ns_, {{"role", "leader"}})[0];
  EXPECT_EQ(place.node, node_);
  EXPECT_TRUE(place.ready);
  EXPECT_EQ(after->PodsByClaim(ns_, "data").size(), 1u);
  EXPECT_EQ(after->Node(node_)->cpu_requested_milli, 250);
  EXPECT_EQ(after->Node(node_)->pods, 1);
  EXPECT_EQ(before->Node(node_)->pods, 0);

  ASSERT_TRUE(client_->Delete(kube::kPods, ns_, "pg-0", {.grace_period_seconds = 0}).has_value());
  EXPECT_TRUE(Eventually([&] { return Snapshot()->Node(node_)->pods == 0; }));
}

TEST_F(ClusterViewTest, WatchesOnlyPodsThatHoldRoomIfAsked) {
  view_ = std::make_unique<ClusterView>(*client_, WatchedPods::kHoldingRoom);
  StartAndSync();
  AddLeader();
  ASSERT_TRUE(Eventually([&] { return Snapshot()->Node(node_)->pods == 1; }));
  const Json unbound{{"metadata", {{"name", "waits"}}},
                     {"spec",
                      {{"schedulerName", "nobody"},
                       {"containers", Json::array({{{"name", "c"}, {"image", "none"}}})}}}};
  ASSERT_TRUE(client_->Create(kube::kPods, ns_, unbound).has_value());
  const Json ended{{"status", {{"phase", "Succeeded"}}}};
  ASSERT_TRUE(client_->Patch(kube::kPods, ns_, "pg-0", kube::PatchType::kMerge, ended, "status")
                  .has_value());
  EXPECT_TRUE(Eventually([&] { return Snapshot()->Node(node_)->pods == 0; }));
  EXPECT_EQ(view_->pods().Get(ns_, "waits"), nullptr);
  EXPECT_EQ(view_->pods().Get(ns_, "pg-0"), nullptr);
  (void)client_->Delete(kube::kPods, ns_, "waits", {.grace_period_seconds = 0});
}

// The whole way: from objects to "where is the data", and following it.
TEST_F(ClusterViewTest, LocatesASourceAndFollowsIt) {
  api::BackupSource source;
  source.metadata.ns = ns_;
  source.metadata.name = "orders";
  source.spec.location.pod_labels = {{"role", "leader"}};
  source.spec.location.persistent_volume_claim = "data";
  AddVolume();
  StartAndSync();
  EXPECT_EQ(Locate(source, *Snapshot()).method, "PersistentVolume")
      << Locate(source, *Snapshot()).reason;
  AddLeader();
  ASSERT_TRUE(Eventually([&] { return Locate(source, *Snapshot()).method == "Pod"; }));
  EXPECT_THAT(Locate(source, *Snapshot()).reason, HasSubstr("pg-0 on " + node_));
}

// The roles are swapped, and within a second the answer is.
TEST_F(ClusterViewTest, Case35_FollowsAFailoverWithinASecond) {
  api::BackupSource source;
  source.metadata.ns = ns_;
  source.spec.location.pod_labels = {{"role", "leader"}};
  source.spec.location.standby_pod_labels = {{"role", "standby"}};
  source.spec.placement.replicas = "PreferStandby";
  AddPod("pg-0", "leader");
  AddPod("pg-1", "standby");
  StartAndSync();
  EXPECT_THAT(Locate(source, *Snapshot()).reason, HasSubstr("/pg-1 on"));
  const auto relabel = [&](const std::string& pod, const std::string& role) {
    const Json patch{{"metadata", {{"labels", {{"role", role}}}}}};
    ASSERT_TRUE(client_->Patch(kube::kPods, ns_, pod, kube::PatchType::kMerge, patch).has_value());
  };
  relabel("pg-1", "leader");
  relabel("pg-0", "standby");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  bool followed = false;
  while (!followed && std::chrono::steady_clock::now() < end) {
    followed = Locate(source, *Snapshot()).reason.find("/pg-0 on") != std::string::npos;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(followed) << Locate(source, *Snapshot()).reason;
}

TEST_F(ClusterViewTest, TellsOfChangesAfterTheSnapshotIsOut) {
  std::atomic<bool> seen{false};
  view_->OnChange([&] {
    const NodeInfo* node = view_->Snapshot()->Node(node_);
    if (node != nullptr && node->rack == "rack-y") seen = true;
  });
  StartAndSync();
  const Json patch{{"metadata", {{"labels", {{"topology.longshore.dev/rack", "rack-y"}}}}}};
  ASSERT_TRUE(client_->Patch(kube::kNodes, "", node_, kube::PatchType::kMerge, patch).has_value());
  EXPECT_TRUE(Eventually([&] { return seen.load(); }));
}

TEST_F(ClusterViewTest, ReadsEndpointSlices) {
  MustCreate(kube::kEndpointSlices,
             {{"metadata", {{"name", "pg-1"}, {"labels", {{"kubernetes.io/service-name", "pg"}}}}},
              {"addressType", "IPv4"},
              {"endpoints", Json::array({{{"addresses", {"10.1.2.3"}}, {"nodeName", node_}}})}});
  StartAndSync();
  const auto places = Snapshot()->ServiceEndpoints(ns_, "pg");
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places[0].node, node_);
}

}  // namespace
}  // namespace longshore::placement

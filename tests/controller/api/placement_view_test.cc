// SPDX-License-Identifier: Apache-2.0
#include "controller/api/placement_view.h"

#include <gmock/gmock.h>

#include "common/placement/snapshot.h"
#include "tests/common/placement/fake_view.h"

namespace longshore::controller {
namespace {

// n1 and n2 in one zone, which the data is in; the pod is on n1.
class PlacementViewTest : public testing::Test {
 protected:
  PlacementViewTest() {
    for (const char* name : {"n1", "n2"}) {
      const Json node = Node(name, "z", "2", "4Gi");
      builder_.Node(nullptr, &node);
    }
    builder_.Pod(nullptr, &pod_);
    snapshot_ = builder_.Build(placement::Listed::Everything());
  }
  static Json Node(const std::string& name, const std::string& zone, const std::string& cpu,
                   const std::string& memory) {
    return {{"metadata", {{"name", name}, {"labels", {{"topology.kubernetes.io/zone", zone}}}}},
            {"status",
             {{"allocatable", {{"cpu", cpu}, {"memory", memory}, {"pods", "110"}}},
              {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
  }
  const api::BackupSource source_ = placement::MakeSource({.zone = "z"}, "Prefer", "Zone");
  const Json pod_ = {
      {"metadata", {{"name", "lsp-a"}, {"namespace", "backup"}, {"uid", "u"}}},
      {"spec",
       {{"nodeName", "n1"}, {"containers", {{{"resources", {{"requests", {{"cpu", "1500m"}}}}}}}}}},
      {"status", {{"phase", "Running"}}}};
  placement::SnapshotBuilder builder_;
  std::shared_ptr<const placement::ClusterSnapshot> snapshot_;
};

TEST_F(PlacementViewTest, APodIsNotInItsOwnWay) {
  const auto view = PlacementView(source_, nullptr, &pod_, "", *snapshot_, {}, "");
  ASSERT_TRUE(view.has_value());
  const Json& ranking = view->at("ranking");
  EXPECT_EQ(ranking[0].at("node"), "n1");
  EXPECT_EQ(ranking[0].at("feasible"), true);
  EXPECT_EQ(ranking[0].at("score"), ranking[1].at("score"));
  EXPECT_FALSE(view->contains("counterfactual"));
}

TEST_F(PlacementViewTest, APodDoesNotCountAgainstItsOwnCap) {
  Json pod = pod_;
  pod["metadata"]["labels"] = {{"longshore.dev/source", "orders"}};
  pod["metadata"]["annotations"] = {{"longshore.dev/max-pods-per-node", "1"}};
  builder_.Pod(&pod_, &pod);
  Json other = pod;
  other["metadata"]["name"] = other["metadata"]["uid"] = "lsp-b";
  other["spec"]["nodeName"] = "n2";
  builder_.Pod(nullptr, &other);
  const auto nodes = builder_.Build(placement::Listed::Everything());
  const auto view = PlacementView(source_, nullptr, &pod, "", *nodes, {}, "n2");
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->at("ranking")[0].at("node"), "n1");
  EXPECT_EQ(view->at("ranking")[0].at("feasible"), true);
  EXPECT_EQ(view->at("ranking")[1].at("feasible"), false);
  EXPECT_EQ(view->at("counterfactual").at("changes")[0].at("input"), "backupPods");
}

// The pod mounts a claim whose volume can be on one node, and is attached to its own.
class MountedClaimTest : public PlacementViewTest {
 protected:
  MountedClaimTest() {
    source_.metadata.ns = "backup";
    source_.spec.location = {.persistent_volume_claim = "data"};
    mounting_ = Mounting("lsp-a", "n1");
    mounting_["metadata"]["labels"] = {{"longshore.dev/source", "orders"}};
    builder_.Pod(&pod_, &mounting_);
    const Json claim = {{"metadata", {{"namespace", "backup"}, {"name", "data"}}},
                        {"spec", {{"volumeName", "pv"}}},
                        {"status", {{"phase", "Bound"}}}};
    const Json volume = {{"metadata", {{"name", "pv"}}},
                         {"spec", {{"accessModes", Json::array({"ReadWriteOnce"})}}}};
    builder_.Claim(nullptr, &claim);
    builder_.Volume(nullptr, &volume);
    Attach("n1");
  }
  Json Mounting(const std::string& name, const std::string& node) const {
    Json pod = pod_;
    pod["metadata"]["name"] = name;
    pod["metadata"]["uid"] = name == "lsp-a" ? "u" : name;
    pod["spec"]["nodeName"] = node;
    pod["spec"]["volumes"] = Json::array({{{"persistentVolumeClaim", {{"claimName", "data"}}}}});
    return pod;
  }
  void Attach(const std::string& node) {
    const Json attachment = {
        {"metadata", {{"name", "to-" + node}}},
        {"spec", {{"source", {{"persistentVolumeName", "pv"}}}, {"nodeName", node}}},
        {"status", {{"attached", true}}}};
    builder_.Attachment(nullptr, &attachment);
  }
  Json View() {
    const auto nodes = builder_.Build(placement::Listed::Everything());
    return *PlacementView(source_, nullptr, &mounting_, "", *nodes, {}, "n2");
  }
  api::BackupSource source_ = placement::MakeSource({}, "Prefer", "Node");
  Json mounting_;
};

TEST_F(MountedClaimTest, APodIsNotWhyItsVolumeIsOnItsNode) {
  const Json view = View();
  EXPECT_EQ(view.at("location").at("method"), "Unknown") << view.at("location");
  for (const Json& node : view.at("ranking")) EXPECT_EQ(node.at("feasible"), true) << node;
  EXPECT_EQ(view.at("ranking")[0].at("score"), view.at("ranking")[1].at("score"));
}

TEST_F(MountedClaimTest, AnotherPodThatMountsItThereIs) {
  Json other = Mounting("orders-0", "n1");
  other["spec"]["containers"] = Json::array();
  builder_.Pod(nullptr, &other);
  const Json view = View();
  EXPECT_EQ(view.at("location").at("nodes"), Json::array({"n1"}));
  EXPECT_EQ(view.at("ranking")[0].at("node"), "n1");
  EXPECT_EQ(view.at("ranking")[1].at("feasible"), false);
  EXPECT_EQ(view.at("counterfactual").at("changes")[0].at("input"), "volume");
}

// Of ours too, though no source's data is in it.
TEST_F(MountedClaimTest, AnotherPodOfTheCrewHoldsTheVolume) {
  Json other = Mounting("lsp-b", "n1");
  other["metadata"]["labels"] = {{"longshore.dev/source", "orders"}};
  other["spec"]["containers"] = Json::array();
  builder_.Pod(nullptr, &other);
  EXPECT_EQ(View().at("ranking")[1].at("feasible"), false);
  Json ended = other;
  ended["status"]["phase"] = "Succeeded";
  builder_.Pod(&other, &ended);
  EXPECT_EQ(View().at("ranking")[1].at("feasible"), true);
}

TEST_F(MountedClaimTest, AVolumeForManyNodesIsWhereOthersHaveIt) {
  const Json volume = {{"metadata", {{"name", "pv"}}},
                       {"spec", {{"accessModes", Json::array({"ReadWriteMany"})}}}};
  builder_.Volume(nullptr, &volume);
  Attach("n2");
  const Json view = View();
  EXPECT_EQ(view.at("location").at("nodes"), Json::array({"n2"}));
  EXPECT_EQ(view.at("ranking")[0].at("node"), "n2");
}

TEST_F(PlacementViewTest, SaysWhatWouldMakeANodeComeFirst) {
  const placement::PressureMap pressure{
      {"n2", {.cpu_used_milli = 1900, .cpu_capacity_milli = 2000, .age_ms = 1}}};
  const auto view = PlacementView(source_, nullptr, &pod_, "", *snapshot_, pressure, "n2");
  ASSERT_TRUE(view.has_value());
  const Json& counterfactual = view->at("counterfactual");
  EXPECT_EQ(counterfactual.at("node"), "n2");
  EXPECT_EQ(counterfactual.at("wins"), false);
  EXPECT_EQ(counterfactual.at("rival"), "n1");
  EXPECT_EQ(counterfactual.at("changes")[0].at("input"), "pressure");
  EXPECT_EQ(counterfactual.at("changes")[0].at("effect"), "Wins");
  EXPECT_EQ(PlacementView(source_, nullptr, &pod_, "", *snapshot_, {}, "n3").error().code,
            Code::kNotFound);
}

// Also of one that is far down, with what its points were given for.
TEST_F(PlacementViewTest, ShowsHowANodeStandsThatIsAskedAbout) {
  for (int i = 0; i < 100; ++i) {
    Json node = Node("far-" + std::to_string(100 + i), "other", "8", "16Gi");
    node["status"]["images"] = Json::array({{{"names", {"reg/pg:1"}}}});
    builder_.Node(nullptr, &node);
  }
  const auto nodes = builder_.Build(placement::Listed::Everything());
  const auto view = PlacementView(source_, nullptr, &pod_, "reg/pg:1", *nodes, {}, "far-199");
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->at("ranking").size(), kNodesShown);
  const Json& node = view->at("node");
  EXPECT_EQ(node.at("node"), "far-199");
  EXPECT_EQ(node.at("rank"), 102);
  EXPECT_EQ(node.at("rankOf"), 102);
  EXPECT_EQ(node.at("imagePoints"), 2);
  EXPECT_FALSE(node.at("reasons").empty());
  EXPECT_EQ(node.at("inputs").at("cpuFreeMilli"), 8000);
  EXPECT_EQ(node.at("inputs").at("hasImage"), true);
  EXPECT_FALSE(PlacementView(source_, nullptr, &pod_, "", *nodes, {}, "")->contains("node"));
}

// As it would be placed by its policy, which may have changed since it was made.
TEST_F(PlacementViewTest, TaintsCountAsItsPolicySays) {
  Json node = Node("n2", "z", "8", "16Gi");
  node["spec"]["taints"] = Json::array({{{"key", "gpu"}, {"effect", "NoSchedule"}}});
  builder_.Node(nullptr, &node);
  const auto nodes = builder_.Build(placement::Listed::Everything());
  api::PodPolicySpec policy;
  const auto first = [&](const api::PodPolicySpec* p) {
    return PlacementView(source_, p, &pod_, "", *nodes, {}, "")->at("ranking")[0].at("node");
  };
  EXPECT_EQ(first(&policy), "n1");
  EXPECT_EQ(first(nullptr), "n2");
  policy.tolerations = {{"gpu", "Exists", "", ""}};
  EXPECT_EQ(first(&policy), "n2");
}

TEST_F(PlacementViewTest, APodThatIsNotThereYetNeedsNoRoom) {
  EXPECT_TRUE(PlacementView(source_, nullptr, nullptr, "", *snapshot_, {}, "n1").has_value());
}

}  // namespace
}  // namespace longshore::controller

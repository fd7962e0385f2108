// SPDX-License-Identifier: Apache-2.0
// The whole program, started as in a pod, against a real API server, and looked at with
// kube-scheduler's own client: tests/conformance has the cases, and prints a line for each.
#include "common/api/meta.h"
#include "common/kube/informer.h"
#include "tests/common/kube/real_cluster.h"
#include "tests/extender/conformance_changes.h"
#include "tests/extender/program.h"

namespace longshore::extender {
namespace {

using kube::Json;

class ExtenderConformanceTest : public kube::RealClusterTest {
 protected:
  void SetUp() override {
    RealClusterTest::SetUp();
    if (client_ == nullptr) return;
    const char* root = std::getenv("LONGSHORE_SOURCE_DIR");
    ASSERT_NE(root, nullptr) << "run it through ctest";
    root_ = root;
    const std::string apply = "kubectl apply -k " + root_ +
                              "/manifests/crds >/dev/null && kubectl wait --timeout=30s "
                              "--for=condition=Established crd/backupsources.longshore.dev";
    ASSERT_EQ(std::system((apply + " >/dev/null").c_str()), 0);
    MakeWorld();
    StartExtender();
  }

  void TearDown() override {
    program_.reset();
    if (client_ != nullptr) {
      for (const char* pod : {"db-0", "db-1"}) {
        EXPECT_TRUE(client_->Delete(kube::kPods, ns_, pod, {.grace_period_seconds = 0}));
      }
      for (const auto& [name, node] : nodes_) {
        EXPECT_TRUE(client_->Delete(kube::kNodes, "", NodeName(name)));
      }
    }
    RealClusterTest::TearDown();
  }

  std::string NodeName(const std::string& name) const { return ns_ + "-" + name; }

  // Zones and regions are of this test alone, whatever else is in the cluster.
  void MakeNode(const std::string& name, const std::string& rack, const std::string& zone,
                const std::string& region) {
    const Json amounts = {{"cpu", "8"}, {"memory", "32Gi"}, {"pods", "110"}};
    const Json node = {{"apiVersion", "v1"},
                       {"kind", "Node"},
                       {"metadata",
                        {{"name", NodeName(name)},
                         {"labels",
                          {{"kubernetes.io/hostname", NodeName(name)},
                           {"topology.longshore.dev/rack", rack},
                           {"topology.kubernetes.io/zone", ns_ + zone},
                           {"topology.kubernetes.io/region", ns_ + region}}}}},
                       {"status", {{"capacity", amounts}, {"allocatable", amounts}}}};
    const auto made = client_->Create(kube::kNodes, "", node);
    ASSERT_TRUE(made.has_value()) << made.error().ToString();
    world_["nodes"].push_back(*made);
    nodes_[name] = node;
  }

  void MakeSource(const std::string& name, const Json& location, const Json& placement) {
    MustCreate(kube::kBackupSources, {{"metadata", {{"name", name}}},
                                      {"spec",
                                       {{"kind", "filesystem"},
                                        {"filesystem", {{"persistentVolumeClaim", "data"}}},
                                        {"location", location},
                                        {"placement", placement}}}});
  }
  static Json PodsOf(const char* role) { return {{"podLabels", {{"role", role}}}}; }

  // As the scheduler would send it; it need not exist.
  Json BackupPod(const std::string& source) const {
    Json pod = {{"metadata", {{"name", "backup"}, {"namespace", ns_}, {"uid", "uid-" + source}}},
                {"spec",
                 {{"containers",
                   {{{"name", "worker"},
                     {"image", "none.invalid/none:none"},
                     {"resources", {{"requests", {{"cpu", "100m"}, {"memory", "64Mi"}}}}}}}}}}};
    if (!source.empty()) pod["metadata"]["labels"][api::kLabelSource] = source;
    return pod;
  }

  void MakeDatabasePod(const std::string& name, const std::string& node, const char* role) {
    MustCreate(kube::kPods,
               {{"metadata", {{"name", name}, {"labels", {{"role", role}}}}},
                {"spec",
                 {{"nodeName", NodeName(node)},
                  {"serviceAccountName", "db"},
                  {"containers", {{{"name", "db"}, {"image", "none.invalid/none:none"}}}}}}});
    const auto runs = client_->Patch(
        kube::kPods, ns_, name, kube::PatchType::kMerge,
        {{"status",
          {{"phase", "Running"}, {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}},
        "status");
    ASSERT_TRUE(runs.has_value()) << runs.error().ToString();
  }

  void MakeWorld() {
    MakeNode("data", "r1", "z1", "g1");
    MakeNode("rack", "r1", "z1", "g1");
    MakeNode("zone-1", "r2", "z1", "g1");
    MakeNode("zone-2", "r3", "z1", "g1");
    MakeNode("region", "r1", "z2", "g1");
    MakeNode("far", "r1", "z1", "g2");
    MustCreate(kube::kServiceAccounts, {{"metadata", {{"name", "db"}}}});
    MakeDatabasePod("db-0", "data", "leader");
    MakeDatabasePod("db-1", "far", "replica");
    MakeSource("preferring", PodsOf("leader"), {{"mode", "Prefer"}});
    MakeSource("requiring", PodsOf("leader"), {{"mode", "Require"}, {"tier", "Rack"}});
    MakeSource("lost", PodsOf("nobody"), {{"mode", "Require"}});
    MakeSource("by-claim", {{"persistentVolumeClaim", "volume"}}, {{"mode", "Prefer"}});
    world_["pods"] = {{"marked", BackupPod("preferring")},
                      {"unmarked", BackupPod("")},
                      {"unknownSource", BackupPod("no-such-source")},
                      {"required", BackupPod("requiring")},
                      {"undecided", BackupPod("lost")}};
    world_["requiredPasses"] = {NodeName("data"), NodeName("rack")};
    for (const std::vector<std::string>& equals : std::vector<std::vector<std::string>>{
             {"data"}, {"rack"}, {"zone-1", "zone-2"}, {"region"}, {"far"}}) {
      Json names = Json::array();
      for (const std::string& name : equals) names.push_back(NodeName(name));
      world_["ranking"].push_back(names);
    }
    world_["changes"] =
        ConformanceChanges(ns_, nodes_).All(BackupPod("requiring"), BackupPod("by-claim"));
  }

  void StartExtender() {
    program_ = std::make_unique<Program>();
    program_->WriteCertificate("stranger", program_->authority().Issue("somebody-else"));
    ASSERT_TRUE(Eventually([&] { return program_->started(); })) << program_->Log();
    ASSERT_TRUE(Eventually([&] { return program_->ready(); })) << program_->Log();
  }

  void Conform(const std::string& how) {
    const auto path = [&](const char* name) { return program_->Path(name); };
    folder_.Write("world.json", world_.dump());
    const std::string run =
        root_ + "/hack/conformance --url https://127.0.0.1:" + std::to_string(program_->port()) +
        " --ca " + path("ca.crt") + " --cert " + path("scheduler.crt") + " --key " +
        path("scheduler.key") + " --stranger-cert " + path("stranger.crt") + " --stranger-key " +
        path("stranger.key") + " --world " + folder_.path() + "/world.json --kubeconfig " +
        std::getenv("KUBECONFIG") + how;
    EXPECT_EQ(std::system(run.c_str()), 0) << program_->Log().substr(0, 10000);
  }

  std::string root_;
  Json world_;
  std::map<std::string, Json> nodes_;  // as they were created
  const test::TemporaryFolder folder_;
  std::unique_ptr<Program> program_;
};

TEST_F(ExtenderConformanceTest, SatisfiesTheSchedulersOwnClient) {
  if (program_ == nullptr) return;
  Conform("");
}

// Thousands of connections, slow, broken and huge requests: the scheduler's calls are answered
// within its time-out meanwhile, in the memory that the pod may have, which comes back.
TEST_F(ExtenderConformanceTest, Case12_AnswersTheSchedulerAmongHostilePeers) {
  if (program_ == nullptr) return;
  Conform(" --hostile --run hostile --pid " + std::to_string(program_->pid()));
}

}  // namespace
}  // namespace longshore::extender

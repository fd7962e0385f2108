// SPDX-License-Identifier: Apache-2.0
// The whole program, started as in a pod, against a real API server, and looked at with
// kube-scheduler's own client: tests/conformance has the cases, and prints a line for each.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "common/api/archive.h"
#include "common/api/meta.h"
#include "common/base/files.h"
#include "common/http/client.h"
#include "common/kube/informer.h"
#include "tests/common/kube/real_cluster.h"
#include "tests/common/tls/certificates.h"
#include "tests/extender/conformance_changes.h"

namespace longshore::extender {
namespace {

using kube::Json;
using testing::Certificate;
using testing::TemporaryFolder;
using testing::TestAuthority;

// A program of ours whose log goes to a file; stopped at the end of the scope.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, std::string log) : log_(std::move(log)) {
    std::vector<char*> argv;
    for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    const int fd = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && ::dup2(fd, STDOUT_FILENO) >= 0 && ::dup2(fd, STDERR_FILENO) >= 0) {
      ::execv(argv[0], argv.data());
    }
    ::_exit(127);
  }
  ~Program() {
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << "\n" << Log();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  std::string Log() const { return ReadFile(log_).value_or(""); }
  // A field of the line with that message; null until there is such a line.
  Json Logged(const std::string& message, const std::string& field) const {
    std::ifstream lines(log_);
    for (std::string line; std::getline(lines, line);) {
      const auto entry = api::ParseJson(line);
      if (entry.has_value() && entry->value("message", "") == message) return (*entry)[field];
    }
    return nullptr;
  }

 private:
  const std::string log_;
  pid_t pid_ = -1;
};

class ExtenderConformanceTest : public kube::RealClusterTest {
 protected:
  void SetUp() override {
    RealClusterTest::SetUp();
    if (client_ == nullptr) return;
    const char* root = std::getenv("LONGSHORE_SOURCE_DIR");
    const char* program = std::getenv("LONGSHORE_EXTENDER");
    ASSERT_TRUE(root != nullptr && program != nullptr) << "run it through ctest";
    root_ = root;
    const std::string apply = "kubectl apply -k " + root_ +
                              "/manifests/crds >/dev/null && kubectl wait --timeout=30s "
                              "--for=condition=Established crd/backupsources.longshore.dev";
    ASSERT_EQ(std::system((apply + " >/dev/null").c_str()), 0);
    MakeWorld();
    StartExtender(program);
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

  void WriteCertificate(const std::string& name, const Certificate& certificate) {
    folder_.Write(name + ".crt", certificate.certificate_pem);
    folder_.Write(name + ".key", certificate.key_pem);
  }

  void StartExtender(const std::string& program) {
    folder_.Write("ca.crt", authority_.ca_pem());
    WriteCertificate("tls", authority_.IssueLocalhost());
    WriteCertificate("scheduler", authority_.Issue("longshore-scheduler"));
    WriteCertificate("stranger", authority_.Issue("somebody-else"));
    // No leader listens: pressure is unknown, and so neutral.
    program_ = std::make_unique<Program>(
        std::vector<std::string>{
            program, "--port=0", "--health-port=0", "--tls-dir=" + folder_.path(),
            "--client-ca-file=" + Path("ca.crt"), "--ca-file=" + Path("ca.crt"),
            "--token-file=" + Path("ca.crt"), "--controller=127.0.0.1:1"},
        Path("log"));
    ASSERT_TRUE(Eventually([&] { return !program_->Logged("extender started", "port").is_null(); }))
        << program_->Log();
    const int health_port = program_->Logged("extender started", "health_port");
    const auto health =
        http::Client::Create({.base_url = "http://127.0.0.1:" + std::to_string(health_port)});
    ASSERT_TRUE(health.has_value()) << health.error().ToString();
    ASSERT_TRUE(Eventually([&] {
      const auto ready = (*health)->Send({.path = "/readyz"});
      return ready.has_value() && ready->status == 200;
    })) << program_->Log();
  }

  void Conform(const std::string& how) {
    folder_.Write("world.json", world_.dump());
    const int port = program_->Logged("extender started", "port");
    const std::string run =
        root_ + "/hack/conformance --url https://127.0.0.1:" + std::to_string(port) + " --ca " +
        Path("ca.crt") + " --cert " + Path("scheduler.crt") + " --key " + Path("scheduler.key") +
        " --stranger-cert " + Path("stranger.crt") + " --stranger-key " + Path("stranger.key") +
        " --world " + Path("world.json") + " --kubeconfig " + std::getenv("KUBECONFIG") + how;
    EXPECT_EQ(std::system(run.c_str()), 0) << program_->Log().substr(0, 10000);
  }

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }

  std::string root_;
  Json world_;
  std::map<std::string, Json> nodes_;  // as they were created
  const TemporaryFolder folder_;
  TestAuthority authority_;
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

// SPDX-License-Identifier: Apache-2.0
// The storage manager API in front of a real API server: real tokens, real RBAC, the schemas of the
// custom resources, and races that only resourceVersions decide.
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>

#include "common/http/client.h"
#include "controller/api/server.h"
#include "tests/common/kube/real_cluster.h"

namespace longshore::controller {
namespace {

using kube::Json;
using testing::HasSubstr;

constexpr char kAudience[] = "longshore-controller";
constexpr kube::Resource kRoles{"rbac.authorization.k8s.io", "v1", "roles", "Role"};
constexpr kube::Resource kRoleBindings{"rbac.authorization.k8s.io", "v1", "rolebindings",
                                       "RoleBinding"};

// Every worker was heard just now.
class LiveWorkers : public LiveView {
 public:
  std::vector<UsageSample> Usage(const std::string&, size_t) const override { return {}; }
  std::optional<api::OperationProgress> Progress(const std::string&,
                                                 const std::string&) const override {
    return std::nullopt;
  }
  std::vector<Verdict> Verdicts(const std::string&) const override { return {}; }
  placement::PressureMap NodePressure() const override { return {}; }
  std::optional<ScalingNotes> Scaling(const std::string&) const override { return std::nullopt; }
  int64_t WorkerAgeMs(const std::string&) const override { return 0; }
};

class ApiIntegrationTest : public kube::RealClusterTest {
 protected:
  static void SetUpTestSuite() {
    if (std::getenv("KUBECONFIG") == nullptr) return;
    const char* root = std::getenv("LONGSHORE_SOURCE_DIR");
    ASSERT_NE(root, nullptr) << "run it through ctest";
    const std::string apply =
        "kubectl apply -k " + std::string(root) +
        "/manifests/crds >/dev/null && "
        "kubectl wait --for=condition=Established --timeout=30s "
        "crd/computerequests.longshore.dev crd/backuppods.longshore.dev "
        "crd/operations.longshore.dev crd/backupsources.longshore.dev >/dev/null && "
        "kubectl apply -f " +
        std::string(root) + "/manifests/base/operations-policy.yaml >/dev/null";
    ASSERT_EQ(std::system(apply.c_str()), 0);
  }

  void SetUp() override {
    RealClusterTest::SetUp();
    if (client_ == nullptr) return;
    MakeManager("manager", {"get", "list", "create", "update", "delete", "acquire"});
    token_ = TokenOf("manager", kAudience);
    state_ = std::make_unique<ClusterState>(*client_);
    ApiOptions options;
    options.http.address = "127.0.0.1";
    server_ = std::make_unique<ApiServer>(*client_, *state_, live_, events_, options);
    state_->Start();
    ASSERT_TRUE(state_->WaitForSync(std::chrono::seconds(20)));
    ASSERT_TRUE(server_->Start().has_value());
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Stop();
    if (state_ != nullptr) state_->Stop();
    RealClusterTest::TearDown();
  }

  void MakeManager(const std::string& name, const std::vector<std::string>& verbs) {
    MustCreate(kube::kServiceAccounts, {{"metadata", {{"name", name}}}});
    MustCreate(kRoles,
               {{"metadata", {{"name", name}}},
                {"rules",
                 {{{"apiGroups", {"longshore.dev"}},
                   {"resources", {"computerequests", "backuppods", "operations", "backupsources"}},
                   {"verbs", verbs}}}}});
    MustCreate(
        kRoleBindings,
        {{"metadata", {{"name", name}}},
         {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Role"}, {"name", name}}},
         {"subjects", {{{"kind", "ServiceAccount"}, {"name", name}, {"namespace", ns_}}}}});
  }
  std::string TokenOf(const std::string& name, const std::string& audience) {
    Json spec = {{"expirationSeconds", 600}};
    if (!audience.empty()) spec["audiences"] = {audience};
    const auto answer = client_->Post(
        kube::ResourcePath(kube::kServiceAccounts, ns_, name, "token"),
        {{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", spec}});
    EXPECT_TRUE(answer.has_value()) << answer.error().ToString();
    return answer ? std::string(kube::StringAt(*answer, "/status/token")) : "";
  }

  struct Reply {
    int status = 0;
    Json body;
    std::string detail() const { return body.value("detail", ""); }
  };
  Reply Call(const std::string& method, const std::string& path, const Json& body,
             const std::string& key, const std::string& token) {
    http::ClientOptions options;
    options.base_url = "http://127.0.0.1:" + std::to_string(server_->port());
    const auto http = *http::Client::Create(options);
    http::ClientRequest request;
    request.method = method;
    request.path = path;
    if (!body.is_null()) request.body = body.dump();
    request.headers["Authorization"] = "Bearer " + token;
    if (!key.empty()) request.headers["Idempotency-Key"] = key;
    const auto response = http->Send(request);
    EXPECT_TRUE(response.has_value()) << response.error().ToString();
    return response ? Reply{response->status, *api::ParseJson(response->body)} : Reply{};
  }
  Reply Get(const std::string& path) { return Call("GET", path, Json(), "", token_); }
  Reply Post(const std::string& path, const Json& body, const std::string& key) {
    return Call("POST", path, body, key, token_);
  }
  Json RequestBody(int min, int max) const {
    return {{"namespace", ns_},
            {"spec",
             {{"sourceRef", {{"name", "orders"}}},
              {"policyRef", {{"name", "standard"}}},
              {"pods", {{"min", min}, {"initial", max}, {"max", max}}}}}};
  }
  void MakeAvailablePod(const std::string& name, const std::string& request) {
    Json pod = MustCreate(kube::kBackupPods, {{"apiVersion", "longshore.dev/v1alpha1"},
                                              {"kind", "BackupPod"},
                                              {"metadata", {{"name", name}}},
                                              {"spec",
                                               {{"requestRef", {{"name", request}}},
                                                {"sourceRef", {{"name", "orders"}}},
                                                {"slot", 0},
                                                {"attempt", 0},
                                                {"image", "none.invalid/none"}}}});
    pod["status"] = {{"state", "Available"}, {"epoch", 0}, {"podUID", "uid-" + name}};
    const auto updated = client_->Update(kube::kBackupPods, ns_, pod, "status");
    ASSERT_TRUE(updated.has_value()) << updated.error().ToString();
    ASSERT_TRUE(Eventually([&] {
      const auto seen = state_->backup_pods.Get(ns_, name);
      return seen && seen->status.state == "Available";
    }));
  }

  // A deployed controller finds rows without a Pod, and says so before anyone can acquire them.
  bool ControllerIsDeployed() {
    const auto controller =
        client_->Get(kube::kDeployments, "longshore-system", "longshore-controller");
    return controller && controller->at("status").value("readyReplicas", 0) > 0;
  }

  LiveWorkers live_;
  EventLog events_;
  std::string token_;
  std::unique_ptr<ClusterState> state_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(ApiIntegrationTest, TakesTokensOfTheRightAudienceOnly) {
  const std::string path = "/v1/requests?namespace=" + ns_;
  EXPECT_EQ(Get(path).status, 200);
  EXPECT_EQ(Call("GET", path, Json(), "", TokenOf("manager", "https://elsewhere")).status, 401);
  EXPECT_EQ(Call("GET", path, Json(), "", "forged").status, 401);
  EXPECT_EQ(Get("/v1/requests?namespace=kube-system").status, 403);
  EXPECT_EQ(Get("/v1/requests").status, 403);
}

TEST_F(ApiIntegrationTest, VerbsOfOurOwnAreGrantedByRoles) {
  MakeManager("looker", {"get", "list"});
  const std::string token = TokenOf("looker", kAudience);
  const Reply reply =
      Call("POST", "/v1/pods:acquire", {{"namespace", ns_}, {"request", "x"}}, "k", token);
  EXPECT_EQ(reply.status, 403);
  EXPECT_THAT(reply.detail(), HasSubstr("acquire backuppods.longshore.dev"));
}

TEST_F(ApiIntegrationTest, ASchemasRefusalNamesTheField) {
  const Reply reply = Post("/v1/requests", RequestBody(5, 2), "k1");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.detail(), HasSubstr("spec.pods.max"));
  EXPECT_THAT(reply.detail(), HasSubstr("must be at least min"));
}

TEST_F(ApiIntegrationTest, ARequestLivesThroughTheApi) {
  const Reply made = Post("/v1/requests", RequestBody(0, 2), "k1");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body.at("spec").at("purpose"), "Backup") << "the schema's defaults are shown";
  const std::string name = made.body.at("name");
  EXPECT_EQ(Post("/v1/requests", RequestBody(0, 2), "k1").status, 200);
  EXPECT_EQ(Post("/v1/requests", RequestBody(0, 3), "k1").status, 409);

  const std::string path = "/v1/requests/" + ns_ + "/" + name;
  const Reply patched =
      Call("PATCH", path, {{"spec", {{"pods", {{"max", 6}}}, {"demand", 3}}}}, "", token_);
  ASSERT_EQ(patched.status, 200) << patched.body;
  EXPECT_EQ(Get(path).body.at("spec").at("pods").at("max"), 6) << "own writes are read at once";
  const Reply wrong = Call("PATCH", path, {{"spec", {{"pods", {{"max", 1}}}}}}, "", token_);
  EXPECT_EQ(wrong.status, 400);
  EXPECT_THAT(wrong.detail(), HasSubstr("spec.pods"));
  EXPECT_EQ(Get("/v1/requests?namespace=" + ns_).body.at("items").size(), 1u);
  EXPECT_EQ(Call("DELETE", path, Json(), "", token_).status, 202);
  EXPECT_TRUE(Eventually([&] { return Get(path).status == 404; }));
}

// Eight managers want two pods: two get one each, whatever each of them saw.
TEST_F(ApiIntegrationTest, APodIsAcquiredByOneOnly) {
  if (ControllerIsDeployed()) GTEST_SKIP() << "the cluster's own controller would end these rows";
  const std::string request = Post("/v1/requests", RequestBody(0, 2), "k1").body.at("name");
  MakeAvailablePod("lsp-a", request);
  MakeAvailablePod("lsp-b", request);
  std::atomic<int> acquired = 0;
  {
    std::vector<std::jthread> managers;
    for (int i = 0; i < 8; ++i) {
      managers.emplace_back([&, i] {
        const Reply reply = Post("/v1/pods:acquire", {{"namespace", ns_}, {"request", request}},
                                 "manager-" + std::to_string(i));
        if (reply.status == 200)
          ++acquired;
        else
          EXPECT_EQ(reply.status, 408) << reply.body;
      });
    }
  }
  EXPECT_EQ(acquired, 2);
  for (const char* name : {"lsp-a", "lsp-b"}) {
    const auto pod = client_->Get(kube::kBackupPods, ns_, name);
    EXPECT_EQ(kube::StringAt(*pod, "/status/state"), "Assigned");
    EXPECT_EQ(pod->at("status").at("epoch"), 1);
  }
}

TEST_F(ApiIntegrationTest, AnOperationIsCreatedAndCancelled) {
  const std::string request = Post("/v1/requests", RequestBody(0, 1), "k1").body.at("name");
  const Json body = {{"namespace", ns_},
                     {"spec",
                      {{"type", "Backup"},
                       {"sourceRef", {{"name", "orders"}}},
                       {"requestRef", {{"name", request}}},
                       {"part", "ledger"}}}};
  const Reply made = Post("/v1/operations", body, "k2");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string path = "/v1/operations/" + ns_ + "/" + made.body.at("name").get<std::string>();
  for (int i = 0; i < 2; ++i) {
    const Reply cancelled = Post(path + ":cancel", Json::object(), "");
    ASSERT_EQ(cancelled.status, 200) << cancelled.body;
    EXPECT_EQ(cancelled.body.at("spec").at("cancel"), true);
  }
  Json without_part = body;
  without_part["spec"].erase("part");
  EXPECT_THAT(Post("/v1/operations", without_part, "k3").detail(), HasSubstr("spec.part"));
}

// The API server itself asks what the storage manager API asks, for those who come with kubectl.
TEST_F(ApiIntegrationTest, KubectlIsNoWayAroundTheVerbRestore) {
  kube::Config config = client_->config();
  config.client_certificate_pem.clear();
  config.client_key_pem.clear();
  config.token = TokenOf("manager", "");
  const auto manager = *kube::Client::Create(config, "longshore-test");
  const auto create = [&](const char* type, const std::string& source_ns, const Json& annotations) {
    Json spec = {{"type", type},
                 {"sourceRef", {{"name", "orders"}}},
                 {"requestRef", {{"name", "req-1"}}},
                 {"part", "ledger"}};
    if (!source_ns.empty()) spec["sourceRef"]["namespace"] = source_ns;
    if (std::string(type) == "Restore") spec["copyID"] = "copy-1";
    return manager->Create(kube::kOperations, ns_,
                           {{"apiVersion", "longshore.dev/v1alpha1"},
                            {"kind", "Operation"},
                            {"metadata", {{"generateName", "op-"}, {"annotations", annotations}}},
                            {"spec", spec}});
  };
  const auto code = [](const Result<Json>& result) {
    return result ? std::optional<Code>() : std::optional(result.error().code);
  };
  // A policy takes a moment to be compiled after it was applied.
  ASSERT_TRUE(Eventually(
      [&] { return code(create("Restore", "", Json::object())) == Code::kPermissionDenied; }));
  const auto denied = create("Restore", "", Json::object());
  EXPECT_THAT(denied.error().message, HasSubstr("may not restore backupsources.longshore.dev"));
  EXPECT_EQ(code(create("Backup", "kube-system", Json::object())), Code::kPermissionDenied);
  EXPECT_EQ(code(create("Backup", "", {{"longshore.dev/created-by", "somebody"}})),
            Code::kPermissionDenied);
  EXPECT_EQ(code(create("Backup", "", Json::object())), std::nullopt);
}

// A copy may be of any source, and only the storage manager API knows of which: the right to
// restore into the sources of one namespace is not enough for a Restore that is made with kubectl.
TEST_F(ApiIntegrationTest, KubectlRestoresNeedTheRightToAllCopies) {
  MakeManager("restorer", {"get", "create", "restore"});
  kube::Config config = client_->config();
  config.client_certificate_pem.clear();
  config.client_key_pem.clear();
  config.token = TokenOf("restorer", "");
  const auto restorer = *kube::Client::Create(config, "longshore-test");
  const Json spec = {{"type", "Restore"},
                     {"sourceRef", {{"name", "orders"}}},
                     {"requestRef", {{"name", "req-1"}}},
                     {"copyID", "copy-1"}};
  const auto create = [&](kube::Client& client) {
    return client.Create(kube::kOperations, ns_,
                         {{"apiVersion", "longshore.dev/v1alpha1"},
                          {"kind", "Operation"},
                          {"metadata", {{"generateName", "op-"}}},
                          {"spec", spec}});
  };
  ASSERT_TRUE(Eventually([&] {
    const auto made = create(*restorer);
    return !made && made.error().code == Code::kPermissionDenied;
  }));
  EXPECT_TRUE(create(*client_).has_value());  // who may do everything
}

// The controller reads the secrets that a source names: who may not read them may not name them.
TEST_F(ApiIntegrationTest, WhoeverNamesASecretMustBeAllowedToReadIt) {
  kube::Config config = client_->config();
  config.client_certificate_pem.clear();
  config.client_key_pem.clear();
  config.token = TokenOf("manager", "");
  const auto manager = *kube::Client::Create(config, "longshore-test");
  const auto create = [&](kube::Client& client) {
    return client.Create(
        kube::kBackupSources, ns_,
        {{"apiVersion", "longshore.dev/v1alpha1"},
         {"kind", "BackupSource"},
         {"metadata", {{"generateName", "source-"}}},
         {"spec",
          {{"kind", "postgresql"},
           {"postgresql", {{"host", "h"}, {"caRef", {{"name", "ca"}, {"key", "ca.crt"}}}}},
           {"credentialsRef", {{"name", "somebody-elses"}}}}}});
  };
  ASSERT_TRUE(Eventually([&] {
    const auto made = create(*manager);
    return !made && made.error().code == Code::kPermissionDenied;
  }));
  const auto made = create(*client_);
  EXPECT_TRUE(made.has_value()) << made.error().ToString();
}

}  // namespace
}  // namespace longshore::controller

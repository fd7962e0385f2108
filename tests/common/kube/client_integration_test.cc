// SPDX-License-Identifier: Apache-2.0
// The client against a real API server: what it writes is there, and each refusal has its code.
#include <gmock/gmock.h>

#include "common/kube/event_recorder.h"
#include "common/kube/informer.h"
#include "tests/common/kube/real_cluster.h"

namespace longshore::kube {
namespace {

using testing::HasSubstr;

constexpr Resource kResourceQuotas{"", "v1", "resourcequotas", "ResourceQuota"};
constexpr Resource kRoles{"rbac.authorization.k8s.io", "v1", "roles", "Role"};
constexpr Resource kRoleBindings{"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"};
constexpr char kAudience[] = "longshore-controller";

class ClientIntegrationTest : public RealClusterTest {
 protected:
  static Json Pod(const std::string& name, const std::string& node = "") {
    Json pod = {{"metadata", {{"name", name}}},
                {"spec",
                 {{"schedulerName", "nobody"},
                  {"serviceAccountName", "robot"},
                  {"containers", {{{"name", "c"}, {"image", "none.invalid/none:none"}}}}}}};
    if (!node.empty()) pod["spec"]["nodeName"] = node;
    return pod;
  }
  // A token of service account `name`, bound to `pod` if it is not null.
  std::string TokenOf(const std::string& name, const Json& pod, const std::string& audience) {
    Json spec = {{"expirationSeconds", 600}};
    if (!audience.empty()) spec["audiences"] = {audience};
    if (!pod.is_null()) {
      spec["boundObjectRef"] = {
          {"kind", "Pod"}, {"apiVersion", "v1"}, {"name", NameOf(pod)}, {"uid", UidOf(pod)}};
    }
    const auto answer = client_->Post(
        ResourcePath(kServiceAccounts, ns_, name, "token"),
        {{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", spec}});
    EXPECT_TRUE(answer.has_value()) << answer.error().ToString();
    return answer.has_value() ? std::string(StringAt(*answer, "/status/token")) : "";
  }
  std::unique_ptr<Client> ClientWithToken(const std::string& token) {
    Config config = client_->config();
    config.client_certificate_pem.clear();
    config.client_key_pem.clear();
    config.token = token;
    config.token_file.clear();
    return *Client::Create(config, "longshore-test");
  }
};

TEST_F(ClientIntegrationTest, CreatesGetsUpdatesAndDeletes) {
  const Json created = MustCreate(kConfigMaps, ConfigMap("a"));
  EXPECT_EQ(StringAt(created, "/kind"), "ConfigMap");
  auto got = client_->Get(kConfigMaps, ns_, "a");
  ASSERT_TRUE(got.has_value()) << got.error().ToString();
  EXPECT_EQ(StringAt(*got, "/data/key"), "1");
  (*got)["data"]["key"] = "2";
  const auto updated = client_->Update(kConfigMaps, ns_, *got);
  ASSERT_TRUE(updated.has_value()) << updated.error().ToString();
  EXPECT_EQ(StringAt(*updated, "/data/key"), "2");
  ASSERT_TRUE(client_->Delete(kConfigMaps, ns_, "a").has_value());
  EXPECT_EQ(client_->Get(kConfigMaps, ns_, "a").error().code, Code::kNotFound);
  EXPECT_EQ(client_->Delete(kConfigMaps, ns_, "a").error().code, Code::kNotFound);
}

TEST_F(ClientIntegrationTest, SecondCreateIsAlreadyExistsAndStaleUpdateIsConflict) {
  const Json first = MustCreate(kConfigMaps, ConfigMap("a"));
  EXPECT_EQ(client_->Create(kConfigMaps, ns_, ConfigMap("a")).error().code, Code::kAlreadyExists);
  Json newer = first;
  newer["data"]["key"] = "2";
  ASSERT_TRUE(client_->Update(kConfigMaps, ns_, newer).has_value());
  const auto stale = client_->Update(kConfigMaps, ns_, first);
  ASSERT_FALSE(stale.has_value());
  EXPECT_EQ(stale.error().code, Code::kConflict);
  EXPECT_THAT(stale.error().message, HasSubstr("update configmaps " + ns_ + "/a"));
}

TEST_F(ClientIntegrationTest, MergePatchWithAStaleVersionIsConflict) {
  const Json first = MustCreate(kConfigMaps, ConfigMap("a"));
  const std::string version(StringAt(first, "/metadata/resourceVersion"));
  const Json patch = {{"metadata", {{"resourceVersion", version}}}, {"data", {{"key", "2"}}}};
  const auto patched = client_->Patch(kConfigMaps, ns_, "a", PatchType::kMerge, patch);
  ASSERT_TRUE(patched.has_value()) << patched.error().ToString();
  EXPECT_EQ(StringAt(*patched, "/data/key"), "2");
  Json again = patch;
  again["data"]["key"] = "3";
  EXPECT_EQ(client_->Patch(kConfigMaps, ns_, "a", PatchType::kMerge, again).error().code,
            Code::kConflict);
}

TEST_F(ClientIntegrationTest, JsonPatchWithAFailedTestIsConflict) {
  MustCreate(kConfigMaps, ConfigMap("a"));
  const Json patch = {{{"op", "test"}, {"path", "/data/key"}, {"value", "1"}},
                      {{"op", "replace"}, {"path", "/data/key"}, {"value", "2"}}};
  ASSERT_TRUE(client_->Patch(kConfigMaps, ns_, "a", PatchType::kJson, patch).has_value());
  const auto again = client_->Patch(kConfigMaps, ns_, "a", PatchType::kJson, patch);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kConflict) << again.error().ToString();
}

TEST_F(ClientIntegrationTest, ApplyOwnsItsFieldsAndFightsOnlyByForce) {
  const Json ours = {{"metadata", {{"name", "a"}}}, {"data", {{"key", "ours"}}}};
  Json theirs = ours;
  theirs["data"]["key"] = "theirs";
  ASSERT_TRUE(client_->Apply(kConfigMaps, ns_, ours, "first").has_value());
  const auto fight = client_->Apply(kConfigMaps, ns_, theirs, "second");
  ASSERT_FALSE(fight.has_value());
  EXPECT_EQ(fight.error().code, Code::kConflict);
  EXPECT_THAT(fight.error().message, HasSubstr(".data.key"));
  const auto forced = client_->Apply(kConfigMaps, ns_, theirs, "second", /*force=*/true);
  ASSERT_TRUE(forced.has_value()) << forced.error().ToString();
  EXPECT_EQ(StringAt(*forced, "/data/key"), "theirs");
}

TEST_F(ClientIntegrationTest, StatusIsWrittenSeparately) {
  MustCreate(kServiceAccounts, {{"metadata", {{"name", "robot"}}}});
  MustCreate(kPods, Pod("p"));
  const Json condition = {{"type", "longshore.dev/Available"},
                          {"status", "True"},
                          {"lastTransitionTime", "2026-11-23T01:02:03Z"}};
  const auto patched = client_->Patch(kPods, ns_, "p", PatchType::kMerge,
                                      {{"status", {{"conditions", {condition}}}}}, "status");
  ASSERT_TRUE(patched.has_value()) << patched.error().ToString();
  EXPECT_EQ((*patched)["status"]["conditions"][0]["type"], "longshore.dev/Available");
}

TEST_F(ClientIntegrationTest, DeleteHoldsItsPreconditions) {
  const Json object = MustCreate(kConfigMaps, ConfigMap("a"));
  const auto other = client_->Delete(kConfigMaps, ns_, "a", {.uid = "another"});
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, Code::kConflict);
  EXPECT_EQ(client_->Delete(kConfigMaps, ns_, "a", {.resource_version = "1"}).error().code,
            Code::kConflict);
  EXPECT_TRUE(
      client_->Delete(kConfigMaps, ns_, "a", {.uid = std::string(UidOf(object))}).has_value());
}

TEST_F(ClientIntegrationTest, InvalidObjectsNameTheField) {
  const auto service = client_->Create(
      kServices, ns_, {{"metadata", {{"name", "s"}}}, {"spec", {{"ports", {{{"port", 70000}}}}}}});
  ASSERT_FALSE(service.has_value());
  EXPECT_EQ(service.error().code, Code::kInvalidArgument);
  EXPECT_THAT(service.error().message, HasSubstr("spec.ports[0].port"));
}

TEST_F(ClientIntegrationTest, NamesThatWouldChangeThePathAreRefused) {
  for (const char* name : {"", ".", "..", "../../namespaces", "a%2fb"}) {
    EXPECT_EQ(client_->Get(kConfigMaps, ns_, name).error().code, Code::kInvalidArgument) << name;
    EXPECT_EQ(client_->Get(kConfigMaps, name, "a").error().code, Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(client_->Get(kConfigMaps, ns_, "a?x=y").error().code, Code::kNotFound);
}

TEST_F(ClientIntegrationTest, UnknownResourceIsNotFound) {
  const Resource none{"none.example", "v1", "nones", "None"};
  EXPECT_EQ(client_->List(none, ns_).error().code, Code::kNotFound);
}

TEST_F(ClientIntegrationTest, ListsAllPagesAndSelects) {
  constexpr int kObjects = 520;  // more than a page
  for (int i = 0; i < kObjects; ++i) MustCreate(kConfigMaps, ConfigMap("m" + std::to_string(i)));
  const auto all = client_->List(kConfigMaps, ns_, {.label_selector = "app=test"});
  ASSERT_TRUE(all.has_value()) << all.error().ToString();
  EXPECT_EQ(all->items.size(), static_cast<size_t>(kObjects));
  EXPECT_FALSE(all->resource_version.empty());
  EXPECT_EQ(StringAt(all->items[0], "/kind"), "ConfigMap");
  EXPECT_EQ(StringAt(all->items[0], "/apiVersion"), "v1");
  const auto one = client_->List(kConfigMaps, ns_, {.field_selector = "metadata.name=m7"});
  ASSERT_TRUE(one.has_value());
  ASSERT_EQ(one->items.size(), 1u);
  EXPECT_EQ(NameOf(one->items[0]), "m7");
  const auto none = client_->List(kConfigMaps, ns_, {.label_selector = "app in (x, y)"});
  ASSERT_TRUE(none.has_value()) << none.error().ToString();
  EXPECT_TRUE(none->items.empty());
}

// Quota speaks through the same reason as RBAC; the callers' remedies differ.
TEST_F(ClientIntegrationTest, ExceededQuotaIsNoLackOfRights) {
  const Json hard = {{"hard", {{"count/secrets", "0"}}}};
  Json quota = MustCreate(kResourceQuotas, {{"metadata", {{"name", "q"}}}, {"spec", hard}});
  const auto patched = client_->Patch(
      kResourceQuotas, ns_, "q", PatchType::kMerge,
      {{"status", {{"hard", hard["hard"]}, {"used", {{"count/secrets", "0"}}}}}}, "status");
  ASSERT_TRUE(patched.has_value()) << patched.error().ToString();
  Result<Json> secret = Unavailable("not tried");
  // The quota reaches admission through an informer of the server.
  ASSERT_TRUE(Eventually([&] {
    secret = client_->Create(kSecrets, ns_, {{"metadata", {{"name", "s-" + RandomId(6)}}}});
    return !secret.has_value();
  }));
  EXPECT_EQ(secret.error().code, Code::kResourceExhausted) << secret.error().ToString();
  EXPECT_THAT(secret.error().message, HasSubstr("exceeded quota"));
}

TEST_F(ClientIntegrationTest, TokensOfPodsAreReviewed) {
  MustCreate(kServiceAccounts, {{"metadata", {{"name", "robot"}}}});
  const auto nodes = client_->List(kNodes, "");
  ASSERT_TRUE(nodes.has_value());
  const std::string node(nodes->items.empty() ? "" : NameOf(nodes->items[0]));
  const Json pod = MustCreate(kPods, Pod("p", node));
  const std::string token = TokenOf("robot", pod, kAudience);

  const auto user = ReviewToken(*client_, token, {kAudience});
  ASSERT_TRUE(user.has_value()) << user.error().ToString();
  EXPECT_EQ(user->username, "system:serviceaccount:" + ns_ + ":robot");
  EXPECT_THAT(user->groups, testing::Contains("system:serviceaccounts:" + ns_));
  EXPECT_EQ(user->pod_name, "p");
  EXPECT_EQ(user->pod_uid, UidOf(pod));
  EXPECT_EQ(user->node_name, node);

  // A token for the API server itself must not open our doors, nor the other way round.
  EXPECT_EQ(ReviewToken(*client_, TokenOf("robot", pod, ""), {kAudience}).error().code,
            Code::kUnauthenticated);
  EXPECT_EQ(ReviewToken(*client_, token, {"another"}).error().code, Code::kUnauthenticated);
  EXPECT_EQ(ReviewToken(*client_, "nonsense", {kAudience}).error().code, Code::kUnauthenticated);
  EXPECT_EQ(ReviewToken(*client_, "", {kAudience}).error().code, Code::kUnauthenticated);
  EXPECT_EQ(ClientWithToken(token)->Get(kPods, ns_, "p").error().code, Code::kUnauthenticated);
}

TEST_F(ClientIntegrationTest, AccessIsWhatRbacSays) {
  MustCreate(kServiceAccounts, {{"metadata", {{"name", "robot"}}}});
  const UserInfo user{.username = "system:serviceaccount:" + ns_ + ":robot",
                      .uid = "",
                      .groups = {"system:serviceaccounts", "system:authenticated"}};
  const Access access{.verb = "acquire", .ns = ns_, .resource = kBackupPods};
  const Status before = CheckAccess(*client_, user, access);
  ASSERT_FALSE(before.has_value());
  EXPECT_EQ(before.error().code, Code::kPermissionDenied);
  EXPECT_THAT(before.error().message, HasSubstr("cannot acquire backuppods.longshore.dev"));
  EXPECT_THAT(before.error().message, HasSubstr(user.username));

  MustCreate(kRoles, {{"metadata", {{"name", "r"}}},
                      {"rules",
                       {{{"apiGroups", {"longshore.dev"}},
                         {"resources", {"backuppods"}},
                         {"verbs", {"acquire"}}}}}});
  MustCreate(
      kRoleBindings,
      {{"metadata", {{"name", "r"}}},
       {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Role"}, {"name", "r"}}},
       {"subjects", {{{"kind", "ServiceAccount"}, {"name", "robot"}, {"namespace", ns_}}}}});
  EXPECT_TRUE(Eventually([&] { return CheckAccess(*client_, user, access).has_value(); }));
  Access list = access;
  list.verb = "list";
  EXPECT_EQ(CheckAccess(*client_, user, list).error().code, Code::kPermissionDenied);

  const auto robot = ClientWithToken(TokenOf("robot", nullptr, ""));
  const auto pods = robot->List(kPods, ns_);
  ASSERT_FALSE(pods.has_value());
  EXPECT_EQ(pods.error().code, Code::kPermissionDenied);
}

TEST_F(ClientIntegrationTest, RepeatedEventsBecomeOneSeries) {
  const Json object = MustCreate(kConfigMaps, ConfigMap("a"));
  {
    EventRecorder recorder(*client_, "longshore.dev/test", "test-1");
    for (int i = 0; i < 3; ++i) {
      recorder.Record(object, "Warning", "NoRoom", "Provision", "no node has room");
    }
    recorder.Record(object, "Normal", "Ready", "Announce", std::string(2000, 'x'));
  }  // what is queued is sent
  const auto events = client_->List(kEvents, ns_);
  ASSERT_TRUE(events.has_value()) << events.error().ToString();
  ASSERT_EQ(events->items.size(), 2u);
  for (const Json& event : events->items) {
    EXPECT_EQ(StringAt(event, "/regarding/uid"), UidOf(object));
    EXPECT_EQ(StringAt(event, "/reportingController"), "longshore.dev/test");
    if (StringAt(event, "/reason") == "NoRoom") {
      EXPECT_EQ(event["series"]["count"], 3);
      EXPECT_EQ(StringAt(event, "/note"), "no node has room");
    } else {
      EXPECT_FALSE(event.contains("series") && !event["series"].is_null());
    }
  }
}

}  // namespace
}  // namespace longshore::kube

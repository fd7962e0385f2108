// SPDX-License-Identifier: Apache-2.0
// Replicas of the controller on a real API server: one leads and carries the label, and the policy
// that ships with the manifests lets it write nothing else of a Pod.
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>

#include "common/kube/config.h"
#include "common/kube/informer.h"
#include "controller/leadership.h"
#include "tests/common/kube/real_cluster.h"

namespace longshore::controller {
namespace {

using kube::Json;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr kube::Resource kRoles{"rbac.authorization.k8s.io", "v1", "roles", "Role"};
constexpr kube::Resource kRoleBindings{"rbac.authorization.k8s.io", "v1", "rolebindings",
                                       "RoleBinding"};

struct Replica {
  std::atomic<int64_t> began{-1};
  std::atomic<bool> replaced{false};
  std::unique_ptr<Leadership> leadership;
};

class LeadershipIntegrationTest : public kube::RealClusterTest {
 protected:
  // A Pod that nobody runs. The namespace's own account is made by a controller in its own time.
  void MakePod(const std::string& name, const std::string& app = "longshore-controller") {
    const Json pod = {
        {"apiVersion", "v1"},
        {"kind", "Pod"},
        {"metadata", {{"name", name}, {"labels", {{"app.kubernetes.io/name", app}}}}},
        {"spec",
         {{"schedulerName", "nobody"},
          {"automountServiceAccountToken", false},
          {"containers", Json::array({{{"name", "c"}, {"image", "none.invalid/none"}}})}}}};
    ASSERT_TRUE(Eventually([&] { return client_->Create(kube::kPods, ns_, pod).has_value(); }));
  }

  std::unique_ptr<Replica> Start(const std::string& pod) {
    auto replica = std::make_unique<Replica>();
    replica->leadership = std::make_unique<Leadership>(
        *client_,
        LeadershipOptions{.lease = ns_ + "/controller",
                          .pod = pod,
                          .duration = milliseconds(3000),
                          .renew_deadline = milliseconds(2000),
                          .retry_period = milliseconds(200)},
        Leadership::Callbacks{.began = [at = replica.get()](int64_t epoch) { at->began = epoch; },
                              .replaced = [at = replica.get()] { at->replaced = true; }});
    const Status started = replica->leadership->Start();
    EXPECT_TRUE(started.has_value()) << started.error().ToString();
    return replica;
  }

  std::vector<std::string> Labelled() {
    std::vector<std::string> names;
    const auto pods =
        client_->List(kube::kPods, ns_, {.label_selector = kLeaderLabel, .field_selector = ""});
    EXPECT_TRUE(pods.has_value()) << pods.error().ToString();
    for (const Json& pod : pods->items) names.emplace_back(kube::NameOf(pod));
    return names;
  }
  bool LabelIsOn(const std::string& pod) {
    return Eventually([&] { return Labelled() == std::vector<std::string>{pod}; });
  }
  void SetHolder(const std::string& holder) {
    ASSERT_TRUE(Eventually([&] {
      Json lease = *client_->Get(kube::kLeases, ns_, "controller");
      lease["spec"]["holderIdentity"] = holder;
      lease["spec"]["leaseTransitions"] = lease["spec"]["leaseTransitions"].get<int64_t>() + 1;
      return client_->Update(kube::kLeases, ns_, lease).has_value();
    }));
  }
};

TEST_F(LeadershipIntegrationTest, TheLabelFollowsTheLease) {
  MakePod("one");
  MakePod("two");
  const auto one = Start("one");
  ASSERT_TRUE(LabelIsOn("one"));
  EXPECT_EQ(one->began, 0);
  const auto two = Start("two");
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_FALSE(two->leadership->leading());
  EXPECT_THAT(Labelled(), ElementsAre("one"));
  one->leadership->Stop();
  ASSERT_TRUE(LabelIsOn("two"));
  EXPECT_EQ(two->began, 1);
  EXPECT_FALSE(one->replaced) << "who stops by itself was not replaced";
}

// The leader died, or sleeps: it takes nothing away from itself, so its heir does.
TEST_F(LeadershipIntegrationTest, TheHeirTakesTheLabelFromTheDead) {
  MakePod("dead");
  MakePod("heir");
  ASSERT_TRUE(client_
                  ->Patch(kube::kPods, ns_, "dead", kube::PatchType::kMerge,
                          {{"metadata", {{"labels", {{kLeaderLabel, "true"}}}}}})
                  .has_value());
  const auto heir = Start("heir");
  EXPECT_TRUE(LabelIsOn("heir"));
}

// A container that was started again finds its predecessor's label on its Pod.
TEST_F(LeadershipIntegrationTest, ACandidateCarriesNoLabel) {
  MakePod("again");
  MakePod("leader");
  const auto leader = Start("leader");
  ASSERT_TRUE(LabelIsOn("leader"));
  ASSERT_TRUE(client_
                  ->Patch(kube::kPods, ns_, "again", kube::PatchType::kMerge,
                          {{"metadata", {{"labels", {{kLeaderLabel, "true"}}}}}})
                  .has_value());
  const auto again = Start("again");
  EXPECT_TRUE(LabelIsOn("leader"));
}

TEST_F(LeadershipIntegrationTest, WhoWasReplacedIsToldOnceAndWritesNothing) {
  MakePod("one");
  const auto one = Start("one");
  ASSERT_TRUE(LabelIsOn("one"));
  SetHolder("another");
  ASSERT_TRUE(Eventually([&] { return one->replaced.load(); }));
  EXPECT_FALSE(one->leadership->leading());
  EXPECT_EQ(one->leadership->holder(), "another");
}

TEST_F(LeadershipIntegrationTest, OptionsThatContradictEachOtherAreRefused) {
  const auto error = [&](const std::string& lease, const std::string& pod) {
    Leadership leadership(*client_, {.lease = lease, .pod = pod}, {[](int64_t) {}, [] {}});
    const Status started = leadership.Start();
    return started ? std::string() : started.error().message;
  };
  EXPECT_THAT(error("no-namespace", "pod"), HasSubstr("--lease: NAMESPACE/NAME"));
  EXPECT_THAT(error("ns/name", ""), HasSubstr("--pod"));
}

// manifests/base/controller/leadership.yaml, as the API server reads it.
TEST_F(LeadershipIntegrationTest, ThePolicyAllowsTheLabelAndNothingElse) {
  const char* root = std::getenv("LONGSHORE_SOURCE_DIR");
  ASSERT_NE(root, nullptr) << "run it through ctest";
  ASSERT_EQ(std::system(("kubectl apply -f " + std::string(root) +
                         "/manifests/base/controller/leadership.yaml >/dev/null")
                            .c_str()),
            0);
  MakePod("ours");
  MakePod("other", "longshore-nodeagent");
  MustCreate(kube::kServiceAccounts, {{"metadata", {{"name", "longshore-controller"}}}});
  MustCreate(kRoles, {{"metadata", {{"name", "r"}}},
                      {"rules", Json::array({{{"apiGroups", {""}},
                                              {"resources", {"pods"}},
                                              {"verbs", {"get", "patch"}}}})}});
  MustCreate(
      kRoleBindings,
      {{"metadata", {{"name", "r"}}},
       {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Role"}, {"name", "r"}}},
       {"subjects", Json::array({{{"kind", "ServiceAccount"},
                                  {"name", "longshore-controller"},
                                  {"namespace", ns_}}})}});
  const auto token = client_->Post(
      kube::ResourcePath(kube::kServiceAccounts, ns_, "longshore-controller", "token"),
      {{"apiVersion", "authentication.k8s.io/v1"},
       {"kind", "TokenRequest"},
       {"spec", {{"expirationSeconds", 600}}}});
  ASSERT_TRUE(token.has_value()) << token.error().ToString();
  kube::Config config = client_->config();
  config.client_certificate_pem = config.client_key_pem = "";
  config.token = kube::StringAt(*token, "/status/token");
  const auto controller = *kube::Client::Create(config, "longshore-test");
  const auto patch = [&](const std::string& pod, const Json& merge) {
    const auto done = controller->Patch(kube::kPods, ns_, pod, kube::PatchType::kMerge, merge);
    return done ? std::string("done") : done.error().message;
  };
  const Json label = {{"metadata", {{"labels", {{kLeaderLabel, "true"}}}}}};
  const auto image = [](int version) -> Json {
    const std::string name = "none.invalid/other-" + std::to_string(version);
    return {{"spec", {{"containers", Json::array({{{"name", "c"}, {"image", name}}})}}}};
  };
  // A new policy is obeyed after a moment. Each attempt changes something, even after one that was
  // let through: a patch without a difference is no offence.
  int version = 0;
  ASSERT_TRUE(Eventually([&] {
    return patch("ours", image(++version)).find("nothing but the label") != std::string::npos;
  }));
  EXPECT_THAT(patch("ours", image(++version)), HasSubstr("nothing but the label"));
  EXPECT_THAT(patch("ours", {{"metadata", {{"labels", {{"a", "b"}}}}}}),
              HasSubstr("nothing but the label"));
  EXPECT_THAT(patch("ours", {{"metadata", {{"annotations", {{"a", "b"}}}}}}),
              HasSubstr("nothing but the label"));
  EXPECT_THAT(patch("ours", {{"metadata", {{"labels", {{"app.kubernetes.io/name", nullptr}}}}}}),
              HasSubstr("nothing but the label"));
  EXPECT_THAT(patch("other", label), HasSubstr("for Pods of the controller"));
  EXPECT_EQ(patch("ours", label), "done");
  EXPECT_EQ(patch("ours", {{"metadata", {{"labels", {{kLeaderLabel, nullptr}}}}}}), "done");
}

}  // namespace
}  // namespace longshore::controller

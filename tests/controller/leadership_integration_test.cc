// SPDX-License-Identifier: Apache-2.0
// Replicas of the controller on a real API server: one leads and carries the label, and the policy
// that ships with the manifests lets it write nothing else of a Pod.
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>

#include "common/base/clock.h"
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
  // A Pod that nobody runs.
  static Json IdlePod(const std::string& name, const Json& labels) {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"labels", labels}}},
            {"spec",
             {{"schedulerName", "nobody"},
              {"automountServiceAccountToken", false},
              {"containers", Json::array({{{"name", "c"}, {"image", "none.invalid/none"}}})}}}};
  }
  // The namespace's own account is made by a controller in its own time.
  void MakePod(const std::string& name, const std::string& app = "longshore-controller") {
    const Json pod = IdlePod(name, {{"app.kubernetes.io/name", app}});
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
    if (!pods) return {};
    for (const Json& pod : pods->items) names.emplace_back(kube::NameOf(pod));
    return names;
  }
  bool LabelIsOn(const std::string& pod) {
    return Eventually([&] { return Labelled() == std::vector<std::string>{pod}; });
  }
  // As the controller's own ServiceAccount, which may do this to Pods of the namespace; null where
  // it got no token.
  std::unique_ptr<kube::Client> Controller(const Json& verbs,
                                           const std::string& account = "longshore-controller") {
    MustCreate(kube::kServiceAccounts, {{"metadata", {{"name", account}}}});
    MustCreate(kRoles,
               {{"metadata", {{"name", "r"}}},
                {"rules",
                 Json::array({{{"apiGroups", {""}}, {"resources", {"pods"}}, {"verbs", verbs}}})}});
    MustCreate(
        kRoleBindings,
        {{"metadata", {{"name", "r"}}},
         {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Role"}, {"name", "r"}}},
         {"subjects",
          Json::array({{{"kind", "ServiceAccount"}, {"name", account}, {"namespace", ns_}}})}});
    const auto token =
        client_->Post(kube::ResourcePath(kube::kServiceAccounts, ns_, account, "token"),
                      {{"apiVersion", "authentication.k8s.io/v1"},
                       {"kind", "TokenRequest"},
                       {"spec", {{"expirationSeconds", 600}}}});
    EXPECT_TRUE(token.has_value()) << token.error().ToString();
    if (!token) return nullptr;
    kube::Config config = client_->config();
    config.client_certificate_pem = config.client_key_pem = "";
    config.token = kube::StringAt(*token, "/status/token");
    return *kube::Client::Create(config, "longshore-test");
  }
  // Of manifests/base/controller, with what `edit` (of sed) makes of it.
  static void Apply(const std::string& manifest, const std::string& edit = "") {
    const char* root = std::getenv("LONGSHORE_SOURCE_DIR");
    ASSERT_NE(root, nullptr) << "run it through ctest";
    const std::string command = "sed '" + edit + "' " + root + "/manifests/base/controller/" +
                                manifest + " | kubectl apply -f - >/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0);
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

// As deployed: a leader that dies without a word, just after it has renewed, is replaced within 5
// s.
TEST_F(LeadershipIntegrationTest, TheHeirLeadsWithinFiveSecondsOfADeath) {
  MakePod("heir");
  const auto heir = std::make_unique<Replica>();
  heir->leadership = std::make_unique<Leadership>(
      *client_, LeadershipOptions{.lease = ns_ + "/controller", .pod = "heir"},
      Leadership::Callbacks{.began = [at = heir.get()](int64_t epoch) { at->began = epoch; },
                            .replaced = [] {}});
  const auto renew = [&] {
    const Json spec = {{"holderIdentity", "dead"},
                       {"leaseDurationSeconds", 4},
                       {"leaseTransitions", 7},
                       {"renewTime", FormatTime(Clock::Real().Now())}};
    return client_->Patch(kube::kLeases, ns_, "controller", kube::PatchType::kMerge,
                          {{"spec", spec}});
  };
  MustCreate(kube::kLeases, {{"metadata", {{"name", "controller"}}}});
  ASSERT_TRUE(renew());
  ASSERT_TRUE(heir->leadership->Start().has_value());
  for (int i = 0; i < 6; ++i) {
    std::this_thread::sleep_for(milliseconds(1000));
    ASSERT_TRUE(renew());
  }
  const auto died = std::chrono::steady_clock::now();
  EXPECT_EQ(heir->began, -1);
  ASSERT_TRUE(Eventually([&] { return heir->began == 8; }));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - died;
  EXPECT_GE(took.count(), 3.5) << "the dead one might have written until then";
  EXPECT_LE(took.count(), 5.0);
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
  Apply("leadership.yaml");
  MakePod("ours");
  MakePod("other", "longshore-nodeagent");
  const auto controller = Controller({"get", "patch"});
  ASSERT_TRUE(controller);
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

// manifests/base/controller/term.yaml: what a leader of before still has on its way.
TEST_F(LeadershipIntegrationTest, ThePolicyRefusesWhatALeaderOfBeforeCreatesAndLabels) {
  // By names of its own, so that a cluster with the manifests keeps theirs, and they let this be.
  Apply("term.yaml", "s/longshore-term/longshore-term-test/; s/namespace: .*/namespace: " + ns_ +
                         "/; s/name: longshore-controller/name: controller/" +
                         "; s/:longshore-controller/:term-test/");
  const auto controller = Controller({"create", "patch"}, "term-test");
  ASSERT_TRUE(controller);
  const auto set_term = [&](int64_t term) {
    const Json spec = {{"leaseTransitions", term}};
    if (client_->Patch(kube::kLeases, ns_, "controller", kube::PatchType::kMerge, {{"spec", spec}}))
      return;
    MustCreate(kube::kLeases, {{"metadata", {{"name", "controller"}}}, {"spec", spec}});
  };
  const auto create = [&](const std::string& name, const std::string& term) {
    Json pod = IdlePod(name, {{"longshore.dev/term", term}});
    if (term.empty()) pod["metadata"].erase("labels");
    const auto done = controller->Create(kube::kPods, ns_, pod);
    return done ? std::string("done") : done.error().message;
  };
  const auto label = [&](const std::string& name, const std::string& term,
                         const std::string& busy) {
    const Json labels = {{"longshore.dev/term", term}, {"longshore.dev/busy", busy}};
    const auto done = controller->Patch(kube::kPods, ns_, name, kube::PatchType::kMerge,
                                        {{"metadata", {{"labels", labels}}}});
    return done ? std::string("done") : done.error().message;
  };
  const auto refused = HasSubstr("another controller leads since");
  set_term(3);
  int tries = 0;  // a new policy is obeyed after a moment
  ASSERT_TRUE(Eventually([&] { return create("try-" + std::to_string(++tries), "2") != "done"; }));
  EXPECT_THAT(create("late", "2"), refused);
  EXPECT_EQ(create("now", "3"), "done");
  EXPECT_EQ(create("alone", ""), "done") << "of a controller that leads without a Lease";
  EXPECT_EQ(label("now", "3", "true"), "done");
  set_term(4);
  ASSERT_TRUE(Eventually([&] { return create("try-" + std::to_string(++tries), "3") != "done"; }));
  EXPECT_THAT(label("now", "3", "other"), refused);
  const auto patched = controller->Patch(kube::kPods, ns_, "now", kube::PatchType::kMerge,
                                         {{"metadata", {{"annotations", {{"a", "b"}}}}}});
  EXPECT_TRUE(patched.has_value()) << "it was made in an earlier term, and its labels stay";
  EXPECT_EQ(label("now", "4", "other"), "done");
  ASSERT_TRUE(Eventually([&] {
    return std::system(
               "kubectl delete --ignore-not-found "
               "validatingadmissionpolicybinding/longshore-term-test "
               "validatingadmissionpolicy/longshore-term-test >/dev/null") == 0;
  }));
}

}  // namespace
}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "cli/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace longshore::cli {
namespace {

using api::Json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// What we ship and what docs/placement.md shows, so that neither drifts into what we warn of.
std::string Shipped(const std::string& file) {
  std::ifstream in(std::string(LONGSHORE_SOURCE_DIR) + "/" + file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string InDocs() {
  const std::string text = Shipped("docs/placement.md");
  const size_t begin = text.find("```yaml\napiVersion: kubescheduler.config.k8s.io");
  const size_t end = text.find("```\n", begin + 8);
  return text.substr(begin + 8, end - begin - 8);
}

// The shipped one with one text in place of another.
std::string Changed(const std::string& old, const std::string& changed) {
  std::string text = InDocs();
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), changed);
}

auto Is(Severity severity, const std::string& object, const std::string& finding) {
  return AllOf(Field(&Finding::severity, severity), Field(&Finding::object, object),
               Field(&Finding::finding, HasSubstr(finding)));
}

TEST(SchedulerLintTest, WhatWeShipIsAsItShouldBe) {
  for (const std::string& text : {InDocs(), Shipped("manifests/base/scheduler/config.yaml"),
                                  Shipped("manifests/components/cluster-scheduler/config.yaml")}) {
    EXPECT_THAT(LintSchedulerConfiguration(text),
                ElementsAre(Is(Severity::kOk, "extenders", "as it should be")));
  }
}

struct Trap {
  std::string old, changed;
  Severity severity;
  std::string object, finding;
};

class SchedulerTrapTest : public ::testing::TestWithParam<Trap> {};

TEST_P(SchedulerTrapTest, IsTheOnlyFinding) {
  const Trap& trap = GetParam();
  const Findings findings = LintSchedulerConfiguration(Changed(trap.old, trap.changed));
  ASSERT_THAT(findings,
              ElementsAre(Is(trap.severity, "extenders[0]." + trap.object, trap.finding)));
  EXPECT_NE(findings[0].remedy, "");
}

INSTANTIATE_TEST_SUITE_P(
    Each, SchedulerTrapTest,
    ::testing::Values(
        Trap{"https://", "http://", Severity::kError, "urlPrefix", "clear text"},
        Trap{":8443", "", Severity::kWarning, "urlPrefix", "no port"},
        Trap{":8443", ":8443/v1", Severity::kWarning, "urlPrefix", "/v1 is not served"},
        Trap{"weight: 125", "weight: \"125\"", Severity::kError, "weight", "in quotes"},
        Trap{"ignorable: true", "ignorable: true\n    ignoreable: true", Severity::kError,
             "ignoreable", "there is no such field"},
        Trap{"tlsConfig:", "tlsConfig:\n      ca: x", Severity::kError, "tlsConfig.ca",
             "there is no such field"},
        Trap{"httpTimeout: 1s", "httpTimeout: 5ms", Severity::kWarning, "httpTimeout", "hardly"},
        Trap{"caFile: /etc/longshore/ca/ca.crt", "insecure: false", Severity::kError,
             "tlsConfig.caFile", "verifies no certificate"},
        Trap{"caFile: /etc/longshore/ca/ca.crt", "insecure: true", Severity::kError,
             "tlsConfig.insecure", "any server's"},
        Trap{"keyFile: /etc/longshore/tls/tls.key", "", Severity::kError, "tlsConfig.certFile",
             "no client certificate"},
        Trap{"httpTimeout: 1s", "", Severity::kWarning, "httpTimeout", "5 s is the default"},
        Trap{"httpTimeout: 1s", "httpTimeout: 0s", Severity::kWarning, "httpTimeout", "5 s"},
        Trap{"httpTimeout: 1s", "httpTimeout: 1m0.5s", Severity::kWarning, "httpTimeout", "1m0.5s"},
        Trap{"httpTimeout: 1s", "httpTimeout: 1 second", Severity::kError, "httpTimeout",
             "is no duration"},
        Trap{"ignorable: true", "ignorable: false", Severity::kWarning, "ignorable", "away"},
        Trap{"nodeCacheCapable: true", "", Severity::kWarning, "nodeCacheCapable", "141781"},
        Trap{"weight: 125", "weight: 12", Severity::kWarning, "weight", "120 points"},
        Trap{"weight: 125", "weight: 0", Severity::kError, "weight", "positive"},
        Trap{"filterVerb: filter", "", Severity::kError, "filterVerb", "not asked"},
        Trap{"prioritizeVerb: prioritize", "prioritizeVerb: score", Severity::kError,
             "prioritizeVerb", "score is not served"},
        Trap{"filterVerb: filter", "filterVerb: filter\n    bindVerb: bind", Severity::kError,
             "bindVerb", "not served"},
        Trap{"    managedResources:\n      - name: longshore.dev/backup-pod\n"
             "        ignoredByScheduler: true\n",
             "", Severity::kError, "managedResources", "every pod of this scheduler"},
        Trap{"ignoredByScheduler: true", "ignoredByScheduler: false", Severity::kError,
             "managedResources", "no node fits"},
        Trap{"name: longshore.dev/backup-pod", "name: example.com/other", Severity::kError,
             "managedResources", "is not named"}));

TEST(SchedulerLintTest, BackupPodsNeedAProfile) {
  for (const char* profiles : {"profiles: []\n", "profiles: 3\n", "",
                               "profiles: [{schedulerName: default-scheduler}]\n"}) {
    EXPECT_THAT(LintSchedulerConfiguration(
                    Changed("profiles:\n  - schedulerName: longshore-scheduler\n", profiles)),
                ElementsAre(Is(Severity::kError, "profiles", "they stay Pending")))
        << profiles;
  }
}

// Its schemes are read without regard to case, as kube-scheduler does.
TEST(SchedulerLintTest, AnUpperCaseSchemeIsTlsToo) {
  EXPECT_THAT(LintSchedulerConfiguration(Changed("https://", "HTTPS://")),
              ElementsAre(Is(Severity::kOk, "extenders", "")));
}

TEST(SchedulerLintTest, WhatIsThereTwiceKeepsKubeSchedulerFromStarting) {
  const std::string profile = "  - schedulerName: longshore-scheduler\n";
  EXPECT_THAT(LintSchedulerConfiguration(Changed(profile, profile + profile)),
              ElementsAre(Is(Severity::kError, "profiles[1].schedulerName", "is there already")));
  std::string text = InDocs();
  const size_t entry = text.find("  - urlPrefix");
  text += text.substr(entry);
  EXPECT_THAT(LintSchedulerConfiguration(text),
              ElementsAre(Is(Severity::kError, "extenders[1]", "a second one")));
}

TEST(SchedulerLintTest, SteeringNeedsNodeAffinity) {
  const std::string profile = "  - schedulerName: longshore-scheduler\n";
  const auto with = [&](const std::string& plugins) {
    return LintSchedulerConfiguration(Changed(profile, profile + "    plugins: " + plugins + "\n"));
  };
  EXPECT_THAT(with("{filter: {disabled: [{name: '*'}]}}"),
              ElementsAre(Is(Severity::kError, "profiles[0].plugins.filter", "NodeAffinity")));
  EXPECT_THAT(with("{filter: {disabled: [{name: '*'}], enabled: [{name: NodeAffinity}]}}"),
              ElementsAre(Is(Severity::kOk, "extenders", "")));
  EXPECT_THAT(with("{score: {disabled: [{name: '*'}]}}"),
              ElementsAre(Is(Severity::kOk, "extenders", "")));
}

TEST(SchedulerLintTest, OthersExtendersAreLeftAlone) {
  std::string text = Changed("extenders:\n", "extenders:\n  - urlPrefix: http://other:80\n");
  EXPECT_THAT(LintSchedulerConfiguration(text), ElementsAre(Is(Severity::kOk, "extenders", "")));
  text =
      "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
      "profiles: [{schedulerName: longshore-scheduler}]\n";
  EXPECT_THAT(LintSchedulerConfiguration(text),
              ElementsAre(Is(Severity::kError, "extenders", "none of them is Longshore's")));
}

TEST(SchedulerLintTest, WhatIsNoConfigurationIsSaidSo) {
  for (const char* text : {"", "[]", "kind: Pod", "7", "extenders: 3"}) {
    EXPECT_THAT(LintSchedulerConfiguration(text),
                ElementsAre(Is(Severity::kError, "kind", "not a KubeSchedulerConfiguration")))
        << text;
  }
  EXPECT_THAT(LintSchedulerConfiguration("a: [b"), ElementsAre(Is(Severity::kError, "YAML", "")));
  EXPECT_THAT(LintSchedulerConfiguration(Changed("kubescheduler.config.k8s.io/v1", "v1beta3")),
              ElementsAre(Is(Severity::kError, "apiVersion", "v1beta3")));
  // Parts of another type than expected.
  EXPECT_THAT(LintSchedulerConfiguration(Changed("tlsConfig:", "tlsConfig: 3\nx:")), SizeIs(2));
}

Json Node(const std::string& name, const Json& labels) {
  return {{"metadata", {{"name", name}, {"labels", labels}}}};
}

TEST(DiagnosisTest, MissingTopologyLabelsAreNamed) {
  const char* zone = "topology.kubernetes.io/zone";
  const char* rack = "topology.longshore.dev/rack";
  EXPECT_THAT(CheckTopologyLabels({Node("a", {{zone, "z"}}), Node("b", {{zone, "z"}})}),
              ElementsAre(Is(Severity::kOk, "topology labels", "on all 2 nodes")));
  EXPECT_THAT(
      CheckTopologyLabels({Node("a", {{zone, "z"}, {rack, "r"}}), Node("b", {{zone, "z"}})}),
      ElementsAre(Is(Severity::kWarning, std::string("label ") + rack, "1 of 2 nodes (b)")));
  std::vector<Json> bare;
  for (int i = 0; i < 7; ++i) bare.push_back(Node("n" + std::to_string(i), Json::object()));
  EXPECT_THAT(CheckTopologyLabels(bare),
              ElementsAre(Is(Severity::kWarning, std::string("label ") + zone,
                             "7 of 7 nodes (n0, n1, n2, n3, n4 and 2 more)")));
}

// Not an error: the cluster's own may do it (manifests/components/cluster-scheduler).
TEST(DiagnosisTest, NoSchedulerOfOursIsAWarning) {
  EXPECT_THAT(NoSchedulerOfOurs(),
              Is(Severity::kWarning, "deployment/longshore-scheduler", "profile of that name"));
}

Json Scheduler(const std::string& image) {
  return {{"metadata", {{"name", "longshore-scheduler-1"}, {"namespace", "ns"}}},
          {"spec", {{"containers", {{{"name", "kube-scheduler"}, {"image", image}}}}}}};
}

struct Skewed {
  std::string image;
  Severity severity;
  std::string finding;
};

class SchedulerVersionTest : public ::testing::TestWithParam<Skewed> {};

TEST_P(SchedulerVersionTest, IsComparedWithTheApiServers) {
  const auto& [image, severity, finding] = GetParam();
  const Json server = {{"major", "1"}, {"minor", "34+"}, {"gitVersion", "v1.34.2-eks-113cf36"}};
  const Findings findings = CheckSchedulerVersion(server, {Scheduler(image)});
  ASSERT_THAT(findings, ElementsAre(Is(severity, "image of longshore-scheduler", finding)));
  if (severity == Severity::kWarning) {
    EXPECT_THAT(findings[0].remedy, HasSubstr("kube-scheduler:v1.34.2 "));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, SchedulerVersionTest,
    ::testing::Values(
        Skewed{"registry.k8s.io/kube-scheduler:v1.34.2", Severity::kOk, "v1.34.2, and"},
        // The patch is free, whatever a distribution puts behind it.
        Skewed{"r:5000/kube-scheduler:1.34.0-eks-1", Severity::kOk, "v1.34.0, and"},
        Skewed{"r/kube-scheduler:v1.34.9@sha256:ab", Severity::kOk, "v1.34.9, and"},
        Skewed{"r/kube-scheduler:v1.36.3", Severity::kWarning, "none that is newer"},
        Skewed{"r/kube-scheduler:v2.1.0", Severity::kWarning, "none that is newer"},
        Skewed{"r/kube-scheduler:v1.33.7", Severity::kWarning, "for the time of an upgrade"},
        Skewed{"r/kube-scheduler:v1.32.1", Severity::kWarning, "more than one minor version"},
        // Nothing to compare is no fault, but worth a look.
        Skewed{"longshore.local/kube-scheduler@sha256:1.2.3", Severity::kOk, "does not say"},
        Skewed{"r:5000/kube-scheduler", Severity::kOk, "does not say"},
        Skewed{"r/kube-scheduler:dev", Severity::kOk, "does not say"},
        Skewed{"r/kube-scheduler:v1.34", Severity::kOk, "does not say"},
        Skewed{"r/kube-scheduler:v1.99999999999.0", Severity::kOk, "does not say"},
        Skewed{"", Severity::kOk, "does not say"}));

TEST(DiagnosisTest, VersionsThatAreNotKnownAreOnlyHints) {
  EXPECT_THAT(CheckSchedulerVersion(Json::object(), {}), SizeIs(0));
  const Findings unknown =
      CheckSchedulerVersion({{"gitVersion", "main"}}, {Scheduler("r/kube-scheduler:v1.34.2")});
  ASSERT_THAT(unknown, ElementsAre(Is(Severity::kOk, "image of longshore-scheduler",
                                      "main, is no release")));
  EXPECT_THAT(unknown[0].remedy, HasSubstr("-n ns exec deployment/longshore-scheduler -- "));
  // One that goes counts no more; each image of the rest is looked at once.
  Json leaving = Scheduler("r/kube-scheduler:v1.30.0");
  leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  const Json now = Scheduler("r/kube-scheduler:v1.34.2");
  EXPECT_THAT(CheckSchedulerVersion({{"gitVersion", "v1.34.0"}}, {leaving, now, now}),
              ElementsAre(Is(Severity::kOk, "image of longshore-scheduler", "v1.34.2, and")));
}

TEST(DiagnosisTest, WorkloadsAreCounted) {
  Json controller = {{"kind", "Deployment"},
                     {"metadata", {{"name", "c"}, {"namespace", "ns"}}},
                     {"spec", {{"replicas", 2}}},
                     {"status", {{"availableReplicas", 2}}}};
  EXPECT_THAT(CheckWorkload(controller), Is(Severity::kOk, "deployment/c", "2 of 2"));
  controller["status"]["availableReplicas"] = 1;
  EXPECT_THAT(CheckWorkload(controller), Is(Severity::kWarning, "deployment/c", "1 of 2"));
  controller["status"] = Json::object();
  EXPECT_THAT(CheckWorkload(controller), Is(Severity::kError, "deployment/c", "0 of 2"));
  controller["spec"]["replicas"] = 0;
  EXPECT_THAT(CheckWorkload(controller), Is(Severity::kError, "deployment/c", "scaled to 0"));
  const Json agent = {{"kind", "DaemonSet"},
                      {"metadata", {{"name", "a"}, {"namespace", "ns"}}},
                      {"status", {{"desiredNumberScheduled", 3}, {"numberAvailable", 3}}}};
  EXPECT_THAT(CheckWorkload(agent), Is(Severity::kOk, "daemonset/a", "3 of 3"));
}

}  // namespace
}  // namespace longshore::cli

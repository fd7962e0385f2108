// SPDX-License-Identifier: Apache-2.0
//
// The Pod that is rendered for a row: names, security, steering and volumes.
#include "controller/pod_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/pod_facts.h"
#include "controller/pod_names.h"

namespace longshore::controller {
namespace {

using api::Json;

struct Parts {
  Parts() {
    request.metadata.name = "r";
    request.metadata.ns = "backup";
    request.metadata.uid = "request-uid";
    request.spec.source_ref.name = "orders";
    source.metadata.name = "orders";
    source.metadata.ns = "backup";
    source.spec.kind = "postgresql";
    image.resources.requests = {{"cpu", "100m"}, {"memory", "128Mi"}};
    policy.resources.requests = {{"cpu", "250m"}};
    row = MakeRow(request, 1, 2, "image@sha256:1", {"node-2", "node-1"}, "Requested");
    row.metadata.uid = "row-uid";
  }
  Json Render() const {
    return RenderPod({row, request, policy, image, source, "controller:9443"});
  }
  api::ComputeRequest request;
  api::BackupSource source;
  api::SourceImageSpec image;
  api::PodPolicySpec policy;
  api::BackupPod row;
};

TEST(PodTemplateTest, NamesAreDeterministicAndDistinct) {
  EXPECT_EQ(PodName("u", 1, 2), PodName("u", 1, 2));
  EXPECT_NE(PodName("u", 1, 2), PodName("u", 12, 0));
  EXPECT_NE(PodName("u", 1, 2), PodName("v", 1, 2));
  EXPECT_THAT(PodName("u", 0, 0), testing::MatchesRegex("lsp-[0-9a-f]{10}"));
}

TEST(PodTemplateTest, PodIsOwnedByItsRowAndCarriesItsLabels) {
  const Parts parts;
  const Json pod = parts.Render();
  EXPECT_EQ(pod["metadata"]["name"], parts.row.metadata.name);
  EXPECT_EQ(pod["metadata"]["ownerReferences"][0]["uid"], "row-uid");
  EXPECT_EQ(pod["metadata"]["labels"]["longshore.dev/source"], "orders");
  EXPECT_EQ(pod["metadata"]["annotations"]["longshore.dev/source-namespace"], "backup");
  EXPECT_EQ(pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"],
            "true");
  EXPECT_TRUE(MadeFor(pod, "row-uid"));
  EXPECT_FALSE(MadeFor(pod, "uid of a row that had the same name"));
}

// Killed before it gave up by itself, a worker would leave its database session to time out.
TEST(PodTemplateTest, WorkerGivesUpBeforeTheKubeletKillsIt) {
  for (const auto& [pod_grace, worker_grace] :
       {std::pair(300, "270"), std::pair(60, "30"), std::pair(20, "10"), std::pair(0, "0")}) {
    Parts parts;
    parts.policy.termination_grace_period_seconds = pod_grace;
    const Json pod = parts.Render();
    EXPECT_EQ(pod["spec"]["terminationGracePeriodSeconds"], pod_grace);
    const auto args = pod["spec"]["containers"][0]["args"].get<std::vector<std::string>>();
    const auto flag = std::find(args.begin(), args.end(), "--stop-grace-seconds");
    ASSERT_LT(flag + 1, args.end());
    EXPECT_EQ(*(flag + 1), worker_grace) << pod_grace;
  }
}

TEST(PodTemplateTest, OneTermForEachCandidateNode) {
  const Json pod = Parts().Render();
  const Json& terms = pod["spec"]["affinity"]["nodeAffinity"]
                         ["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
  ASSERT_EQ(terms.size(), 2u);
  EXPECT_EQ(terms[0]["matchFields"][0]["values"], Json::array({"node-2"}));
  Parts anywhere;
  anywhere.row.spec.candidate_nodes.clear();
  EXPECT_FALSE(anywhere.Render()["spec"].contains("affinity"));
}

TEST(PodTemplateTest, ExtenderIsToldOfAPodThatMayBeFarAway) {
  Parts parts;
  const Json::json_pointer mode("/metadata/annotations/longshore.dev~1placement-mode");
  EXPECT_FALSE(parts.Render().contains(mode));
  parts.row.spec.placement_mode = "Prefer";
  EXPECT_EQ(parts.Render().at(mode), "Prefer");
}

TEST(PodTemplateTest, ExtenderIsToldOfTheCap) {
  Parts parts;
  const Json::json_pointer cap("/metadata/annotations/longshore.dev~1max-pods-per-node");
  EXPECT_FALSE(parts.Render().contains(cap));
  parts.policy.max_pods_per_node = 2;
  EXPECT_EQ(parts.Render().at(cap), "2");
}

// Whoever changes more of it than that has idle pods replaced.
TEST(PodTemplateTest, PolicyHashIsOfWhatAPolicySaysOfPods) {
  const std::string label = Parts().Render()["metadata"]["labels"]["longshore.dev/policy-hash"];
  EXPECT_EQ(label, PolicyHash(Parts().policy));
  const auto changed = [&](const std::function<void(api::PodPolicySpec&)>& edit) {
    Parts parts;
    edit(parts.policy);
    return PolicyHash(parts.policy) != label;
  };
  using Policy = api::PodPolicySpec;
  EXPECT_TRUE(changed([](Policy& p) { p.run_as_user = 1000; }));
  EXPECT_TRUE(changed([](Policy& p) { p.resources.limits["memory"] = "1Gi"; }));
  EXPECT_TRUE(changed([](Policy& p) { p.tolerations.push_back({"k", "Exists", "", ""}); }));
  EXPECT_TRUE(changed([](Policy& p) { p.priority_class_name = ""; }));
  EXPECT_TRUE(changed([](Policy& p) { p.service_account_name = "other"; }));
  EXPECT_TRUE(changed([](Policy& p) { p.termination_grace_period_seconds = 20; }));
  EXPECT_FALSE(changed([](Policy& p) { p.repository_ref.name = "other"; }));
  EXPECT_FALSE(changed([](Policy& p) { p.operation_limits.snapshot_seconds = 9; }));
  EXPECT_FALSE(changed([](Policy& p) { p.max_memory = "9Gi"; })) << "nothing of it is raised yet";
  EXPECT_FALSE(changed([](Policy& p) { p.max_pods_per_node = 3; }));
  EXPECT_FALSE(changed([](Policy& p) { p.max_pods_per_namespace = 3; }));
  EXPECT_FALSE(changed([](Policy& p) { p.node_headroom_percent = 20; }));
}

// Another controller version must say the same of the same policy, or every idle pod is replaced
// when it is installed.
TEST(PodTemplateTest, PolicyHashStaysAsItIs) {
  api::PodPolicySpec policy;
  policy.run_as_user = 1000;
  EXPECT_EQ(PolicyHash(policy), "bd5bac9216");  // of {"runAsUser":1000}
}

TEST(PodTemplateTest, SecurityIsAsNarrowAsItGets) {
  const Json spec = Parts().Render()["spec"];
  EXPECT_EQ(spec["automountServiceAccountToken"], false);
  EXPECT_EQ(spec["enableServiceLinks"], false);
  EXPECT_EQ(spec["serviceAccountName"], "longshore-worker");
  EXPECT_EQ(spec["priorityClassName"], "longshore-backup");
  EXPECT_EQ(spec["schedulerName"], "longshore-scheduler");
  EXPECT_EQ(spec["securityContext"]["runAsNonRoot"], true);
  EXPECT_EQ(spec["securityContext"]["runAsUser"], 65532);
  EXPECT_EQ(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  const Json& container = spec["containers"][0];
  EXPECT_EQ(container["securityContext"]["readOnlyRootFilesystem"], true);
  EXPECT_EQ(container["securityContext"]["allowPrivilegeEscalation"], false);
  EXPECT_EQ(container["securityContext"]["capabilities"]["drop"], Json::array({"ALL"}));
  EXPECT_FALSE(container.contains("env"));
}

TEST(PodTemplateTest, PolicyOverridesResourcesOneByOneAndTheMarkerIsThere) {
  const Json resources = Parts().Render()["spec"]["containers"][0]["resources"];
  EXPECT_EQ(resources["requests"]["cpu"], "250m");
  EXPECT_EQ(resources["requests"]["memory"], "128Mi");
  EXPECT_EQ(resources["requests"]["longshore.dev/backup-pod"], "1");
  EXPECT_EQ(resources["limits"]["longshore.dev/backup-pod"], "1");
}

// As it counts once the Pod is there, for the extender and in every view.
TEST(PodTemplateTest, WhatIsAskedForBeyondAllNodesIsTheMostAndNotNothing) {
  api::ResourceRequirements resources;
  EXPECT_TRUE(CheckRequests(resources).has_value());
  EXPECT_EQ(DemandOf(resources).cpu_milli, 0);
  resources.requests = {{"cpu", "250m"}, {"memory", "64Mi"}};
  EXPECT_TRUE(CheckRequests(resources).has_value());
  EXPECT_EQ(DemandOf(resources).cpu_milli, 250);
  EXPECT_EQ(DemandOf(resources).memory_bytes, 64 << 20);
  resources.requests["memory"] = "99999999999999T";
  const Status refused = CheckRequests(resources);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message, "quantity out of range: \"99999999999999T\"");
  EXPECT_EQ(DemandOf(resources).memory_bytes, kMostRequested);
}

TEST(PodTemplateTest, FilesystemIsReadByABackupAndWrittenByARestore) {
  Parts parts;
  parts.source.spec.filesystem = api::FilesystemAccess{"data"};
  Json volume = parts.Render()["spec"]["volumes"].back();
  EXPECT_EQ(volume["persistentVolumeClaim"]["readOnly"], true);
  parts.request.spec.purpose = "Restore";
  const Json spec = parts.Render()["spec"];
  EXPECT_EQ(spec["volumes"].back()["persistentVolumeClaim"]["readOnly"], false);
  EXPECT_EQ(spec["containers"][0]["volumeMounts"].back()["mountPath"], "/target");
}

TEST(PodTemplateTest, ToleratesWhatThePolicySaysAndALostNodeForAWhile) {
  Parts parts;
  parts.policy.tolerations = {{"dedicated", "Equal", "db", "NoSchedule"}};
  EXPECT_EQ(parts.Render()["spec"]["tolerations"], Json::parse(R"([
      {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
       "tolerationSeconds": 30},
      {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
       "tolerationSeconds": 30},
      {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}])"));
}

// ---- what a Pod says ---------------------------------------------------------------------------

PodFacts Facts(const char* json) {
  return FactsOf(std::make_shared<const Json>(Json::parse(json)));
}

TEST(PodFactsTest, WhoEndedItIsTold) {
  const auto facts = Facts(R"({"metadata": {"uid": "u"}, "status": {"phase": "Failed",
      "conditions": [{"type": "DisruptionTarget", "status": "True",
                      "reason": "EvictionByEvictionAPI", "message": "drain"}]}})");
  EXPECT_TRUE(facts.ended);
  EXPECT_EQ(facts.end_reason, "EvictionByEvictionAPI");
  EXPECT_EQ(Facts(R"({"status": {"phase": "Failed", "reason": "Evicted"}})").end_reason, "Evicted");
  EXPECT_EQ(Facts(R"({"status": {"phase": "Failed"}})").end_reason, "PodFailed");
  EXPECT_FALSE(FactsOf(nullptr).exists);
}

TEST(PodFactsTest, SinceWhenNoNodeWillDoIsTheSchedulersWord) {
  const auto since = [](const char* reason) {
    return FactsOf(std::make_shared<const Json>(
                       Json{{"status",
                             {{"conditions",
                               {{{"type", "PodScheduled"},
                                 {"status", "False"},
                                 {"reason", reason},
                                 {"lastTransitionTime", "2026-11-23T00:00:00Z"}}}}}}}))
        .unschedulable_since;
  };
  EXPECT_EQ(since("Unschedulable"), "2026-11-23T00:00:00Z");
  EXPECT_EQ(since("SchedulerError"), "");
}

// Told to go, it finished its work: nothing has failed.
TEST(PodFactsTest, APodThatWasDeletedAndFinishedItsWorkHasNotFailed) {
  const auto facts = Facts(R"({"metadata": {"deletionTimestamp": "2026-11-23T01:00:00Z"},
      "status": {"phase": "Succeeded", "containerStatuses": [
          {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}})");
  EXPECT_TRUE(facts.ended);
  EXPECT_EQ(EndingOf(facts), "PodDeleted: it finished its work first");
}

TEST(PodFactsTest, HowItsContainerEndedIsTold) {
  const auto oom = Facts(R"({"status": {"phase": "Running", "containerStatuses": [{
      "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
      "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137,
                                   "finishedAt": "2026-11-23T01:00:00Z"}}}]}})");
  EXPECT_EQ(oom.death.reason, "OOMKilled");
  EXPECT_THAT(oom.death.message, testing::HasSubstr("spec.resources.limits.memory"));
  EXPECT_EQ(oom.trouble_message, "CrashLoopBackOff: back-off 10s; " + oom.death.message);
  EXPECT_TRUE(DiedSince(oom, "2026-11-23T01:00:00.700000Z")) << "the kubelet rounds";
  EXPECT_FALSE(DiedSince(oom, "2026-11-23T01:00:02.000000Z")) << "that was another operation";
  const auto failed = Facts(R"({"status": {"phase": "Failed", "containerStatuses": [{
      "state": {"terminated": {"reason": "Error", "exitCode": 3}},
      "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}})");
  EXPECT_EQ(EndingOf(failed),
            "PodFailed: of its container: it ended with exit code 3 (Error); see `kubectl logs "
            "--previous`");
  EXPECT_FALSE(DiedSince(Facts(R"({"status": {"phase": "Running"}})"), ""));
}

// Only what was interrupted has to do with who ends the pod.
TEST(PodFactsTest, AResultOfAnInterruptedWorkerNamesWhoEndsItsPod) {
  messages::OperationResult result;
  result.set_error_class("Interrupted");
  result.set_error_message("told to stop");
  const auto preempted = Facts(R"({"metadata": {"deletionTimestamp": "2026-11-23T01:00:00Z"},
      "status": {"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True",
                 "reason": "PreemptionByScheduler", "message": "make room"}]}})");
  EXPECT_EQ(WithEnding(result, preempted).error_message(),
            "told to stop: PreemptionByScheduler: make room");
  EXPECT_EQ(WithEnding(result, PodFacts{}).error_message(), "told to stop: PodDeleted");
  EXPECT_EQ(WithEnding(result, Facts(R"({"status": {"phase": "Running"}})")).error_message(),
            "told to stop");
  result.set_error_class("Internal");
  EXPECT_EQ(WithEnding(result, preempted).error_message(), "told to stop");
}

TEST(PodFactsTest, TroubleHasAReasonAndARemedy) {
  const auto unplaced = Facts(R"({"metadata": {"name": "p"}, "status": {"phase": "Pending",
      "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                      "message": "0/3 nodes"}]}})");
  EXPECT_EQ(unplaced.trouble, "Unschedulable");
  EXPECT_EQ(unplaced.trouble_message,
            "0/3 nodes; free a node, or change resources, tolerations or caps of the PodPolicy; "
            "`longshore explain p` says more");
  const auto pull = Facts(R"({"spec": {"nodeName": "n"}, "status": {"containerStatuses": [
      {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]}})");
  EXPECT_EQ(pull.trouble, "ImagePullFailed");
  EXPECT_THAT(pull.trouble_message, testing::HasSubstr("spec.image"));
}

}  // namespace
}  // namespace longshore::controller

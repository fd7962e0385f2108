// SPDX-License-Identifier: Apache-2.0
#include "controller/pod_template.h"

#include <algorithm>

#include "common/base/strings.h"
#include "controller/pod_names.h"
#include "controller/policy_demand.h"

namespace longshore::controller {
namespace {

using api::Json;

// The kubelet renews the token at 80 % of its life.
constexpr int kTokenSeconds = 3600;

std::map<std::string, std::string> Labels(const api::BackupPodSpec& row,
                                          const api::ComputeRequest& request) {
  return {{api::kLabelManagedBy, "longshore"},
          {api::kLabelRequest, request.metadata.name},
          {api::kLabelRequestUid, request.metadata.uid},
          {api::kLabelSource, row.source_ref.name},
          {api::kLabelSlot, std::to_string(row.slot)},
          {api::kLabelAttempt, std::to_string(row.attempt)},
          {api::kLabelPurpose, request.spec.purpose}};
}

// What the extender is told about the pod, beside its source.
std::map<std::string, std::string> Annotations(const PodTemplateInput& in) {
  std::map<std::string, std::string> annotations = {
      {api::kAnnotationSourceNamespace, in.source.metadata.ns}, {kAnnotationSafeToEvict, "true"}};
  if (!in.row.spec.placement_mode.empty()) {
    annotations[api::kAnnotationPlacementMode] = in.row.spec.placement_mode;
  }
  if (in.policy.max_pods_per_node) {
    annotations[api::kAnnotationMaxPodsPerNode] = std::to_string(*in.policy.max_pods_per_node);
  }
  return annotations;
}

Json Metadata(const PodTemplateInput& in) {
  auto labels = Labels(in.row.spec, in.request);
  labels[kLabelPolicyHash] = PolicyHash(in.policy);
  return {{"name", in.row.metadata.name},
          {"namespace", in.row.metadata.ns},
          {"labels", labels},
          {"annotations", Annotations(in)},
          {"ownerReferences", Json::array({{{"apiVersion", api::kApiVersion},
                                            {"kind", "BackupPod"},
                                            {"name", in.row.metadata.name},
                                            {"uid", in.row.metadata.uid},
                                            {"controller", true},
                                            {"blockOwnerDeletion", true}}})}};
}

// One term per node: matchFields takes a single value, and terms are alternatives.
Json NodeAffinity(const std::vector<std::string>& nodes) {
  Json terms = Json::array();
  for (const std::string& node : nodes) {
    terms.push_back({{"matchFields", Json::array({{{"key", "metadata.name"},
                                                   {"operator", "In"},
                                                   {"values", Json::array({node})}}})}});
  }
  return {{"nodeAffinity",
           {{"requiredDuringSchedulingIgnoredDuringExecution", {{"nodeSelectorTerms", terms}}}}}};
}

Json Tolerations(const api::PodPolicySpec& policy) {
  Json all = api::WriteJson(TolerationsOf(policy));
  for (size_t i = 0; i < kNodeLossTolerations; ++i) {
    all[i]["tolerationSeconds"] = kNodeLossSeconds;
  }
  return all;
}

bool Restores(const PodTemplateInput& in) { return in.request.spec.purpose == "Restore"; }

Json Volumes(const PodTemplateInput& in) {
  Json volumes = Json::array();
  volumes.push_back({{"name", "token"},
                     {"projected",
                      {{"defaultMode", 0440},
                       {"sources", Json::array({{{"serviceAccountToken",
                                                  {{"audience", kAudience},
                                                   {"expirationSeconds", kTokenSeconds},
                                                   {"path", "token"}}}}})}}}});
  volumes.push_back({{"name", "ca"}, {"configMap", {{"name", kCaConfigMap}}}});
  volumes.push_back(
      {{"name", "scratch"}, {"emptyDir", {{"sizeLimit", in.policy.scratch_size_limit}}}});
  volumes.push_back(
      {{"name", "secrets"}, {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", "8Mi"}}}});
  if (MountsClaim(in.source, in.request)) {
    volumes.push_back({{"name", "data"},
                       {"persistentVolumeClaim",
                        {{"claimName", in.source.spec.filesystem->persistent_volume_claim},
                         {"readOnly", !Restores(in)}}}});
  }
  return volumes;
}

Json Mounts(const PodTemplateInput& in) {
  Json mounts = Json::array({
      {{"name", "token"}, {"mountPath", "/var/run/secrets/longshore"}, {"readOnly", true}},
      {{"name", "ca"}, {"mountPath", "/etc/longshore/ca"}, {"readOnly", true}},
      {{"name", "scratch"}, {"mountPath", "/scratch"}},
      {{"name", "secrets"}, {"mountPath", "/run/longshore"}},
  });
  if (MountsClaim(in.source, in.request)) {
    mounts.push_back({{"name", "data"},
                      {"mountPath", Restores(in) ? "/target" : "/source"},
                      {"readOnly", !Restores(in)}});
  }
  return mounts;
}

// The worker must give up before the kubelet kills it, with time left to end sessions and tell us.
int64_t StopGraceSeconds(int64_t pod_grace_seconds) {
  return pod_grace_seconds - std::min<int64_t>(30, pod_grace_seconds / 2);
}

Json Args(const PodTemplateInput& in) {
  return Json::array(
      {"--controller", in.controller_endpoint, "--ca-file", "/etc/longshore/ca/ca.crt",
       "--token-file", "/var/run/secrets/longshore/token", "--kind", in.source.spec.kind,
       "--scratch", "/scratch", "--secrets-dir", "/run/longshore", "--source-dir", "/source",
       "--target-dir", "/target", "--stop-grace-seconds",
       std::to_string(StopGraceSeconds(in.policy.termination_grace_period_seconds))});
}

Json Container(const PodTemplateInput& in) {
  api::ResourceRequirements resources = EffectiveResources(in.image, in.policy);
  resources.requests[api::kMarkerResource] = "1";
  resources.limits[api::kMarkerResource] = "1";
  return {{"name", "worker"},
          {"image", in.row.spec.image},
          {"imagePullPolicy", "IfNotPresent"},
          {"command", Json::array({"/usr/bin/longshore-worker"})},
          {"args", Args(in)},
          {"resources", {{"requests", resources.requests}, {"limits", resources.limits}}},
          {"securityContext",
           {{"allowPrivilegeEscalation", false},
            {"readOnlyRootFilesystem", true},
            {"capabilities", {{"drop", Json::array({"ALL"})}}}}},
          {"terminationMessagePolicy", "FallbackToLogsOnError"},
          {"volumeMounts", Mounts(in)}};
}

// But for what operations may do, and where and how many pods may be: nothing of a pod that is
// there.
Json SaidOfPods(const api::PodPolicySpec& policy) {
  Json said = api::WriteJson(policy);
  for (const char* field : {"pathway", "repositoryRef", "operationLimits", "maxPodsPerNode",
                            "nodeHeadroomPercent", "maxMemory", "maxPodsPerNamespace"}) {
    said.erase(field);
  }
  return said;
}

}  // namespace

// The claim is read by a backup and written by a restore; a verify needs the repository only.
bool MountsClaim(const api::BackupSource& source, const api::ComputeRequest& request) {
  return source.spec.filesystem.has_value() && request.spec.purpose != "Verify";
}

api::Json RenderPod(const PodTemplateInput& in) {
  const api::PodPolicySpec& policy = in.policy;
  Json spec = {
      {"schedulerName", api::kSchedulerName},
      {"serviceAccountName",
       policy.service_account_name.empty() ? kWorkerServiceAccount : policy.service_account_name},
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      {"restartPolicy", "Always"},
      {"terminationGracePeriodSeconds", policy.termination_grace_period_seconds},
      {"readinessGates", Json::array({{{"conditionType", kAvailableCondition}}})},
      {"securityContext",
       {{"runAsNonRoot", true},
        {"runAsUser", policy.run_as_user},
        {"runAsGroup", policy.run_as_group},
        {"fsGroup", policy.run_as_group},
        // A volume that is mounted for reading keeps its owners: never walk a big source.
        {"fsGroupChangePolicy", "OnRootMismatch"},
        {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
      {"tolerations", Tolerations(policy)},
      {"containers", Json::array({Container(in)})},
      {"volumes", Volumes(in)}};
  if (!policy.priority_class_name.empty()) {
    spec["priorityClassName"] = policy.priority_class_name;
  }
  if (!in.row.spec.candidate_nodes.empty()) {
    spec["affinity"] = NodeAffinity(in.row.spec.candidate_nodes);
  }
  return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", Metadata(in)}, {"spec", spec}};
}

std::string PolicyHash(const api::PodPolicySpec& policy) {
  static const Json usual = SaidOfPods(api::PodPolicySpec());
  Json said = SaidOfPods(policy);
  for (const auto& [field, value] : usual.items()) {
    if (!said.contains(field)) {
      said[field] = nullptr;
    } else if (said[field] == value) {
      said.erase(field);
    }
  }
  return Sha256Hex(api::DumpJson(said)).substr(0, 10);
}

api::ResourceRequirements EffectiveResources(const api::SourceImageSpec& image,
                                             const api::PodPolicySpec& policy) {
  api::ResourceRequirements merged = image.resources;
  for (const auto& [name, quantity] : policy.resources.requests) merged.requests[name] = quantity;
  for (const auto& [name, quantity] : policy.resources.limits) merged.limits[name] = quantity;
  return merged;
}

Status CheckRequests(const api::ResourceRequirements& resources) {
  for (const char* name : {"cpu", "memory"}) {
    const auto request = resources.requests.find(name);
    if (request == resources.requests.end()) continue;
    if (const auto read = ParseQuantityMilli(request->second); !read) return read.error();
  }
  return {};
}

placement::PodDemand DemandOf(const api::ResourceRequirements& resources) {
  const auto milli = [&](const char* name) {
    const auto request = resources.requests.find(name);
    return request == resources.requests.end() ? 0 : RequestedMilli(request->second);
  };
  placement::PodDemand demand;
  demand.cpu_milli = std::min(milli("cpu"), kMostRequested);
  demand.memory_bytes = std::min(milli("memory") / 1000, kMostRequested);
  return demand;
}

api::BackupPod MakeRow(const api::ComputeRequest& request, int slot, int attempt,
                       const std::string& image, std::vector<std::string> candidate_nodes,
                       const std::string& cause) {
  api::BackupPod row;
  row.kind = "BackupPod";
  row.metadata.name = PodName(request.metadata.uid, slot, attempt);
  row.metadata.ns = request.metadata.ns;
  row.spec.request_ref.name = request.metadata.name;
  row.spec.source_ref = request.spec.source_ref;
  if (row.spec.source_ref.ns.empty()) row.spec.source_ref.ns = request.metadata.ns;
  row.spec.slot = slot;
  row.spec.attempt = attempt;
  row.spec.image = image;
  row.spec.candidate_nodes = std::move(candidate_nodes);
  row.spec.cause = cause;
  row.metadata.labels = Labels(row.spec, request);
  row.metadata.owner_references.push_back({api::kApiVersion, "ComputeRequest",
                                           request.metadata.name, request.metadata.uid, true,
                                           true});
  // Who deletes the row has its Pod retired, not cut off: the cluster would end the Pod with it.
  row.metadata.finalizers.push_back(api::kFinalizer);
  return row;
}

}  // namespace longshore::controller

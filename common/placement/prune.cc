// SPDX-License-Identifier: Apache-2.0
#include "common/placement/prune.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "common/api/meta.h"
#include "common/kube/informer.h"
#include "common/placement/records.h"

namespace longshore::placement {
namespace {

using api::Json;

constexpr char kStaticPodHash[] = "kubernetes.io/config.hash";

void KeepOnly(Json& object, std::initializer_list<std::string_view> keys) {
  if (!object.is_object()) return;
  for (auto field = object.begin(); field != object.end();) {
    const bool kept = std::find(keys.begin(), keys.end(), field.key()) != keys.end();
    field = kept ? std::next(field) : object.erase(field);
  }
}

// For each object in the list that the field holds.
template <class Do>
void Each(Json& object, const char* field, Do&& act) {
  if (!object.is_object() || !object.contains(field) || !object[field].is_array()) return;
  for (Json& item : object[field]) act(item);
}

void PruneVolumes(Json& spec) {
  if (!spec.contains("volumes") || !spec["volumes"].is_array()) return;
  Json claims = Json::array();
  for (Json& volume : spec["volumes"]) {
    if (!volume.is_object() || !volume.contains("persistentVolumeClaim")) continue;
    claims.push_back({{"persistentVolumeClaim", std::move(volume["persistentVolumeClaim"])}});
  }
  spec["volumes"] = std::move(claims);
}

// Of the owners the controller by kind and name, in one entry; the rest is most of each.
void PruneOwners(Json& metadata) {
  Json controllers = Json::array();
  Each(metadata, "ownerReferences", [&](Json& owner) {
    if (!owner.is_object() || !owner.contains("controller") || owner["controller"] != true) return;
    KeepOnly(owner, {"kind", "name", "controller"});
    controllers.push_back(std::move(owner));
  });
  metadata.erase("ownerReferences");
  if (!controllers.empty()) metadata["ownerReferences"] = std::move(controllers);
}

// What the pod asks for, in place of its containers.
void AddUpRequests(Json& spec, const PodRecord& read) {
  KeepOnly(spec, {"nodeName", "volumes"});
  spec["resources"] = {{"requests",
                        {{"cpu", std::to_string(read.cpu_milli) + "m"},
                         {"memory", std::to_string(read.memory_bytes)}}}};
}

// Conditions keep their places: one is written by its place in the list.
void PruneCondition(Json& condition) {
  const std::string_view type = kube::StringAt(condition, "/type");
  const bool is_true = kube::StringAt(condition, "/status") == "True";
  if (type == "PodScheduled" && !is_true) {
    KeepOnly(condition, {"type", "status", "reason", "message", "lastTransitionTime"});
  } else if (type == "DisruptionTarget") {
    KeepOnly(condition, {"type", "status", "reason", "message"});
  } else if (type == "Ready" || type.starts_with(api::kGroup)) {
    KeepOnly(condition, {"type", "status"});
  } else {
    condition = nullptr;
  }
}

void PruneContainer(Json& container) {
  KeepOnly(container, {"state", "lastState", "restartCount"});
  if (!container.is_object() || !container.contains("lastState")) return;
  Json& last = container["lastState"];
  KeepOnly(last, {"terminated"});
  if (last.is_object() && last.contains("terminated")) {
    KeepOnly(last["terminated"], {"reason", "exitCode", "finishedAt"});
  }
}

void PruneOurs(Json& pod) {
  const std::string limit(kube::StringAt(pod, "/spec/containers/0/resources/limits/memory"));
  AddUpRequests(pod["spec"], ReadPod(pod));
  if (!limit.empty()) pod["spec"]["resources"]["limits"] = {{"memory", limit}};
  Each(pod["metadata"], "ownerReferences", [](Json& owner) { KeepOnly(owner, {"uid"}); });
  Json& status = pod["status"];
  KeepOnly(status, {"phase", "reason", "message", "podIP", "conditions", "containerStatuses"});
  Each(status, "conditions", PruneCondition);
  Each(status, "containerStatuses", PruneContainer);
}

void PruneOther(Json& pod) {
  const PodRecord read = ReadPod(pod);
  Json& metadata = pod["metadata"];
  PruneOwners(metadata);
  if (metadata.contains("annotations")) KeepOnly(metadata["annotations"], {kStaticPodHash});
  AddUpRequests(pod["spec"], read);
  Json& status = pod["status"];
  KeepOnly(status, {"phase", "conditions"});
  if (status.is_object() && status.contains("conditions")) {
    status["conditions"] = {{{"type", "Ready"}, {"status", read.ready ? "True" : "False"}}};
  }
}

}  // namespace

void PruneNode(Json& node) {
  if (!node.is_object()) return;
  if (node.contains("metadata") && node["metadata"].is_object()) {
    node["metadata"].erase("annotations");
  }
  if (node.contains("spec")) {
    KeepOnly(node["spec"], {"unschedulable", "taints"});
    Each(node["spec"], "taints", [](Json& taint) { KeepOnly(taint, {"key", "value", "effect"}); });
  }
  if (!node.contains("status")) return;
  KeepOnly(node["status"], {"allocatable", "conditions", "images"});
  if (node["status"].contains("images")) {
    node["status"]["images"] = CompactImages(node["status"]["images"]);
  }
  Each(node["status"], "conditions",
       [](Json& condition) { KeepOnly(condition, {"type", "status"}); });
}

void PruneStatefulSet(Json& set) {
  KeepOnly(set, {"apiVersion", "kind", "metadata"});
  if (!set.is_object() || !set.contains("metadata") || !set["metadata"].is_object()) return;
  KeepOnly(set["metadata"], {"name", "namespace", "uid", "resourceVersion", "ownerReferences"});
  PruneOwners(set["metadata"]);
}

void PrunePod(Json& pod) {
  for (const char* part : {"metadata", "spec", "status"}) {
    if (!pod.is_object() || !pod.contains(part) || !pod[part].is_object()) return;
  }
  KeepOnly(pod["metadata"], {"name", "namespace", "uid", "resourceVersion", "labels", "annotations",
                             "deletionTimestamp", "ownerReferences"});
  if (kube::LabelOf(pod, api::kLabelManagedBy) == "longshore") {
    PruneOurs(pod);
  } else {
    PruneOther(pod);
  }
  PruneVolumes(pod["spec"]);
}

}  // namespace longshore::placement

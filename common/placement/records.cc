// SPDX-License-Identifier: Apache-2.0
#include "common/placement/records.h"

#include <algorithm>
#include <array>

#include "common/api/meta.h"
#include "common/base/strings.h"
#include "common/kube/informer.h"
#include "common/placement/taints.h"

namespace longshore::placement {
namespace {

using api::Json;
using kube::StringAt;
using Labels = std::map<std::string, std::string>;

// Names before the well-known ones became topology.kubernetes.io; volumes of old still carry them.
constexpr char kOldZone[] = "failure-domain.beta.kubernetes.io/zone";
constexpr char kOldRegion[] = "failure-domain.beta.kubernetes.io/region";

const Json& At(const Json& object, const char* json_pointer) {
  static const Json nothing;
  const Json::json_pointer pointer(json_pointer);
  return object.contains(pointer) ? object.at(pointer) : nothing;
}

std::map<std::string, std::string> TextMap(const Json& object) {
  std::map<std::string, std::string> map;
  if (!object.is_object()) return map;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) map.emplace(key, value.get<std::string>());
  }
  return map;
}

std::string LabelOr(const Labels& labels, const char* key, const char* old_key = nullptr) {
  auto found = labels.find(key);
  if (found == labels.end() && old_key != nullptr) found = labels.find(old_key);
  return found == labels.end() ? "" : found->second;
}

// Thousandths of the unit; what is absent or unreadable is 0.
int64_t QuantityMilli(const Json& quantities, const char* key) {
  if (!quantities.is_object()) return 0;
  const auto found = quantities.find(key);
  if (found == quantities.end()) return 0;
  return RequestedMilli(found->is_string() ? found->get<std::string>() : found->dump());
}

// Never more than kMostRequested: anybody may ask for what no node has, and it is added up.
struct Amounts {
  int64_t cpu_milli = 0, memory_bytes = 0;
};

Amounts ReadAmounts(const Json& quantities) {
  return {std::min(QuantityMilli(quantities, "cpu"), kMostRequested),
          std::min(QuantityMilli(quantities, "memory") / 1000, kMostRequested)};
}

Amounts operator+(const Amounts& a, const Amounts& b) {
  return {std::min(a.cpu_milli + b.cpu_milli, kMostRequested),
          std::min(a.memory_bytes + b.memory_bytes, kMostRequested)};
}

Amounts Larger(const Amounts& a, const Amounts& b) {
  return {std::max(a.cpu_milli, b.cpu_milli), std::max(a.memory_bytes, b.memory_bytes)};
}

// What the scheduler counts: all containers together, or the largest init container beside the
// sidecars (init containers that keep running) started before it; a request of the whole pod wins.
Amounts PodRequests(const Json& spec) {
  Amounts starting, sidecars;
  const Json& inits = At(spec, "/initContainers");
  for (const Json& container : inits.is_array() ? inits : Json::array()) {
    const Amounts with = sidecars + ReadAmounts(At(container, "/resources/requests"));
    if (StringAt(container, "/restartPolicy") == "Always") {
      sidecars = with;
    } else {
      starting = Larger(starting, with);
    }
  }
  Amounts running = sidecars;
  const Json& containers = At(spec, "/containers");
  for (const Json& container : containers.is_array() ? containers : Json::array()) {
    running = running + ReadAmounts(At(container, "/resources/requests"));
  }
  Amounts total = Larger(running, starting);
  const Json& whole = At(spec, "/resources/requests");
  if (whole.is_object() && whole.contains("cpu")) total.cpu_milli = ReadAmounts(whole).cpu_milli;
  if (whole.is_object() && whole.contains("memory")) {
    total.memory_bytes = ReadAmounts(whole).memory_bytes;
  }
  return total + ReadAmounts(At(spec, "/overhead"));
}

// Several zones were written into one label with "__" between them.
std::vector<std::string> SplitLabel(const std::string& value) {
  std::vector<std::string> parts;
  for (size_t start = 0; !value.empty() && start != std::string::npos;) {
    const size_t end = value.find("__", start);
    parts.push_back(value.substr(start, end - start));
    start = end == std::string::npos ? end : end + 2;
  }
  return parts;
}

bool ConditionIsTrue(const Json& object, std::string_view type) {
  const Json& conditions = At(object, "/status/conditions");
  if (!conditions.is_array()) return false;
  for (const Json& condition : conditions) {
    if (StringAt(condition, "/type") == type) return StringAt(condition, "/status") == "True";
  }
  return false;
}

// Of members without data, and of the one that is written to.
constexpr std::array<std::string_view, 4> kWitnessRoles{"witness", "arbiter", "tiebreaker",
                                                        "tie-breaker"};
constexpr std::array<std::string_view, 3> kLeaderRoles{"leader", "primary", "master"};

// The first label about a role that names one of them: "role", "spilo-role",
// "cnpg.io/instanceRole", "app.kubernetes.io/component", "mongodb.kubedb.com/node.type". An
// application may be called by such a name, which says nothing about its pods.
template <size_t N>
Labels::const_iterator FindRole(const Labels& labels,
                                const std::array<std::string_view, N>& roles) {
  return std::find_if(labels.begin(), labels.end(), [&](const auto& label) {
    const std::string key = ToLower(label.first);
    const bool about_roles =
        key.ends_with("role") || key.ends_with("component") || key.ends_with("node.type");
    return about_roles &&
           std::find(roles.begin(), roles.end(), ToLower(label.second)) != roles.end();
  });
}

bool Leads(const Labels& labels) { return FindRole(labels, kLeaderRoles) != labels.end(); }

// The one of several owners that is its controller.
api::LocationOwner ControllerOf(const Json& object) {
  const Json& owners = At(object, "/metadata/ownerReferences");
  for (const Json& owner : owners.is_array() ? owners : Json::array()) {
    if (At(owner, "/controller") == Json(true)) {
      return {std::string(StringAt(owner, "/kind")), std::string(StringAt(owner, "/name"))};
    }
  }
  return {};
}

// A Deployment names its ReplicaSets by its own name and the hash that their pods carry.
std::string DeploymentOf(const std::string& replica_set, const Labels& labels) {
  const auto hash = labels.find("pod-template-hash");
  const std::string end = hash == labels.end() ? "" : "-" + hash->second;
  if (end.size() < 2 || !replica_set.ends_with(end)) return "";
  return replica_set.substr(0, replica_set.size() - end.size());
}

std::vector<api::LocationOwner> OwnersOf(const Json& pod, const Labels& labels) {
  const api::LocationOwner controller = ControllerOf(pod);
  if (controller.name.empty()) return {};
  std::vector<api::LocationOwner> owners{controller};
  if (controller.kind == "ReplicaSet") {
    const std::string deployment = DeploymentOf(controller.name, labels);
    if (!deployment.empty()) owners.push_back({"Deployment", deployment});
  }
  return owners;
}

// Ours, for members whose role is not told or means something else: "true" or "false".
constexpr char kLabelHoldsData[] = "longshore.dev/holds-data";

std::string WitnessLabel(const Labels& labels) {
  auto label = labels.find(kLabelHoldsData);
  if (label != labels.end() && label->second == "true") return "";
  if (label == labels.end() || label->second != "false") label = FindRole(labels, kWitnessRoles);
  return label == labels.end() ? "" : label->first + "=" + label->second;
}

}  // namespace

NodeInfo ReadNode(const Json& node) {
  NodeInfo info;
  info.name = kube::NameOf(node);
  info.labels = TextMap(At(node, "/metadata/labels"));
  info.rack = LabelOr(info.labels, api::kLabelRack);
  info.zone = LabelOr(info.labels, api::kLabelZone, kOldZone);
  info.region = LabelOr(info.labels, api::kLabelRegion, kOldRegion);
  info.ready = ConditionIsTrue(node, "Ready");
  const Json& unschedulable = At(node, "/spec/unschedulable");
  info.schedulable = !(unschedulable.is_boolean() && unschedulable.get<bool>());
  info.taints = ReadTaints(At(node, "/spec/taints"));
  const Json& allocatable = At(node, "/status/allocatable");
  const Amounts amounts = ReadAmounts(allocatable);
  info.cpu_allocatable_milli = amounts.cpu_milli;
  info.memory_allocatable_bytes = amounts.memory_bytes;
  info.images = ReadImages(At(node, "/status/images"));
  info.max_pods =
      static_cast<int>(std::min<int64_t>(QuantityMilli(allocatable, "pods") / 1000, INT32_MAX));
  return info;
}

PodRecord ReadPod(const Json& pod) {
  PodRecord record;
  record.name = kube::NameOf(pod);
  record.uid = kube::UidOf(pod);
  // A static pod's cgroups carry the hash; the UID is only the mirror's.
  record.agent_uid = kube::AnnotationOf(pod, "kubernetes.io/config.hash");
  if (record.agent_uid.empty()) record.agent_uid = record.uid;
  record.node = StringAt(pod, "/spec/nodeName");
  record.backup = !kube::LabelOf(pod, api::kLabelSource).empty();
  if (!record.backup) record.labels = TextMap(At(pod, "/metadata/labels"));
  record.witness = WitnessLabel(record.labels);
  record.leads = Leads(record.labels);
  if (!record.backup) record.owners = OwnersOf(pod, record.labels);
  const std::string_view phase = StringAt(pod, "/status/phase");
  const bool deleting = !StringAt(pod, "/metadata/deletionTimestamp").empty();
  record.finished = phase == "Succeeded" || phase == "Failed";
  record.running = phase == "Running" && !deleting;
  record.ready = ConditionIsTrue(pod, "Ready");
  const Json& spec = At(pod, "/spec");
  const Amounts requests = PodRequests(spec);
  record.cpu_milli = requests.cpu_milli;
  record.memory_bytes = requests.memory_bytes;
  const Json& volumes = At(spec, "/volumes");
  for (const Json& volume : volumes.is_array() ? volumes : Json::array()) {
    const std::string_view claim = StringAt(volume, "/persistentVolumeClaim/claimName");
    if (!claim.empty()) record.claims.emplace_back(claim);
  }
  return record;
}

StatefulSetRecord ReadStatefulSet(const Json& set) {
  return {std::string(kube::NameOf(set)), ControllerOf(set)};
}

SliceRecord ReadSlice(const Json& slice) {
  SliceRecord record;
  record.name = kube::NameOf(slice);
  record.service = kube::LabelOf(slice, "kubernetes.io/service-name");
  const Json& endpoints = At(slice, "/endpoints");
  for (const Json& endpoint : endpoints.is_array() ? endpoints : Json::array()) {
    // An absent condition means ready (discovery.k8s.io/v1).
    const Json& ready = At(endpoint, "/conditions/ready");
    if (ready.is_boolean() && !ready.get<bool>()) continue;
    View::PodPlace place;
    if (StringAt(endpoint, "/targetRef/kind") == "Pod") {
      place.pod = StringAt(endpoint, "/targetRef/name");
    }
    place.node = StringAt(endpoint, "/nodeName");
    place.zone = StringAt(endpoint, "/zone");
    place.ready = true;
    record.ready.push_back(std::move(place));
  }
  return record;
}

ClaimRecord ReadClaim(const Json& claim) {
  ClaimRecord record;
  record.name = kube::NameOf(claim);
  if (StringAt(claim, "/status/phase") == "Bound")
    record.volume = StringAt(claim, "/spec/volumeName");
  record.selected_node = kube::AnnotationOf(claim, "volume.kubernetes.io/selected-node");
  record.storage_class = StringAt(claim, "/spec/storageClassName");
  return record;
}

VolumeRecord ReadVolume(const Json& volume) {
  VolumeRecord record;
  record.name = kube::NameOf(volume);
  record.affinity = ReadNodeAffinity(At(volume, "/spec/nodeAffinity/required"));
  const auto labels = TextMap(At(volume, "/metadata/labels"));
  record.zones = SplitLabel(LabelOr(labels, api::kLabelZone, kOldZone));
  record.regions = SplitLabel(LabelOr(labels, api::kLabelRegion, kOldRegion));
  // As the attach-detach controller sees it: one mode for many nodes is enough.
  const Json& modes = At(volume, "/spec/accessModes");
  record.one_node = modes.is_array() && !modes.empty() &&
                    std::all_of(modes.begin(), modes.end(), [](const Json& mode) {
                      return mode == "ReadWriteOnce" || mode == "ReadWriteOncePod";
                    });
  return record;
}

StorageClassRecord ReadStorageClass(const Json& storage_class) {
  return {std::string(kube::NameOf(storage_class)),
          ReadTopologyTerms(At(storage_class, "/allowedTopologies"))};
}

AttachmentRecord ReadAttachment(const Json& attachment) {
  const Json& attached = At(attachment, "/status/attached");
  const bool leaving = !StringAt(attachment, "/metadata/deletionTimestamp").empty();
  if (!attached.is_boolean() || !attached.get<bool>() || leaving) return {};
  return {std::string(StringAt(attachment, "/spec/source/persistentVolumeName")),
          std::string(StringAt(attachment, "/spec/nodeName"))};
}

}  // namespace longshore::placement

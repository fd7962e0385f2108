// SPDX-License-Identifier: Apache-2.0
#include "common/placement/snapshot.h"

#include <algorithm>
#include <tuple>

namespace longshore::placement {
namespace {

bool HasLabels(const PodRecord& pod, const std::map<std::string, std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const auto found = pod.labels.find(label.first);
    return found != pod.labels.end() && found->second == label.second;
  });
}

bool Mounts(const PodRecord& pod, const std::string& claim) {
  return std::find(pod.claims.begin(), pod.claims.end(), claim) != pod.claims.end();
}

View::PodPlace PlaceOf(const PodRecord& pod) {
  return {pod.name, pod.node, pod.ready, "", pod.agent_uid, pod.witness, pod.leads};
}

bool Same(const api::LocationOwner& a, const api::LocationOwner& b) {
  return a.kind == b.kind && a.name == b.name;
}

// Itself, or what made the StatefulSet that it is.
bool IsOf(const api::LocationOwner& owner, const api::LocationOwner& wanted,
          const Shared<StatefulSetRecord>& sets) {
  if (Same(owner, wanted)) return true;
  const auto set = owner.kind == "StatefulSet" ? sets.find(owner.name) : sets.end();
  return set != sets.end() && Same(set->second->owner, wanted);
}

// The store has no order of its own, and the first place decides the location's labels.
std::vector<View::PodPlace> Sorted(std::vector<View::PodPlace> places) {
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) {
    return std::tie(a.pod, a.node) < std::tie(b.pod, b.node);
  });
  return places;
}

constexpr std::pair<Kind, const char*> kKinds[] = {{Kind::kNodes, "nodes"},
                                                   {Kind::kPods, "pods"},
                                                   {Kind::kSlices, "endpoint slices"},
                                                   {Kind::kClaims, "claims"},
                                                   {Kind::kVolumes, "volumes"},
                                                   {Kind::kAttachments, "attachments"},
                                                   {Kind::kClasses, "storage classes"},
                                                   {Kind::kStatefulSets, "stateful sets"}};

}  // namespace

const char* KindName(Kind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return "";
}

Listed Listed::Everything() {
  Listed listed;
  for (const auto& [kind, name] : kKinds) listed.kinds.insert(kind);
  return listed;
}

bool Listed::all() const {
  return kinds.contains(Kind::kNodes) && kinds.contains(Kind::kPods) &&
         std::all_of(std::begin(kKinds), std::end(kKinds), [this](const auto& kind) {
           return kinds.contains(kind.first) || denied.contains(kind.first);
         });
}

std::optional<Error> ClusterSnapshot::Unlisted(Kind kind) const {
  if (Knows(kind)) return std::nullopt;
  const std::string name = KindName(kind);
  if (const auto denied = listed_.denied.find(kind); denied != listed_.denied.end()) {
    return Error{Code::kPermissionDenied, name + " may not be listed: " + denied->second};
  }
  return Unavailable(name + " are not listed yet");
}

const NodeInfo* ClusterSnapshot::Node(std::string_view name) const {
  const uint32_t place = table_.Find(name);
  return place == NodeTable::kNone ? nullptr : &table_.node(place);
}

std::vector<const NodeInfo*> ClusterSnapshot::Nodes() const {
  std::vector<const NodeInfo*> nodes;
  nodes.reserve(nodes_.size());
  for (const auto& node : nodes_) nodes.push_back(node.get());
  return nodes;
}

const NamespacePart& ClusterSnapshot::Part(const std::string& ns) const {
  static const NamespacePart nothing;
  const auto found = namespaces_.find(ns);
  return found == namespaces_.end() ? nothing : *found->second;
}

std::vector<View::PodPlace> ClusterSnapshot::PodsByLabels(
    const std::string& ns, const std::map<std::string, std::string>& labels) const {
  std::vector<PodPlace> places;
  for (const auto& [name, pod] : Part(ns).pods) {
    if (pod->running && !pod->node.empty() && HasLabels(*pod, labels)) {
      places.push_back(PlaceOf(*pod));
    }
  }
  return Sorted(std::move(places));
}

std::vector<View::PodPlace> ClusterSnapshot::PodsByOwner(const std::string& ns,
                                                         const api::LocationOwner& owner) const {
  const NamespacePart& part = Part(ns);
  const Shared<StatefulSetRecord> unknown;
  const auto& sets = Knows(Kind::kStatefulSets) ? part.sets : unknown;
  std::vector<PodPlace> places;
  for (const auto& [name, pod] : part.pods) {
    if (!pod->running || pod->node.empty()) continue;
    const auto is_owner = [&](const auto& one) { return IsOf(one, owner, sets); };
    if (std::any_of(pod->owners.begin(), pod->owners.end(), is_owner)) {
      places.push_back(PlaceOf(*pod));
    }
  }
  return Sorted(std::move(places));
}

std::vector<View::PodPlace> ClusterSnapshot::ServiceEndpoints(const std::string& ns,
                                                              const std::string& service) const {
  if (!Knows(Kind::kSlices)) return {};
  std::vector<PodPlace> places;
  for (const auto& [name, slice] : Part(ns).slices) {
    if (slice->service != service) continue;
    places.insert(places.end(), slice->ready.begin(), slice->ready.end());
  }
  const auto& pods = Part(ns).pods;
  for (PodPlace& place : places) {
    const auto pod = pods.find(place.pod);
    if (pod == pods.end()) continue;
    place.agent_uid = pod->second->agent_uid;
    place.witness = pod->second->witness;
  }
  return Sorted(std::move(places));
}

std::vector<View::PodPlace> ClusterSnapshot::PodsByClaim(const std::string& ns,
                                                         const std::string& claim) const {
  std::vector<PodPlace> places;
  for (const auto& [name, pod] : Part(ns).pods) {
    // A backup pod that reads the claim doesn't make the data be where it runs.
    if (pod->running && !pod->backup && !pod->node.empty() && Mounts(*pod, claim)) {
      places.push_back(PlaceOf(*pod));
    }
  }
  return Sorted(std::move(places));
}

Result<VolumePlace> ClusterSnapshot::VolumeNodes(const std::string& ns,
                                                 const std::string& claim) const {
  if (const auto unlisted = Unlisted(Kind::kClaims)) return *unlisted;
  const auto& claims = Part(ns).claims;
  const auto found = claims.find(claim);
  if (found == claims.end()) return NotFound("there is no such claim");
  const ClaimRecord& record = *found->second;
  if (record.volume.empty()) return PlaceOfFutureVolume(record);
  if (const auto unlisted = Unlisted(Kind::kVolumes)) return *unlisted;
  const auto volume = volumes_->find(record.volume);
  if (volume == volumes_->end()) return NotFound("volume " + record.volume + " is gone");
  return PlaceOfVolume(*volume->second);
}

Result<VolumePlace> ClusterSnapshot::PlaceOfVolume(const VolumeRecord& volume) const {
  const auto& [affinity, zones, regions] = std::tie(volume.affinity, volume.zones, volume.regions);
  if (affinity.empty() && zones.empty() && regions.empty()) {
    return InvalidArgument("volume " + volume.name + " says nothing about nodes");
  }
  const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  // Names of zones count inside their region, where both sides know it.
  const auto fits_labels = [&](const NodeInfo& node) {
    if (zones.empty()) return is_in(regions, node.region);
    return is_in(zones, node.zone) &&
           (regions.empty() || node.region.empty() || is_in(regions, node.region));
  };
  VolumePlace place;
  if (affinity.empty()) {
    place.how = zones.empty() ? "by its region label" : "by its zone label";
  }
  for (const auto& node : nodes_) {
    const bool fits = affinity.empty() ? fits_labels(*node) : Matches(affinity, *node);
    if (fits) place.nodes.push_back(node->name);
  }
  return place;
}

Result<VolumePlace> ClusterSnapshot::PlaceOfFutureVolume(const ClaimRecord& claim) const {
  if (!claim.selected_node.empty()) {
    return VolumePlace{{claim.selected_node}, "chosen by the scheduler", false};
  }
  const std::string unbound = "it is not bound to a volume yet";
  const auto found = classes_->find(claim.storage_class);
  const auto unlisted = Unlisted(Kind::kClasses);
  if (unlisted || found == classes_->end() || found->second->topologies.empty()) {
    return FailedPrecondition(unlisted ? unbound + ", and " + unlisted->message : unbound);
  }
  VolumePlace place{{}, "allowedTopologies of storage class " + claim.storage_class, false};
  for (const auto& node : nodes_) {
    if (Matches(found->second->topologies, *node)) place.nodes.push_back(node->name);
  }
  if (place.nodes.empty())
    return FailedPrecondition(unbound + ", and no node fits the " + place.how);
  return place;
}

std::string ClusterSnapshot::VolumeOf(const std::string& ns, const std::string& claim) const {
  if (!Knows(Kind::kClaims)) return "";
  const auto& claims = Part(ns).claims;
  const auto found = claims.find(claim);
  return found == claims.end() ? "" : found->second->volume;
}

std::vector<std::string> ClusterSnapshot::AttachedNodes(const std::string& ns,
                                                        const std::string& claim) const {
  if (!Knows(Kind::kAttachments)) return {};
  const auto found = attached_->find(VolumeOf(ns, claim));
  if (found == attached_->end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::string ClusterSnapshot::AttachedTo(const std::string& ns, const std::string& claim) const {
  if (!Knows(Kind::kAttachments) || !Knows(Kind::kVolumes)) return "";
  const auto volume = volumes_->find(VolumeOf(ns, claim));
  if (volume == volumes_->end() || !volume->second->one_node) return "";
  const auto nodes = attached_->find(volume->first);
  // On two it is by force, or about to leave one of them.
  return nodes == attached_->end() || nodes->second.size() != 1 ? "" : *nodes->second.begin();
}

// Also by one that is starting or going: the volume stays attached for it.
bool ClusterSnapshot::OthersMount(const std::string& ns, const std::string& claim,
                                  const std::string& node, const std::string& pod) const {
  const auto& pods = Part(ns).pods;
  return std::any_of(pods.begin(), pods.end(), [&](const auto& entry) {
    const PodRecord& other = *entry.second;
    return other.node == node && other.name != pod && !other.finished && Mounts(other, claim);
  });
}

std::string ClusterSnapshot::NodeOfPod(const std::string& ns, const std::string& name,
                                       const std::string& uid) const {
  const auto& pods = Part(ns).pods;
  const auto found = pods.find(name);
  return found == pods.end() || found->second->uid != uid ? "" : found->second->node;
}

}  // namespace longshore::placement

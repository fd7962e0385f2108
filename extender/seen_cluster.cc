// SPDX-License-Identifier: Apache-2.0
#include "extender/seen_cluster.h"

#include <set>

#include "common/base/strings.h"

namespace longshore::extender {

using placement::NodeInfo;
using placement::View;

namespace {

std::string PodsQuestion(const std::string& ns, const std::map<std::string, std::string>& labels) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : labels) parts.push_back(key + "=" + value);
  return "pods in " + ns + " with " + Join(parts, ",");
}
std::string OwnerQuestion(const std::string& ns, const api::LocationOwner& owner) {
  return "pods in " + ns + " of " + owner.kind + "/" + owner.name;
}
std::string EndpointsQuestion(const std::string& ns, const std::string& service) {
  return "endpoints of " + ns + "/" + service;
}
std::string UsersQuestion(const std::string& ns, const std::string& claim) {
  return "users of claim " + ns + "/" + claim;
}

Code CodeOf(std::string_view name) {
  for (int code = 0; code < static_cast<int>(Code::kInternal); ++code) {
    if (CodeName(static_cast<Code>(code)) == name) return static_cast<Code>(code);
  }
  return Code::kInternal;
}

}  // namespace

std::optional<Error> WitnessView::Unlisted(placement::Kind kind) const {
  auto why = view_.Unlisted(kind);
  if (why) {
    seen_.unlisted[placement::KindName(kind)] = {std::string(CodeName(why->code)), why->message};
  }
  return why;
}

const NodeInfo* WitnessView::Node(std::string_view name) const {
  const NodeInfo* node = view_.Node(name);
  if (node != nullptr) nodes_.emplace(name, node);
  return node;
}

std::vector<const NodeInfo*> WitnessView::Nodes() const {
  seen_.all_nodes = true;
  auto nodes = view_.Nodes();
  for (const NodeInfo* node : nodes) nodes_.emplace(node->name, node);
  return nodes;
}

std::vector<View::PodPlace> WitnessView::PodsByLabels(
    const std::string& ns, const std::map<std::string, std::string>& labels) const {
  return seen_.places[PodsQuestion(ns, labels)] = view_.PodsByLabels(ns, labels);
}
std::vector<View::PodPlace> WitnessView::PodsByOwner(const std::string& ns,
                                                     const api::LocationOwner& owner) const {
  return seen_.places[OwnerQuestion(ns, owner)] = view_.PodsByOwner(ns, owner);
}
std::vector<View::PodPlace> WitnessView::ServiceEndpoints(const std::string& ns,
                                                          const std::string& service) const {
  return seen_.places[EndpointsQuestion(ns, service)] = view_.ServiceEndpoints(ns, service);
}
std::vector<View::PodPlace> WitnessView::PodsByClaim(const std::string& ns,
                                                     const std::string& claim) const {
  return seen_.places[UsersQuestion(ns, claim)] = view_.PodsByClaim(ns, claim);
}

std::vector<std::string> WitnessView::AttachedNodes(const std::string& ns,
                                                    const std::string& claim) const {
  return seen_.attached_nodes[ns + "/" + claim] = view_.AttachedNodes(ns, claim);
}
std::string WitnessView::AttachedTo(const std::string& ns, const std::string& claim) const {
  return seen_.attached_to[ns + "/" + claim] = view_.AttachedTo(ns, claim);
}

Result<placement::VolumePlace> WitnessView::VolumeNodes(const std::string& ns,
                                                        const std::string& claim) const {
  auto place = view_.VolumeNodes(ns, claim);
  SeenCluster::Volume& volume = seen_.volumes[ns + "/" + claim];
  if (place.has_value()) {
    volume = {"", "", place->nodes, place->how, place->exists};
  } else {
    volume.error = CodeName(place.error().code);
    volume.message = place.error().message;
  }
  return place;
}

SeenCluster WitnessView::Take() {
  for (const auto& [name, node] : nodes_) seen_.nodes.push_back(*node);
  return std::move(seen_);
}

SeenView::SeenView(SeenCluster seen) : seen_(std::move(seen)) {
  for (const auto& [image, names] : seen_.with_image) {
    const std::set<std::string_view> have(names.begin(), names.end());
    for (NodeInfo& node : seen_.nodes) {
      if (have.contains(node.name)) node.images = node.images.With(image);
    }
  }
  for (const NodeInfo& node : seen_.nodes) nodes_.emplace(node.name, &node);
  std::vector<const NodeInfo*> list;
  for (const auto& [name, node] : nodes_) list.push_back(node);
  table_ = placement::NodeTable(std::move(list));
}

std::optional<Error> SeenView::Unlisted(placement::Kind kind) const {
  const auto found = seen_.unlisted.find(placement::KindName(kind));
  if (found == seen_.unlisted.end()) return std::nullopt;
  return Error{CodeOf(found->second.error), found->second.message};
}

const NodeInfo* SeenView::Node(std::string_view name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : found->second;
}

std::vector<const NodeInfo*> SeenView::Nodes() const {
  if (!seen_.all_nodes) unanswered_.push_back("all nodes");
  std::vector<const NodeInfo*> list;
  for (const auto& [name, node] : nodes_) list.push_back(node);
  return list;
}

std::vector<View::PodPlace> SeenView::Answer(const std::string& question) const {
  const auto found = seen_.places.find(question);
  if (found != seen_.places.end()) return found->second;
  unanswered_.push_back(question);
  return {};
}

std::vector<View::PodPlace> SeenView::PodsByLabels(
    const std::string& ns, const std::map<std::string, std::string>& labels) const {
  return Answer(PodsQuestion(ns, labels));
}
std::vector<View::PodPlace> SeenView::PodsByOwner(const std::string& ns,
                                                  const api::LocationOwner& owner) const {
  return Answer(OwnerQuestion(ns, owner));
}
std::vector<View::PodPlace> SeenView::ServiceEndpoints(const std::string& ns,
                                                       const std::string& service) const {
  return Answer(EndpointsQuestion(ns, service));
}
std::vector<View::PodPlace> SeenView::PodsByClaim(const std::string& ns,
                                                  const std::string& claim) const {
  return Answer(UsersQuestion(ns, claim));
}

std::vector<std::string> SeenView::AttachedNodes(const std::string& ns,
                                                 const std::string& claim) const {
  const auto found = seen_.attached_nodes.find(ns + "/" + claim);
  if (found != seen_.attached_nodes.end()) return found->second;
  unanswered_.push_back("nodes that the volume of claim " + ns + "/" + claim + " is attached to");
  return {};
}
std::string SeenView::AttachedTo(const std::string& ns, const std::string& claim) const {
  const auto found = seen_.attached_to.find(ns + "/" + claim);
  if (found != seen_.attached_to.end()) return found->second;
  unanswered_.push_back("the only node of claim " + ns + "/" + claim);
  return "";
}

Result<placement::VolumePlace> SeenView::VolumeNodes(const std::string& ns,
                                                     const std::string& claim) const {
  const auto found = seen_.volumes.find(ns + "/" + claim);
  if (found == seen_.volumes.end()) {
    unanswered_.push_back("volume of claim " + ns + "/" + claim);
    return NotFound("it was not asked for when this was recorded");
  }
  const auto& [error, message, nodes, how, exists] = found->second;
  if (error.empty()) return placement::VolumePlace{nodes, how, exists};
  return Error{CodeOf(error), message};
}

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
//
// A View in which one node is another than it is, and one pod is not there. Used where it is asked
// what would be if.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/placement/location.h"

namespace longshore::placement {

// Its claims are as if it had never mounted them; what it takes of its node is not looked at here.
struct AbsentPod {
  std::string ns, name, node;
  std::vector<std::string> claims;
};

class ChangedView final : public View {
 public:
  // The view outlives this one, and has a node of that name (otherwise no node is changed).
  ChangedView(const View& view, NodeInfo node, AbsentPod absent = {})
      : view_(view), node_(std::move(node)), absent_(std::move(absent)), table_(view.Table()) {
    const uint32_t place = table_.Find(node_.name);
    if (place != NodeTable::kNone) table_.Apply({{place, &node_}});
  }
  ChangedView(const ChangedView&) = delete;  // the table points into it
  ChangedView& operator=(const ChangedView&) = delete;

  std::optional<Error> Unlisted(Kind kind) const override { return view_.Unlisted(kind); }
  const NodeInfo* Node(std::string_view name) const override { return Changed(view_.Node(name)); }
  std::vector<const NodeInfo*> Nodes() const override {
    auto nodes = view_.Nodes();
    for (const NodeInfo*& node : nodes) node = Changed(node);
    return nodes;
  }
  const NodeTable& Table() const override { return table_; }
  std::vector<PodPlace> PodsByLabels(
      const std::string& ns, const std::map<std::string, std::string>& labels) const override {
    return view_.PodsByLabels(ns, labels);
  }
  std::vector<PodPlace> PodsByOwner(const std::string& ns,
                                    const api::LocationOwner& owner) const override {
    return view_.PodsByOwner(ns, owner);
  }
  std::vector<PodPlace> ServiceEndpoints(const std::string& ns,
                                         const std::string& service) const override {
    return view_.ServiceEndpoints(ns, service);
  }
  std::vector<PodPlace> PodsByClaim(const std::string& ns,
                                    const std::string& claim) const override {
    auto places = view_.PodsByClaim(ns, claim);
    if (ns == absent_.ns) {
      std::erase_if(places, [&](const PodPlace& place) { return place.pod == absent_.name; });
    }
    return places;
  }
  std::vector<std::string> AttachedNodes(const std::string& ns,
                                         const std::string& claim) const override {
    auto nodes = view_.AttachedNodes(ns, claim);
    if (OnlyAbsentMounts(ns, claim)) std::erase(nodes, absent_.node);
    return nodes;
  }
  std::string AttachedTo(const std::string& ns, const std::string& claim) const override {
    std::string node = view_.AttachedTo(ns, claim);
    return node == absent_.node && OnlyAbsentMounts(ns, claim) ? "" : node;
  }
  bool OthersMount(const std::string& ns, const std::string& claim, const std::string& node,
                   const std::string& pod) const override {
    return view_.OthersMount(ns, claim, node, pod);
  }
  Result<VolumePlace> VolumeNodes(const std::string& ns, const std::string& claim) const override {
    return view_.VolumeNodes(ns, claim);
  }
  std::string NodeOfPod(const std::string& ns, const std::string& name,
                        const std::string& uid) const override {
    return view_.NodeOfPod(ns, name, uid);
  }

 private:
  // Of the pods on its node: so that the volume is attached there for it alone.
  bool OnlyAbsentMounts(const std::string& ns, const std::string& claim) const {
    const auto& claims = absent_.claims;
    return ns == absent_.ns && std::find(claims.begin(), claims.end(), claim) != claims.end() &&
           !view_.OthersMount(ns, claim, absent_.node, absent_.name);
  }
  const NodeInfo* Changed(const NodeInfo* node) const {
    return node != nullptr && node->name == node_.name ? &node_ : node;
  }

  const View& view_;
  const NodeInfo node_;
  const AbsentPod absent_;
  NodeTable table_;
};

}  // namespace longshore::placement

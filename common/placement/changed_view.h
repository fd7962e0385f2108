// SPDX-License-Identifier: Apache-2.0
//
// A View in which one node is another than it is. Used where it is asked what would be if.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/placement/location.h"

namespace longshore::placement {

class ChangedView final : public View {
 public:
  // The view outlives this one, and has a node of that name (otherwise nothing is changed).
  ChangedView(const View& view, NodeInfo node)
      : view_(view), node_(std::move(node)), table_(view.Table()) {
    const uint32_t place = table_.Find(node_.name);
    if (place != NodeTable::kNone) table_.Apply({{place, &node_}});
  }
  ChangedView(const ChangedView&) = delete;  // the table points into it
  ChangedView& operator=(const ChangedView&) = delete;

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
  std::vector<PodPlace> ServiceEndpoints(const std::string& ns,
                                         const std::string& service) const override {
    return view_.ServiceEndpoints(ns, service);
  }
  std::vector<PodPlace> PodsByClaim(const std::string& ns,
                                    const std::string& claim) const override {
    return view_.PodsByClaim(ns, claim);
  }
  std::vector<std::string> AttachedNodes(const std::string& ns,
                                         const std::string& claim) const override {
    return view_.AttachedNodes(ns, claim);
  }
  std::string AttachedTo(const std::string& ns, const std::string& claim) const override {
    return view_.AttachedTo(ns, claim);
  }
  Result<std::vector<std::string>> VolumeNodes(const std::string& ns,
                                               const std::string& claim) const override {
    return view_.VolumeNodes(ns, claim);
  }
  std::string NodeOfPod(const std::string& ns, const std::string& name,
                        const std::string& uid) const override {
    return view_.NodeOfPod(ns, name, uid);
  }

 private:
  const NodeInfo* Changed(const NodeInfo* node) const {
    return node != nullptr && node->name == node_.name ? &node_ : node;
  }

  const View& view_;
  const NodeInfo node_;
  NodeTable table_;
};

}  // namespace longshore::placement

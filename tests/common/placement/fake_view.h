// SPDX-License-Identifier: Apache-2.0
//
// A cluster written down by hand, for tests of everything that asks a placement::View.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/placement/location.h"

namespace longshore::placement {

class FakeView : public View {
 public:
  // A ready node with 4 CPUs, 8 GiB and room for 110 pods; change it through the reference.
  NodeInfo& AddNode(const std::string& name, const std::string& rack = "",
                    const std::string& zone = "", const std::string& region = "") {
    NodeInfo& node = nodes_[name];
    node.name = name;
    node.rack = rack;
    node.zone = zone;
    node.region = region;
    node.ready = true;
    node.cpu_allocatable_milli = 4000;
    node.memory_allocatable_bytes = int64_t{8} << 30;
    node.max_pods = 110;
    return node;
  }

  const NodeInfo* Node(const std::string& name) const override {
    const auto found = nodes_.find(name);
    return found == nodes_.end() ? nullptr : &found->second;
  }
  std::vector<const NodeInfo*> Nodes() const override {
    std::vector<const NodeInfo*> nodes;
    for (const auto& [name, node] : nodes_) nodes.push_back(&node);
    return nodes;
  }
  std::vector<PodPlace> PodsByLabels(
      const std::string& ns, const std::map<std::string, std::string>& labels) const override {
    const auto found = by_labels.find({ns, labels});
    return found == by_labels.end() ? std::vector<PodPlace>{} : found->second;
  }
  std::vector<PodPlace> ServiceEndpoints(const std::string& ns,
                                         const std::string& service) const override {
    const auto found = by_service.find({ns, service});
    return found == by_service.end() ? std::vector<PodPlace>{} : found->second;
  }
  std::vector<PodPlace> PodsByClaim(const std::string& ns,
                                    const std::string& claim) const override {
    const auto found = by_claim.find({ns, claim});
    return found == by_claim.end() ? std::vector<PodPlace>{} : found->second;
  }
  Result<std::vector<std::string>> VolumeNodes(const std::string& ns,
                                               const std::string& claim) const override {
    const auto found = volume_nodes.find({ns, claim});
    if (found == volume_nodes.end()) return NotFound("there is no such claim");
    return found->second;
  }

  std::string NodeOfPod(const std::string& ns, const std::string& name,
                        const std::string& uid) const override {
    const auto found = bound.find(ns + "/" + name + "/" + uid);
    return found == bound.end() ? "" : found->second;
  }

  using Key = std::pair<std::string, std::string>;
  std::map<std::pair<std::string, std::map<std::string, std::string>>, std::vector<PodPlace>>
      by_labels;
  std::map<Key, std::vector<PodPlace>> by_service, by_claim;
  std::map<Key, Result<std::vector<std::string>>> volume_nodes;
  std::map<std::string, std::string> bound;  // "NS/NAME/UID" -> node

 private:
  std::map<std::string, NodeInfo> nodes_;
};

inline api::BackupSource MakeSource(const api::SourceLocation& location,
                                    const std::string& mode = "Prefer",
                                    const std::string& tier = "Node") {
  api::BackupSource source;
  source.metadata.ns = "db";
  source.metadata.name = "orders";
  source.spec.kind = api::kKindPostgresql;
  source.spec.location = location;
  source.spec.placement = {mode, tier};
  return source;
}

}  // namespace longshore::placement

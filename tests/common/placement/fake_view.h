// SPDX-License-Identifier: Apache-2.0
//
// A cluster written down by hand, for tests of everything that asks a placement::View.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
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

  void RemoveNode(const std::string& name) { nodes_.erase(name); }

  std::optional<Error> Unlisted(Kind kind) const override {
    const auto found = unlisted.find(kind);
    return found == unlisted.end() ? std::nullopt : std::optional<Error>(found->second);
  }
  const NodeInfo* Node(std::string_view name) const override {
    const auto found = nodes_.find(std::string(name));
    return found == nodes_.end() ? nullptr : &found->second;
  }
  std::vector<const NodeInfo*> Nodes() const override {
    std::vector<const NodeInfo*> nodes;
    for (const auto& [name, node] : nodes_) nodes.push_back(&node);
    return nodes;
  }
  // Made anew each time, since tests change the nodes; kept, since servers ask from many threads.
  const NodeTable& Table() const override {
    MutexLock lock(tables_->mutex);
    return tables_->made.emplace_back(Nodes());
  }
  std::vector<PodPlace> PodsByLabels(
      const std::string& ns, const std::map<std::string, std::string>& labels) const override {
    const auto found = by_labels.find({ns, labels});
    return found == by_labels.end() ? std::vector<PodPlace>{} : found->second;
  }
  std::vector<PodPlace> PodsByOwner(const std::string& ns,
                                    const api::LocationOwner& owner) const override {
    const auto found = by_owner.find({ns, owner.kind + "/" + owner.name});
    return found == by_owner.end() ? std::vector<PodPlace>{} : found->second;
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
  Result<VolumePlace> VolumeNodes(const std::string& ns, const std::string& claim) const override {
    const auto found = volume_nodes.find({ns, claim});
    if (found == volume_nodes.end()) return NotFound("there is no such claim");
    if (!found->second.has_value()) return found->second.error();
    return VolumePlace{*found->second, {}};
  }

  std::vector<std::string> AttachedNodes(const std::string& ns,
                                         const std::string& claim) const override {
    const auto found = attached.find({ns, claim});
    return found == attached.end() ? std::vector<std::string>{} : found->second;
  }
  // As if every attached volume were for one node.
  std::string AttachedTo(const std::string& ns, const std::string& claim) const override {
    const auto nodes = AttachedNodes(ns, claim);
    return nodes.size() == 1 ? nodes[0] : "";
  }
  std::string NodeOfPod(const std::string& ns, const std::string& name,
                        const std::string& uid) const override {
    const auto found = bound.find(ns + "/" + name + "/" + uid);
    return found == bound.end() ? "" : found->second;
  }

  using Key = std::pair<std::string, std::string>;
  std::map<std::pair<std::string, std::map<std::string, std::string>>, std::vector<PodPlace>>
      by_labels;
  std::map<Key, std::vector<PodPlace>> by_service, by_claim, by_owner;
  std::map<Key, Result<std::vector<std::string>>> volume_nodes;
  std::map<Key, std::vector<std::string>> attached;
  std::map<Kind, Error> unlisted;
  std::map<std::string, std::string> bound;  // "NS/NAME/UID" -> node

 private:
  struct Tables {
    Mutex mutex;
    std::deque<NodeTable> made LS_GUARDED_BY(mutex);
  };

  std::map<std::string, NodeInfo> nodes_;
  std::shared_ptr<Tables> tables_ = std::make_shared<Tables>();  // shared by copies of a view
};

// n1 holds the data; the others are one tier further away each.
inline FakeView OneNodePerTier() {
  FakeView view;
  view.AddNode("n1", "r1", "za", "eu");
  view.AddNode("n2", "r1", "za", "eu");
  view.AddNode("n3", "r3", "za", "eu");
  view.AddNode("n4", "r4", "zb", "eu");
  view.AddNode("n5", "r5", "zc", "us");
  return view;
}

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

// SPDX-License-Identifier: Apache-2.0
//
// An immutable picture of the cluster for the placement code, and the builder that keeps its parts
// up to date. A snapshot shares every part that did not change with the one before, so publishing
// one after a pod changed costs a copy of pointers and not of the cluster. Used by ClusterView, and
// by tests that feed objects without an API server.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/placement/location.h"
#include "common/placement/records.h"

namespace longshore::placement {

// Which kinds of objects have been listed once; what was not, is unknown and not absent.
struct Listed {
  std::set<Kind> kinds;
  std::map<Kind, std::string> denied;  // those that we have no right to list: who denied it, how
  static Listed Everything();
  bool operator==(const Listed&) const = default;
  // Nothing more is to be waited for: nodes and pods are there, and of the rest what we may have.
  bool all() const;
};

template <class T>
using Shared = std::unordered_map<std::string, std::shared_ptr<const T>>;

// Nodes by volume.
using Attached = std::unordered_map<std::string, std::set<std::string>>;

// All of one namespace, by name.
struct NamespacePart {
  Shared<PodRecord> pods;
  Shared<SliceRecord> slices;
  Shared<ClaimRecord> claims;
  Shared<StatefulSetRecord> sets;
  bool empty() const { return pods.empty() && slices.empty() && claims.empty() && sets.empty(); }
};

class ClusterSnapshot final : public View {
 public:
  std::optional<Error> Unlisted(Kind kind) const override;
  const NodeInfo* Node(std::string_view name) const override;
  std::vector<const NodeInfo*> Nodes() const override;
  const NodeTable& Table() const override { return table_; }
  std::vector<PodPlace> PodsByLabels(
      const std::string& ns, const std::map<std::string, std::string>& labels) const override;
  std::vector<PodPlace> PodsByOwner(const std::string& ns,
                                    const api::LocationOwner& owner) const override;
  std::vector<PodPlace> ServiceEndpoints(const std::string& ns,
                                         const std::string& service) const override;
  std::vector<PodPlace> PodsByClaim(const std::string& ns, const std::string& claim) const override;
  std::vector<std::string> AttachedNodes(const std::string& ns,
                                         const std::string& claim) const override;
  std::string AttachedTo(const std::string& ns, const std::string& claim) const override;
  bool OthersMount(const std::string& ns, const std::string& claim, const std::string& node,
                   const std::string& pod) const override;
  Result<VolumePlace> VolumeNodes(const std::string& ns, const std::string& claim) const override;
  std::string NodeOfPod(const std::string& ns, const std::string& name,
                        const std::string& uid) const override;

 private:
  friend class SnapshotBuilder;
  // False: nothing is known of that kind, whatever was listed of it before a right was withdrawn.
  bool Knows(Kind kind) const { return listed_.kinds.contains(kind); }
  const NamespacePart& Part(const std::string& ns) const;
  std::string VolumeOf(const std::string& ns, const std::string& claim) const;
  Result<VolumePlace> PlaceOfVolume(const VolumeRecord& volume) const;
  // Of a claim that has no volume yet.
  Result<VolumePlace> PlaceOfFutureVolume(const ClaimRecord& claim) const;

  NodeTable table_;                                     // of nodes_
  std::vector<std::shared_ptr<const NodeInfo>> nodes_;  // by name
  Shared<NamespacePart> namespaces_;
  std::shared_ptr<const Shared<VolumeRecord>> volumes_;
  std::shared_ptr<const Shared<StorageClassRecord>> classes_;
  std::shared_ptr<const Attached> attached_;
  Listed listed_;
};

// Not thread-safe. `before` or `after` is null for an add or a delete, as in kube::Informer.
class SnapshotBuilder {
 public:
  SnapshotBuilder();
  void Node(const api::Json* before, const api::Json* after);
  void Pod(const api::Json* before, const api::Json* after);
  void Slice(const api::Json* before, const api::Json* after);
  void StatefulSet(const api::Json* before, const api::Json* after);
  void Claim(const api::Json* before, const api::Json* after);
  void Volume(const api::Json* before, const api::Json* after);
  void StorageClass(const api::Json* before, const api::Json* after);
  void Attachment(const api::Json* before, const api::Json* after);
  bool changed() const { return changed_; }
  std::shared_ptr<const ClusterSnapshot> Build(const Listed& listed);

 private:
  using Sum = __int128;  // of any number of pods, each of which may be the most
  struct Usage {
    Sum cpu_milli = 0, memory_bytes = 0;
    int pods = 0, backup_pods = 0;
  };
  template <class T>
  void Replace(Shared<T> NamespacePart::* part, const api::Json& object,
               std::shared_ptr<const T> record);
  void Count(const PodRecord& pod, int sign);
  void BuildNodes(ClusterSnapshot& snapshot);
  void BuildNamespaces(ClusterSnapshot& snapshot);
  void BuildAttached(ClusterSnapshot& snapshot);

  std::map<std::string, NodeInfo> nodes_;  // without usage
  std::unordered_map<std::string, Usage> usage_;
  std::set<std::string> dirty_nodes_;
  bool node_set_changed_ = true;
  std::unordered_map<std::string, NamespacePart> namespaces_;
  std::set<std::string> dirty_namespaces_;
  Shared<VolumeRecord> volumes_;
  bool volumes_changed_ = true;
  Shared<StorageClassRecord> classes_;
  bool classes_changed_ = true;
  std::unordered_map<std::string, AttachmentRecord> attachments_;  // those that are attached
  bool attachments_changed_ = true;
  bool changed_ = true;
  std::shared_ptr<const ClusterSnapshot> last_;
};

}  // namespace longshore::placement

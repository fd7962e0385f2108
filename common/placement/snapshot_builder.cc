// SPDX-License-Identifier: Apache-2.0
//
// How the parts of a snapshot follow the objects: each change is read into a record, and Build
// makes anew only what a change has touched.
#include <algorithm>

#include "common/kube/informer.h"
#include "common/placement/snapshot.h"

namespace longshore::placement {

using api::Json;

SnapshotBuilder::SnapshotBuilder() { Build({}); }

void SnapshotBuilder::Node(const Json* before, const Json* after) {
  const std::string name(kube::NameOf(after != nullptr ? *after : *before));
  if (after == nullptr) {
    node_set_changed_ |= nodes_.erase(name) > 0;
  } else {
    node_set_changed_ |= nodes_.insert_or_assign(name, ReadNode(*after)).second;
  }
  dirty_nodes_.insert(name);
  changed_ = true;
}

template <class T>
void SnapshotBuilder::Replace(Shared<T> NamespacePart::* part, const Json& object,
                              std::shared_ptr<const T> record) {
  const std::string ns(kube::NamespaceOf(object));
  const std::string name(kube::NameOf(object));
  if (record == nullptr) {
    (namespaces_[ns].*part).erase(name);
  } else {
    (namespaces_[ns].*part)[name] = std::move(record);
  }
  dirty_namespaces_.insert(ns);
  changed_ = true;
}

void SnapshotBuilder::Count(const PodRecord& pod, int sign) {
  if (pod.node.empty() || pod.finished) return;
  Usage& usage = usage_[pod.node];
  usage.cpu_milli += sign * pod.cpu_milli;
  usage.memory_bytes += sign * pod.memory_bytes;
  usage.pods += sign;
  if (pod.backup) usage.backup_pods += sign;
  if (usage.pods == 0) usage_.erase(pod.node);
  dirty_nodes_.insert(pod.node);
}

void SnapshotBuilder::Pod(const Json* before, const Json* after) {
  const Json& object = after != nullptr ? *after : *before;
  const auto& pods = namespaces_[std::string(kube::NamespaceOf(object))].pods;
  if (const auto known = pods.find(std::string(kube::NameOf(object))); known != pods.end()) {
    Count(*known->second, -1);
  }
  std::shared_ptr<const PodRecord> record;
  if (after != nullptr) {
    record = std::make_shared<const PodRecord>(ReadPod(*after));
    Count(*record, 1);
  }
  Replace(&NamespacePart::pods, object, std::move(record));
}

void SnapshotBuilder::Slice(const Json* before, const Json* after) {
  Replace(&NamespacePart::slices, after != nullptr ? *after : *before,
          after == nullptr ? nullptr : std::make_shared<const SliceRecord>(ReadSlice(*after)));
}

void SnapshotBuilder::StatefulSet(const Json* before, const Json* after) {
  Replace(&NamespacePart::sets, after != nullptr ? *after : *before,
          after == nullptr ? nullptr
                           : std::make_shared<const StatefulSetRecord>(ReadStatefulSet(*after)));
}

void SnapshotBuilder::Claim(const Json* before, const Json* after) {
  Replace(&NamespacePart::claims, after != nullptr ? *after : *before,
          after == nullptr ? nullptr : std::make_shared<const ClaimRecord>(ReadClaim(*after)));
}

void SnapshotBuilder::Volume(const Json* before, const Json* after) {
  if (after == nullptr) {
    volumes_.erase(std::string(kube::NameOf(*before)));
  } else {
    auto record = std::make_shared<const VolumeRecord>(ReadVolume(*after));
    volumes_[record->name] = std::move(record);
  }
  volumes_changed_ = changed_ = true;
}

void SnapshotBuilder::StorageClass(const Json* before, const Json* after) {
  const std::string name(kube::NameOf(after != nullptr ? *after : *before));
  if (after == nullptr) {
    classes_.erase(name);
  } else {
    classes_[name] = std::make_shared<const StorageClassRecord>(ReadStorageClass(*after));
  }
  classes_changed_ = changed_ = true;
}

void SnapshotBuilder::Attachment(const Json* before, const Json* after) {
  const std::string name(kube::NameOf(after != nullptr ? *after : *before));
  AttachmentRecord record = after == nullptr ? AttachmentRecord{} : ReadAttachment(*after);
  if (!record.volume.empty()) {
    attachments_[name] = std::move(record);
  } else if (attachments_.erase(name) == 0) {
    return;  // not attached before either
  }
  attachments_changed_ = changed_ = true;
}

void SnapshotBuilder::BuildAttached(ClusterSnapshot& snapshot) {
  if (!attachments_changed_ && last_ != nullptr) {
    snapshot.attached_ = last_->attached_;
    return;
  }
  auto attached = std::make_shared<Attached>();
  for (const auto& [name, record] : attachments_) (*attached)[record.volume].insert(record.node);
  snapshot.attached_ = std::move(attached);
}

void SnapshotBuilder::BuildNodes(ClusterSnapshot& snapshot) {
  constexpr Sum kMost = kMostRequestedOfNode;
  const auto with_usage = [&](const NodeInfo& bare) {
    auto info = std::make_shared<NodeInfo>(bare);
    if (const auto usage = usage_.find(bare.name); usage != usage_.end()) {
      info->cpu_requested_milli = static_cast<int64_t>(std::min(usage->second.cpu_milli, kMost));
      info->memory_requested_bytes =
          static_cast<int64_t>(std::min(usage->second.memory_bytes, kMost));
      info->pods = usage->second.pods;
      info->backup_pods = usage->second.backup_pods;
    }
    return info;
  };
  if (node_set_changed_) {
    for (const auto& [name, bare] : nodes_) {
      const uint32_t old = last_ == nullptr || dirty_nodes_.contains(name)
                               ? NodeTable::kNone
                               : last_->table_.Find(name);
      snapshot.nodes_.push_back(old == NodeTable::kNone ? with_usage(bare) : last_->nodes_[old]);
    }
    snapshot.table_ = NodeTable(snapshot.Nodes());
    return;
  }
  snapshot.table_ = last_->table_;
  snapshot.nodes_ = last_->nodes_;
  std::vector<NodeTable::Change> changes;
  for (const std::string& name : dirty_nodes_) {
    // A pod may be bound to a node that is gone.
    const uint32_t place = snapshot.table_.Find(name);
    if (place == NodeTable::kNone) continue;
    snapshot.nodes_[place] = with_usage(nodes_.at(name));
    changes.push_back({place, snapshot.nodes_[place].get()});
  }
  snapshot.table_.Apply(changes);
}

void SnapshotBuilder::BuildNamespaces(ClusterSnapshot& snapshot) {
  if (last_ != nullptr) snapshot.namespaces_ = last_->namespaces_;
  for (const std::string& ns : dirty_namespaces_) {
    const auto part = namespaces_.find(ns);
    if (part == namespaces_.end() || part->second.empty()) {
      snapshot.namespaces_.erase(ns);
      if (part != namespaces_.end()) namespaces_.erase(part);
    } else {
      snapshot.namespaces_[ns] = std::make_shared<const NamespacePart>(part->second);
    }
  }
}

std::shared_ptr<const ClusterSnapshot> SnapshotBuilder::Build(const Listed& listed) {
  auto snapshot = std::make_shared<ClusterSnapshot>();
  BuildNodes(*snapshot);
  BuildNamespaces(*snapshot);
  BuildAttached(*snapshot);
  snapshot->volumes_ = volumes_changed_ || last_ == nullptr
                           ? std::make_shared<const Shared<VolumeRecord>>(volumes_)
                           : last_->volumes_;
  snapshot->classes_ = classes_changed_ || last_ == nullptr
                           ? std::make_shared<const Shared<StorageClassRecord>>(classes_)
                           : last_->classes_;
  snapshot->listed_ = listed;
  dirty_nodes_.clear();
  dirty_namespaces_.clear();
  node_set_changed_ = volumes_changed_ = classes_changed_ = attachments_changed_ = false;
  changed_ = false;
  last_ = snapshot;
  return snapshot;
}

}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// What the placement code keeps of each Kubernetes object: a few fields instead of the whole JSON.
// Read once when an object changes (cluster_view.cc), then shared by snapshots.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/api/archive.h"
#include "common/api/source.h"
#include "common/placement/location.h"
#include "common/placement/node_affinity.h"

namespace longshore::placement {

struct PodRecord {
  std::string name, uid, node;
  std::string agent_uid;                      // as node agents know it
  std::map<std::string, std::string> labels;  // not of ours: no source's data is in them
  std::string witness;                        // as in View::PodPlace
  bool leads = false;
  std::vector<api::LocationOwner> owners;  // its controller, and what is known of that one's
  std::vector<std::string> claims;         // PersistentVolumeClaims it mounts
  int64_t cpu_milli = 0, memory_bytes = 0;
  bool finished = false;  // Succeeded or Failed: holds no room any more
  bool running = false;   // and not being deleted
  bool ready = false;
  bool backup = false;  // one of ours
};

struct StatefulSetRecord {
  std::string name;
  api::LocationOwner owner;  // its controller; empty: none
};

struct SliceRecord {
  std::string name, service;
  std::vector<View::PodPlace> ready;  // endpoints that serve
};

struct ClaimRecord {
  std::string name, volume;
  std::string selected_node;  // chosen by the scheduler for a volume that is not made yet
  std::string storage_class;
};

struct VolumeRecord {
  std::string name;
  NodeAffinity affinity;
  std::vector<std::string> zones, regions;  // of volumes that carry labels instead of an affinity
  bool one_node = false;  // its access modes forbid that two nodes have it at a time
};

struct StorageClassRecord {
  std::string name;
  NodeAffinity topologies;  // where volumes of it may be made; empty: anywhere
};

struct AttachmentRecord {
  std::string volume, node;  // empty: neither attached nor about to stay so
};

NodeInfo ReadNode(const api::Json& node);  // usage is left 0: the snapshot adds it up
PodRecord ReadPod(const api::Json& pod);
StatefulSetRecord ReadStatefulSet(const api::Json& set);
SliceRecord ReadSlice(const api::Json& slice);
ClaimRecord ReadClaim(const api::Json& claim);
VolumeRecord ReadVolume(const api::Json& volume);
StorageClassRecord ReadStorageClass(const api::Json& storage_class);
AttachmentRecord ReadAttachment(const api::Json& attachment);

}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// Where is a source's data? Answers from watch caches only, by the chain: explicit node, ready
// standby by labels (if the source prefers one), live pod by labels, pods of an owner, Service's
// EndpointSlices, PVC (pod that has it mounted, VolumeAttachment, node affinity of the PV or
// StorageClass), explicit rack, zone and region, explicitly outside of the cluster. Used by the
// controller (steering) and the extender (vetting), and by `longshore explain` and `longshore
// locate`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/api/source.h"
#include "common/base/result.h"
#include "common/base/strings.h"
#include "common/placement/image_set.h"
#include "common/placement/node_table.h"

namespace longshore::placement {

// Nearness to the data, best first.
enum class Tier { kNode, kRack, kZone, kRegion, kNone, kUnknown };
const char* TierName(Tier tier);  // "Node", "Rack", "Zone", "Region", "None", "Unknown"

struct Taint {
  std::string key, value, effect;  // NoSchedule or NoExecute
};

// Where what is requested of a node stops counting: as good as any more.
inline constexpr int64_t kMostRequestedOfNode = 10 * kMostRequested;

struct NodeInfo {
  std::string name;
  std::string rack, zone, region;
  bool ready = false;
  bool schedulable = true;  // not cordoned
  std::vector<Taint> taints;
  std::map<std::string, std::string> labels;
  int64_t cpu_allocatable_milli = 0, memory_allocatable_bytes = 0;
  // Requests of the pods bound to it.
  int64_t cpu_requested_milli = 0, memory_requested_bytes = 0;
  int pods = 0, max_pods = 0;
  int backup_pods = 0;  // of ours, among `pods`
  ImageSet images;
};

// What a view is made of. Nodes and pods it cannot do without.
enum class Kind {
  kNodes,
  kPods,
  kSlices,
  kClaims,
  kVolumes,
  kAttachments,
  kClasses,
  kStatefulSets
};
const char* KindName(Kind kind);  // "nodes", "endpoint slices", …

// Where a claim's volume may be used.
struct VolumePlace {
  std::vector<std::string> nodes;
  std::string how;     // by what that is known, if not by the volume's node affinity
  bool exists = true;  // false: it is not made yet
};

// What the placement code may read; implemented on informers by ClusterView (cluster_view.h) and by
// fakes in tests. Implementations are snapshots: stable during one call.
class View {
 public:
  virtual ~View() = default;
  // Why nothing is known of that kind: it may not be listed (kPermissionDenied), or no answer came
  // yet (kUnavailable). Nothing: what is not there does not exist.
  virtual std::optional<Error> Unlisted(Kind /*kind*/) const { return std::nullopt; }
  virtual const NodeInfo* Node(std::string_view name) const = 0;
  virtual std::vector<const NodeInfo*> Nodes() const = 0;
  // The same nodes in the same order, for who scores all of them; lives as long as the view.
  virtual const NodeTable& Table() const = 0;
  // Nodes of running, not terminating pods with all these labels, with the pods' names.
  struct PodPlace {
    std::string pod, node;
    bool ready = false;
    std::string zone;  // of an endpoint outside the cluster, which has no node
    // As node agents know the pod: a static pod's is the hash of its manifest.
    std::string agent_uid = {};
    // The label by which the pod is a member that only votes: no data is in it. Empty: it is not.
    std::string witness = {};
    bool leads = false;  // a label of a role says so
  };
  virtual std::vector<PodPlace> PodsByLabels(
      const std::string& ns, const std::map<std::string, std::string>& labels) const = 0;
  // The same of the pods that an object owns, if only through a ReplicaSet or a StatefulSet.
  virtual std::vector<PodPlace> PodsByOwner(const std::string& /*ns*/,
                                            const api::LocationOwner& /*owner*/) const {
    return {};
  }
  // Nodes named by the Service's ready endpoints.
  virtual std::vector<PodPlace> ServiceEndpoints(const std::string& ns,
                                                 const std::string& service) const = 0;
  // Running pods that have the claim mounted: where its data is in use right now.
  virtual std::vector<PodPlace> PodsByClaim(const std::string& /*ns*/,
                                            const std::string& /*claim*/) const {
    return {};
  }
  // Nodes that the claim's volume is attached to now, by name. Known of drivers that attach.
  virtual std::vector<std::string> AttachedNodes(const std::string& /*ns*/,
                                                 const std::string& /*claim*/) const {
    return {};
  }
  // The one node on which a pod can have the claim now: its volume is attached there, and can be on
  // one node at a time. Empty: any node, as far as that goes.
  virtual std::string AttachedTo(const std::string& /*ns*/, const std::string& /*claim*/) const {
    return {};
  }
  // Whether a pod on the node mounts the claim, ours included, other than the one of that name. For
  // who explains where a pod is.
  virtual bool OthersMount(const std::string& /*ns*/, const std::string& /*claim*/,
                           const std::string& /*node*/, const std::string& /*pod*/) const {
    return false;
  }
  // Nodes that the bound volume allows, or where the volume of an unbound claim will be made.
  // Errors: kNotFound (no such claim), kFailedPrecondition (not bound yet, and may be made
  // anywhere), kInvalidArgument (the volume says nothing about nodes), those of Unlisted, for
  // claims and volumes.
  virtual Result<VolumePlace> VolumeNodes(const std::string& ns,
                                          const std::string& claim) const = 0;
  // The node that this very pod is bound to; empty when unbound or unknown.
  virtual std::string NodeOfPod(const std::string& /*ns*/, const std::string& /*name*/,
                                const std::string& /*uid*/) const {
    return {};
  }
};

struct Place {
  std::string node, rack, zone, region;  // what is not known is empty
};

// A pod that the data is in, live: whom a backup could harm. The leader is among them also where
// the place is a standby's.
struct LivePod {
  std::string node, agent_uid;
};

// One link of the chain, as it was tried.
struct Link {
  std::string name;  // as in spec.location: "nodeName", "podLabels", …
  bool found = false;
  std::string reason;
};

struct Location {
  std::vector<std::string> nodes;  // where the data is; empty when only a zone is known or nothing
  std::string rack, zone, region;  // of the first node, or as the source names them
  // "NodeName", "Pod", "Service", "PersistentVolume", "Rack", "Zone", "Region", "External" or
  // "Unknown"
  std::string method;
  std::string reason;         // one line: "pod db/pg-0 (labels role=leader) runs on node-1"
  std::vector<LivePod> pods;  // none where the chain found no pod
  // All of them, in the order of `nodes`; one without a node for an explicit zone.
  std::vector<Place> places;
  std::vector<Link> links;  // in the order tried; the last one hit, if any did
  bool unbound = false;     // the claim waits for its first consumer: any node is as good
  bool external = false;    // known to be outside of the cluster, where no node is near
  bool known() const { return !places.empty(); }
};

// The links are those set in spec.location; a source that sets none is looked for by its own
// access: the filesystem's claim, or the Service that the PostgreSQL host names. Never fails: what
// cannot be known is `Unknown` with the reason (and each link tried).
Location Locate(const api::BackupSource& source, const View& view);

// The best tier to any of the places. Names count only inside what holds them: equal zones of
// different regions are different zones. kUnknown when there is nothing to compare.
Tier Nearness(const Location& location, const NodeInfo& node);
// That of another node of the same rack, zone and region, which does not hold the data.
Tier NearnessBeside(const Location& location, const NodeInfo& node);

}  // namespace longshore::placement

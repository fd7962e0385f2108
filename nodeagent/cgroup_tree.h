// SPDX-License-Identifier: Apache-2.0
//
// Which cgroup belongs to which pod, kept right while cgroups come and go, and each pod's totals.
// Fed by the collector with events of the kernel side and with walks of the directory tree; a
// cgroup that goes leaves its counts with its pod. One thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "nodeagent/cgroup_layout.h"
#include "nodeagent/kernel_counters.h"
#include "nodeagent/kernel_files.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

// Of a pod's or a container's cgroup and all below it, since it was made, as far as the kernel
// knows; its devices since the programs were attached.
struct CgroupTotals {
  std::string relative_path;  // below `kubepods`
  Counters counters;
  std::map<DeviceId, DeviceCounters> devices;
};

struct ContainerTotals {
  std::string id;
  CgroupTotals totals;
};

struct PodTotals {
  std::string uid;
  CgroupTotals totals;
  std::vector<ContainerTotals> containers;  // those that exist or are within their tombstone
  bool final = false;                       // reported for the last time
};

class CgroupTree {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // `kernel` outlives the tree. A removed cgroup is counted for `tombstone` longer: tasks that are
  // still dying and writeback arrive after rmdir.
  CgroupTree(CgroupLayout layout, KernelCounters& kernel, std::chrono::milliseconds tombstone);

  void Apply(const CgroupEvent& event, TimePoint now);
  // Looks at all directories, and lists those whose number of children isn't the known one; all
  // when an event was lost since the last walk. What it finds and no event had told gets its base
  // from the kernel's own totals. Errors: kNotFound when `kubepods` is gone.
  Status Walk(TimePoint now);
  // Folds in what has been gone for the tombstone's time.
  void Expire(TimePoint now);

  // All pods by UID; each that ended since the last call once, with `final`. A pod of which a
  // cgroup found no index is left out, since what it uses is not known; once a walk finds an index
  // for all of it, it goes on from the kernel's totals.
  std::vector<PodTotals> Totals();
  // Of the pods that Totals() would have.
  std::vector<PodPath> Paths() const;
  // All I/O of each device, whoever caused it, since the programs were attached and as of the last
  // Totals().
  std::map<DeviceId, DeviceCounters> NodeDevices() const;
  // The pods to say preemptions of, now and when they come; replaces the last set.
  void Watch(std::unordered_set<std::string> pod_uids);
  // Of the watched pods, by UID; pods that ended are left out after their tombstone.
  std::vector<Preemption> Preemptions() const;
  // Used below `kubepods` since the programs were attached, as of the last Totals(): pods, those
  // that ended, and what found no index of its own.
  const Counters& sum() const { return sum_; }
  // Cgroups that a walk found but that could not become members: what they use is for no one.
  uint64_t uncounted() const { return uncounted_; }
  size_t pods() const { return pods_.size(); }
  size_t unknown_pods() const;                               // those that Totals() leaves out
  size_t indexed_cgroups() const { return owners_.size(); }  // that are counted apart
  const CgroupLayout& layout() const { return layout_; }

 private:
  using Devices = std::map<DeviceId, DeviceCounters>;

  // What the cgroups of a pod or container have used.
  struct Account {
    std::string relative_path;
    Counters before_us;  // the kernel's totals minus what our counters held then
    Counters gone, now;  // of cgroups that no longer exist; of those that do
    Devices devices_gone, devices_now;
    size_t cgroups = 0;       // that exist or are within their tombstone
    bool needs_base = false;  // a walk found something of it that no event had told

    Counters Counted() const;
    CgroupTotals Totals() const;
  };
  struct Pod : Account {
    std::map<std::string, Account> containers;  // by id
    size_t overflowed = 0;                      // cgroups that are counted for the node only
    bool missed = false;   // the last walk found one that could not even become a member
    bool unknown = false;  // some of what it used is not with it; the next walk may set this right
  };
  struct Node {
    uint64_t id = 0, parent_id = 0;
    Member member;
    std::string relative_path;
    Pod* pod = nullptr;            // none: `kubepods` itself or a QoS level
    Account* container = nullptr;  // none: the pod's own cgroup
    std::string uid;               // of the pod
    std::optional<TimePoint> removed_at;
  };
  using Nodes = std::unordered_map<uint64_t, Node>;
  using Ids = std::unordered_set<uint64_t>;
  using Pair = std::pair<std::string, std::string>;  // UIDs of victim and offender
  // One walk of one tree.
  struct Walking {
    Tree tree;
    bool list_all;
    std::unordered_map<uint64_t, std::vector<uint64_t>> known{};  // children that exist, by parent
    Ids seen{};
  };
  // What the tables of the kernel side hold of indices that are about to be freed.
  struct LastRows {
    std::vector<DeviceRow> devices;
    std::vector<PreemptionRow> preemptions;
  };

  Nodes& NodesOf(Tree tree) { return tree == Tree::kCpu ? cpu_nodes_ : io_nodes_; }
  const CgroupPlace& PlaceOf(Tree tree) const {
    return tree == Tree::kCpu ? layout_.cpu : layout_.io;
  }
  Node& Insert(Tree tree, uint64_t id, const Member& member, const Node* parent,
               const std::string& name);
  void Own(Tree tree, const Node& node);
  void Retry(Tree tree, uint64_t id, const Member& parent, Node& node);
  Status WalkTree(Tree tree, bool list_all, TimePoint now);
  void WalkDirectory(Walking& walk, uint64_t id, const Node* parent, const std::string& name);
  void RemoveUnseen(Tree tree, const Ids& seen, TimePoint now);
  void RemoveOrphans(Tree tree);
  void ReadCounters();
  void ReadDevices();
  void SetBases();
  void SetBase(Account& account);
  void ExpireTree(Tree tree, TimePoint now, std::optional<LastRows>& last);
  void Fold(const Node& node, LastRows& last);
  void FoldDevices(const Node* node, uint32_t index, const std::vector<DeviceRow>& devices);
  void FoldPreemptions(uint32_t index, std::vector<PreemptionRow>& rows);
  void ForgetPreemptionsOf(const std::string& uid);
  std::optional<Pair> PairOf(const PreemptionRow& row) const;

  const CgroupLayout layout_;
  KernelCounters& kernel_;
  const std::chrono::milliseconds tombstone_;
  const std::vector<Tree> trees_;
  std::map<std::string, Pod> pods_;  // by UID; nodes point into it
  Nodes cpu_nodes_, io_nodes_;
  std::unordered_map<uint32_t, const Node*> owners_;  // of indices
  Ids suspects_[2];           // members without a node at the last walk, by tree
  uint64_t events_lost_ = 0;  // at the last walk
  std::vector<PodTotals> ended_;
  Counters sum_gone_;  // of pods and levels that are no more
  Counters sum_;
  Devices devices_gone_, devices_now_;  // of the node
  std::unordered_set<std::string> watched_;
  std::map<Pair, Preemption> preemptions_gone_;  // of indices that were freed
  uint64_t uncounted_ = 0;
};

}  // namespace longshore::nodeagent

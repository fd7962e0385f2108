// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/cgroup_tree.h"

#include <algorithm>
#include <utility>

#include "nodeagent/cgroup_path.h"

namespace longshore::nodeagent {
namespace {

std::vector<Tree> TreesOf(const CgroupLayout& layout) {
  if (layout.io.directory.empty() || layout.io.hierarchy == layout.cpu.hierarchy) {
    return {Tree::kCpu};
  }
  return {Tree::kCpu, Tree::kIo};
}

}  // namespace

Counters CgroupTree::Account::Counted() const {
  Counters counted = gone;
  return counted += now;
}

CgroupTotals CgroupTree::Account::Totals() const {
  CgroupTotals totals{relative_path, before_us, devices_gone};
  totals.counters += gone;
  totals.counters += now;
  for (const auto& [device, counters] : devices_now) totals.devices[device] += counters;
  return totals;
}

CgroupTree::CgroupTree(CgroupLayout layout, KernelCounters& kernel,
                       std::chrono::milliseconds tombstone)
    : layout_(std::move(layout)),
      kernel_(kernel),
      tombstone_(tombstone),
      trees_(TreesOf(layout_)) {}

CgroupTree::Node& CgroupTree::Insert(Tree tree, uint64_t id, const Member& member,
                                     const Node* parent, const std::string& name) {
  Node node{.id = id, .member = member};
  if (parent != nullptr) {
    node.parent_id = parent->id;
    node.relative_path = parent->relative_path + "/" + name;
    node.pod = parent->pod;
    node.container = parent->container;
    node.uid = parent->uid;
    if (node.pod == nullptr) {
      if (const auto uid = PodUidOfName(name)) {
        node.pod = &pods_[*uid];
        node.pod->relative_path = node.relative_path;
        node.uid = *uid;
      }
    } else if (node.container == nullptr) {
      if (const auto container = ContainerIdOfName(name)) {
        node.container = &node.pod->containers[*container];
        node.container->relative_path = node.relative_path;
      }
    }
  }
  if (node.pod != nullptr) ++node.pod->cgroups;
  if (node.container != nullptr) ++node.container->cgroups;
  if (node.pod != nullptr && member.overflowed) {
    ++node.pod->overflowed;
    node.pod->unknown = true;
  }
  Node& inserted = NodesOf(tree).insert_or_assign(id, std::move(node)).first->second;
  Own(tree, inserted);
  return inserted;
}

void CgroupTree::Own(Tree tree, const Node& node) {
  if (!node.member.owns_index) return;
  owners_[node.member.index] = &node;
  if (tree == Tree::kCpu && watched_.contains(node.uid)) kernel_.Watch(node.member.index, true);
}

void CgroupTree::Apply(const CgroupEvent& event, TimePoint now) {
  Nodes& nodes = NodesOf(event.tree);
  const auto found = nodes.find(event.id);
  if (event.kind == CgroupEvent::Kind::kRemoved && found != nodes.end()) {
    found->second.removed_at = now;
  }
  if (event.kind == CgroupEvent::Kind::kMade && found == nodes.end()) {
    // The parent's own event was lost: the next walk finds both.
    const auto parent = nodes.find(event.parent_id);
    if (parent == nodes.end()) return;
    // A copy: inserting may move what the iterator points to.
    const Node parent_node = parent->second;
    Insert(event.tree, event.id, event.member, &parent_node, event.name);
  }
}

void CgroupTree::ReadCounters() {
  for (auto& [uid, pod] : pods_) {
    pod.now = {};
    for (auto& [id, container] : pod.containers) container.now = {};
  }
  sum_ = sum_gone_;
  sum_ += kernel_.ReadOverflow();
  for (const Tree tree : trees_) {
    for (const auto& [id, node] : NodesOf(tree)) {
      if (!node.member.owns_index) continue;
      const Counters counted = kernel_.Read(node.member.index);
      if (node.pod != nullptr) node.pod->now += counted;
      if (node.container != nullptr) node.container->now += counted;
      sum_ += counted;
    }
  }
  for (const auto& [uid, pod] : pods_) sum_ += pod.gone;
}

// Entries stay from sample to sample: making each anew took more than reading it.
void CgroupTree::ReadDevices() {
  const auto for_all = [&](auto change) {
    change(devices_now_);
    for (auto& [uid, pod] : pods_) {
      change(pod.devices_now);
      for (auto& [id, container] : pod.containers) change(container.devices_now);
    }
  };
  for_all([](Devices& devices) {
    for (auto& [device, counters] : devices) counters = {};
  });
  for (const DeviceRow& row : kernel_.ReadDevices()) {
    devices_now_[row.device] += row.counters;
    const auto owner = owners_.find(row.index);
    if (owner == owners_.end()) continue;
    const Node& node = *owner->second;
    if (node.pod != nullptr) node.pod->devices_now[row.device] += row.counters;
    if (node.container != nullptr) node.container->devices_now[row.device] += row.counters;
  }
  for_all([](Devices& devices) {
    std::erase_if(devices, [](const auto& entry) { return entry.second == DeviceCounters{}; });
  });
}

void CgroupTree::Expire(TimePoint now) {
  std::optional<LastRows> last;  // read once, if at all
  for (const Tree tree : trees_) ExpireTree(tree, now, last);
  for (auto pod = pods_.begin(); pod != pods_.end();) {
    std::erase_if(pod->second.containers,
                  [](const auto& entry) { return entry.second.cgroups == 0; });
    if (pod->second.cgroups > 0) {
      ++pod;
      continue;
    }
    Pod& gone = pod->second;
    gone.now = {};
    gone.devices_now.clear();
    sum_gone_ += gone.gone;
    if (!gone.unknown) {
      ended_.push_back({.uid = pod->first, .totals = gone.Totals(), .final = true});
    }
    ForgetPreemptionsOf(pod->first);
    pod = pods_.erase(pod);
  }
}

void CgroupTree::ExpireTree(Tree tree, TimePoint now, std::optional<LastRows>& last) {
  Nodes& nodes = NodesOf(tree);
  for (auto entry = nodes.begin(); entry != nodes.end();) {
    const Node& node = entry->second;
    if (!node.removed_at || now - *node.removed_at < tombstone_) {
      ++entry;
      continue;
    }
    if (node.member.owns_index) {
      if (!last) last = {kernel_.ReadDevices(), kernel_.ReadPreemptions()};
      Fold(node, *last);
    }
    kernel_.RemoveMember(tree, entry->first, node.member);
    if (node.pod != nullptr) --node.pod->cgroups;
    if (node.pod != nullptr && node.member.overflowed) --node.pod->overflowed;
    if (node.container != nullptr) --node.container->cgroups;
    entry = nodes.erase(entry);
  }
}

// Takes the last values of a node whose index is about to be freed.
void CgroupTree::Fold(const Node& node, LastRows& last) {
  const uint32_t index = node.member.index;
  const Counters counted = kernel_.Read(index);
  if (node.pod != nullptr) {
    node.pod->gone += counted;
  } else {
    sum_gone_ += counted;
  }
  if (node.container != nullptr) node.container->gone += counted;
  FoldDevices(&node, index, last.devices);
  FoldPreemptions(index, last.preemptions);
  owners_.erase(index);
}

void CgroupTree::FoldDevices(const Node* node, uint32_t index,
                             const std::vector<DeviceRow>& devices) {
  for (const DeviceRow& row : devices) {
    if (row.index != index) continue;
    devices_gone_[row.device] += row.counters;
    if (node == nullptr) continue;
    if (node->pod != nullptr) node->pod->devices_gone[row.device] += row.counters;
    if (node->container != nullptr) node->container->devices_gone[row.device] += row.counters;
  }
}

CgroupTree::Devices CgroupTree::NodeDevices() const {
  Devices devices = devices_gone_;
  for (const auto& [device, counters] : devices_now_) devices[device] += counters;
  return devices;
}

void CgroupTree::Watch(std::unordered_set<std::string> pod_uids) {
  watched_ = std::move(pod_uids);
  for (const auto& [id, node] : cpu_nodes_) {
    if (node.pod == nullptr || !node.member.owns_index) continue;
    kernel_.Watch(node.member.index, watched_.contains(node.uid));
  }
}

// Nothing for what isn't worth telling: pods that aren't watched, a pod's own containers among
// themselves.
std::optional<CgroupTree::Pair> CgroupTree::PairOf(const PreemptionRow& row) const {
  const auto uid_of = [this](uint32_t index) -> std::string {
    const auto owner = owners_.find(index);
    return owner == owners_.end() ? "" : owner->second->uid;
  };
  Pair pair{uid_of(row.victim), uid_of(row.offender)};
  if (!watched_.contains(pair.first) || pair.first == pair.second) return std::nullopt;
  return pair;
}

// Takes its rows out: both ends of one may be freed together.
void CgroupTree::FoldPreemptions(uint32_t index, std::vector<PreemptionRow>& rows) {
  std::erase_if(rows, [&](const PreemptionRow& row) {
    if (row.victim != index && row.offender != index) return false;
    if (const auto pair = PairOf(row)) {
      Preemption& gone = preemptions_gone_[*pair];
      gone.count += row.count;
      gone.offender_ns += row.offender_ns;
    }
    return true;
  });
}

void CgroupTree::ForgetPreemptionsOf(const std::string& uid) {
  std::erase_if(preemptions_gone_, [&](const auto& entry) {
    return entry.first.first == uid || entry.first.second == uid;
  });
}

std::vector<Preemption> CgroupTree::Preemptions() const {
  std::map<Pair, Preemption> sums = preemptions_gone_;
  for (const PreemptionRow& row : kernel_.ReadPreemptions()) {
    const auto pair = PairOf(row);
    if (!pair) continue;
    Preemption& sum = sums[*pair];
    sum.count += row.count;
    sum.offender_ns += row.offender_ns;
  }
  std::vector<Preemption> out;
  for (auto& [pair, sum] : sums) {
    if (!watched_.contains(pair.first)) continue;
    sum.victim = pair.first;
    sum.offender = pair.second;
    out.push_back(std::move(sum));
  }
  return out;
}

std::vector<PodPath> CgroupTree::Paths() const {
  std::vector<PodPath> paths;
  for (const auto& [uid, pod] : pods_) {
    if (!pod.unknown) paths.push_back({uid, pod.relative_path});
  }
  return paths;
}

size_t CgroupTree::unknown_pods() const {
  return static_cast<size_t>(
      std::ranges::count_if(pods_, [](const auto& entry) { return entry.second.unknown; }));
}

std::vector<PodTotals> CgroupTree::Totals() {
  ReadCounters();
  ReadDevices();
  std::vector<PodTotals> out = std::move(ended_);
  ended_.clear();
  const size_t ended = out.size();
  out.reserve(ended + pods_.size());
  for (const auto& [uid, pod] : pods_) {
    if (pod.unknown) continue;
    PodTotals totals{.uid = uid, .totals = pod.Totals()};
    for (const auto& [id, container] : pod.containers) {
      totals.containers.push_back({id, container.Totals()});
    }
    out.push_back(std::move(totals));
  }
  if (ended > 0) std::ranges::sort(out, {}, &PodTotals::uid);
  return out;
}

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/cgroup_tree.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "nodeagent/cgroup_path.h"

namespace longshore::nodeagent {
namespace {

struct CloseDir {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

struct Child {
  uint64_t id;
  std::string name;
};

// The cgroups in a directory. On cgroup file systems the inode number is the cgroup's id.
Result<std::vector<Child>> ListCgroups(const std::string& path) {
  const std::unique_ptr<DIR, CloseDir> directory(::opendir(path.c_str()));
  if (!directory) return ErrnoError(errno, path);
  std::vector<Child> children;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    children.push_back({entry->d_ino, std::string(name)});
  }
  return children;
}

Counters Less(const Counters& total, const Counters& counted) {
  const auto less = [](uint64_t a, uint64_t b) { return a > b ? a - b : 0; };
  Counters rest;
  rest.cpu_ns = less(total.cpu_ns, counted.cpu_ns);
  rest.read_bytes = less(total.read_bytes, counted.read_bytes);
  rest.write_bytes = less(total.write_bytes, counted.write_bytes);
  rest.read_ops = less(total.read_ops, counted.read_ops);
  rest.write_ops = less(total.write_ops, counted.write_ops);
  return rest;
}

std::vector<Tree> TreesOf(const CgroupLayout& layout) {
  if (layout.io.directory.empty() || layout.io.hierarchy == layout.cpu.hierarchy) {
    return {Tree::kCpu};
  }
  return {Tree::kCpu, Tree::kIo};
}

}  // namespace

Counters CgroupTree::Pod::Counted() const {
  Counters counted = gone;
  return counted += now;
}

CgroupTree::CgroupTree(CgroupLayout layout, KernelCounters& kernel,
                       std::chrono::milliseconds tombstone)
    : layout_(std::move(layout)),
      kernel_(kernel),
      tombstone_(tombstone),
      trees_(TreesOf(layout_)) {}

CgroupTree::Node& CgroupTree::Insert(Tree tree, uint64_t id, const Member& member,
                                     const Node* parent, const std::string& name) {
  Node node{.member = member};
  if (parent != nullptr) {
    node.relative_path = parent->relative_path + "/" + name;
    node.pod = parent->pod;
    if (node.pod == nullptr) {
      if (const auto uid = PodUidOfName(name)) {
        node.pod = &pods_[*uid];
        node.pod->relative_path = node.relative_path;
      }
    }
  }
  if (node.pod != nullptr) ++node.pod->cgroups;
  return NodesOf(tree).insert_or_assign(id, std::move(node)).first->second;
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

Status CgroupTree::Walk(TimePoint now) {
  for (const Tree tree : trees_) LS_RETURN_IF_ERROR(WalkTree(tree, now));
  SetBases();
  return {};
}

Status CgroupTree::WalkTree(Tree tree, TimePoint now) {
  struct stat status{};
  const std::string& directory = PlaceOf(tree).directory;
  if (::stat(directory.c_str(), &status) != 0) return ErrnoError(errno, directory);
  Ids seen;
  WalkDirectory(tree, status.st_ino, nullptr, "", seen);
  RemoveUnseen(tree, seen, now);
  RemoveOrphans(tree);
  return {};
}

// First the directory becomes a member, then its children are read: a child made in between is told
// by an event, so none can slip through.
void CgroupTree::WalkDirectory(Tree tree, uint64_t id, const Node* parent, const std::string& name,
                               Ids& seen) {
  seen.insert(id);
  Nodes& nodes = NodesOf(tree);
  auto found = nodes.find(id);
  if (found == nodes.end()) {
    const Member above = parent != nullptr ? parent->member : Member{};
    const auto member = kernel_.AddMember(tree, id, above, parent == nullptr);
    if (!member.has_value()) {
      ++uncounted_;
      return;
    }
    Node& inserted = Insert(tree, id, *member, parent, name);
    if (inserted.pod != nullptr) inserted.pod->needs_base = true;
    found = nodes.find(id);
  }
  const Node self = found->second;  // a copy: children are inserted into the same table
  const auto children = ListCgroups(PlaceOf(tree).directory + self.relative_path);
  if (!children.has_value()) return;  // gone meanwhile
  for (const Child& child : *children) WalkDirectory(tree, child.id, &self, child.name, seen);
}

void CgroupTree::RemoveUnseen(Tree tree, const Ids& seen, TimePoint now) {
  for (auto& [id, node] : NodesOf(tree)) {
    if (!node.removed_at && !seen.contains(id)) node.removed_at = now;
  }
}

// Members that have no node: their mkdir event was lost and they were gone before the walk. Told
// apart from those whose event is still in the ring by waiting for a second walk.
void CgroupTree::RemoveOrphans(Tree tree) {
  Ids& suspects = suspects_[tree == Tree::kIo ? 1 : 0];
  Ids orphans;
  for (const auto& [id, member] : kernel_.ListMembers(tree)) {
    if (NodesOf(tree).contains(id)) continue;
    if (!suspects.contains(id)) {
      orphans.insert(id);
      continue;
    }
    if (member.owns_index) ended_cpu_ns_ += kernel_.Read(member.index).cpu_ns;
    kernel_.RemoveMember(tree, id, member);
  }
  suspects = std::move(orphans);
}

void CgroupTree::ReadCounters() {
  for (auto& [uid, pod] : pods_) pod.now = {};
  node_cpu_ns_ = ended_cpu_ns_ + kernel_.ReadOverflow().cpu_ns;
  for (const Tree tree : trees_) {
    for (const auto& [id, node] : NodesOf(tree)) {
      if (!node.member.owns_index) continue;
      const Counters counted = kernel_.Read(node.member.index);
      if (node.pod != nullptr) node.pod->now += counted;
      node_cpu_ns_ += counted.cpu_ns;
    }
  }
  for (const auto& [uid, pod] : pods_) node_cpu_ns_ += pod.gone.cpu_ns;
}

void CgroupTree::SetBases() {
  // Tasks that run now were noted before their cgroup became a member.
  kernel_.Flush();
  ReadCounters();
  for (auto& [uid, pod] : pods_) {
    if (!pod.needs_base) continue;
    pod.needs_base = false;
    Counters total;
    if (!layout_.io.directory.empty()) {
      total = ReadIoTotals(layout_.io.directory + pod.relative_path, layout_.io.v2);
    }
    total.cpu_ns = ReadCpuTotalNs(layout_.cpu.directory + pod.relative_path, layout_.cpu.v2);
    pod.before_us = Less(total, pod.Counted());
  }
}

void CgroupTree::Expire(TimePoint now) {
  for (const Tree tree : trees_) ExpireTree(tree, now);
  for (auto pod = pods_.begin(); pod != pods_.end();) {
    if (pod->second.cgroups > 0) {
      ++pod;
      continue;
    }
    PodTotals totals{.uid = pod->first,
                     .totals = {pod->second.relative_path, pod->second.before_us},
                     .final = true};
    totals.totals.counters += pod->second.gone;
    ended_cpu_ns_ += pod->second.gone.cpu_ns;
    ended_.push_back(std::move(totals));
    pod = pods_.erase(pod);
  }
}

void CgroupTree::ExpireTree(Tree tree, TimePoint now) {
  Nodes& nodes = NodesOf(tree);
  for (auto entry = nodes.begin(); entry != nodes.end();) {
    const Node& node = entry->second;
    if (!node.removed_at || now - *node.removed_at < tombstone_) {
      ++entry;
      continue;
    }
    if (node.member.owns_index) {
      const Counters last = kernel_.Read(node.member.index);
      if (node.pod != nullptr) {
        node.pod->gone += last;
      } else {
        ended_cpu_ns_ += last.cpu_ns;
      }
    }
    kernel_.RemoveMember(tree, entry->first, node.member);
    if (node.pod != nullptr) --node.pod->cgroups;
    entry = nodes.erase(entry);
  }
}

std::map<DeviceId, DeviceCounters> CgroupTree::NodeDevices() const { return {}; }
void CgroupTree::Watch(std::unordered_set<std::string>) {}
std::vector<Preemption> CgroupTree::Preemptions() const { return {}; }

std::vector<PodTotals> CgroupTree::Totals() {
  ReadCounters();
  std::vector<PodTotals> out = std::move(ended_);
  ended_.clear();
  out.reserve(out.size() + pods_.size());
  for (const auto& [uid, pod] : pods_) {
    PodTotals totals{.uid = uid, .totals = {pod.relative_path, pod.before_us}};
    totals.totals.counters += pod.Counted();
    out.push_back(std::move(totals));
  }
  return out;
}

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// The part of CgroupTree that reads directories: at start, every 10 s, and when an event was lost.
//
// Cost: a stat of each directory. To list one is several times as dear: it is full of the kernel's
// files, and has to be opened.
#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "nodeagent/cgroup_tree.h"

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

// How many cgroups are in a directory: on cgroup file systems each is a link to it, beside its own
// two. Nothing when it is gone, or on a file system that doesn't count so.
std::optional<size_t> CountCgroups(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || status.st_nlink < 2) return std::nullopt;
  return status.st_nlink - 2;
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

}  // namespace

Status CgroupTree::Walk(TimePoint now) {
  for (auto& [uid, pod] : pods_) pod.missed = false;
  // Without a loss, events told of every change, and a number that is right stands for them all.
  const uint64_t lost = kernel_.Lost().events;
  for (const Tree tree : trees_) LS_RETURN_IF_ERROR(WalkTree(tree, lost != events_lost_, now));
  events_lost_ = lost;
  SetBases();
  return {};
}

Status CgroupTree::WalkTree(Tree tree, bool list_all, TimePoint now) {
  struct stat status{};
  const std::string& directory = PlaceOf(tree).directory;
  if (::stat(directory.c_str(), &status) != 0) return ErrnoError(errno, directory);
  Walking walk{.tree = tree, .list_all = list_all};
  for (const auto& [id, node] : NodesOf(tree)) {
    if (!node.removed_at) walk.known[node.parent_id].push_back(id);
  }
  WalkDirectory(walk, status.st_ino, nullptr, "");
  RemoveUnseen(tree, walk.seen, now);
  RemoveOrphans(tree);
  return {};
}

// First the directory becomes a member, then its children are read: a child made in between is told
// by an event, so none can slip through.
void CgroupTree::WalkDirectory(Walking& walk, uint64_t id, const Node* parent,
                               const std::string& name) {
  const Tree tree = walk.tree;
  walk.seen.insert(id);
  Nodes& nodes = NodesOf(tree);
  auto found = nodes.find(id);
  const bool is_new = found == nodes.end();
  const Member above = parent != nullptr ? parent->member : Member{};
  if (is_new) {
    const auto member = kernel_.AddMember(tree, id, above, parent == nullptr);
    if (!member.has_value()) {
      ++uncounted_;
      if (parent != nullptr && parent->pod != nullptr) {
        parent->pod->unknown = parent->pod->missed = true;
      }
      return;
    }
    Node& inserted = Insert(tree, id, *member, parent, name);
    if (inserted.pod != nullptr) inserted.pod->needs_base = true;
    if (inserted.container != nullptr) inserted.container->needs_base = true;
    found = nodes.find(id);
  } else if (found->second.member.overflowed) {
    Retry(tree, id, above, found->second);
  }
  const Node self = found->second;  // a copy: children are inserted into the same table
  const std::string path = PlaceOf(tree).directory + self.relative_path;
  const std::vector<uint64_t>& known = walk.known[id];
  if (!walk.list_all && !is_new && CountCgroups(path) == known.size()) {
    for (const uint64_t child : known) WalkDirectory(walk, child, &self, "");
    return;
  }
  const auto children = ListCgroups(path);
  if (!children.has_value()) return;  // gone meanwhile
  for (const Child& child : *children) WalkDirectory(walk, child.id, &self, child.name);
}

// An index may be free by now.
void CgroupTree::Retry(Tree tree, uint64_t id, const Member& parent, Node& node) {
  const auto member = kernel_.AddMember(tree, id, parent, false);
  if (!member.has_value() || member->overflowed) return;
  node.member = *member;
  if (node.pod != nullptr) --node.pod->overflowed;
  Own(tree, node);
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
    if (member.owns_index) {
      sum_gone_ += kernel_.Read(member.index);
      FoldDevices(nullptr, member.index, kernel_.ReadDevices());
    }
    kernel_.RemoveMember(tree, id, member);
  }
  suspects = std::move(orphans);
}

void CgroupTree::SetBases() {
  bool any = false;
  for (auto& [uid, pod] : pods_) {
    if (pod.unknown && pod.overflowed == 0 && !pod.missed) {
      pod.unknown = false;
      pod.needs_base = true;
      for (auto& [id, container] : pod.containers) container.needs_base = true;
    }
    any |= pod.needs_base;  // as soon as a container of it does
  }
  if (!any) return;
  // Tasks that run now were noted before their cgroup became a member.
  kernel_.Flush();
  ReadCounters();
  for (auto& [uid, pod] : pods_) {
    SetBase(pod);
    for (auto& [id, container] : pod.containers) SetBase(container);
  }
}

void CgroupTree::SetBase(Account& account) {
  if (!account.needs_base) return;
  account.needs_base = false;
  Counters total;
  if (!layout_.io.directory.empty()) {
    total = ReadIoTotals(layout_.io.directory + account.relative_path, layout_.io.v2);
  }
  total.cpu_ns = ReadCpuTotalNs(layout_.cpu.directory + account.relative_path, layout_.cpu.v2);
  account.before_us = Less(total, account.Counted());
}

}  // namespace longshore::nodeagent

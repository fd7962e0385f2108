// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/cgroup_layout.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/base/files.h"
#include "common/base/strings.h"
#include "nodeagent/cgroup_path.h"

namespace longshore::nodeagent {
namespace {

namespace fs = std::filesystem;

// Where kubelets put it below their root, by driver and distribution.
constexpr std::string_view kKubepodsPlaces[] = {"kubepods", "kubepods.slice", "kubelet/kubepods",
                                                "kubelet.slice/kubelet-kubepods.slice"};

bool IsDirectory(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// "/a" + "/b/c" or "b/c"
std::string JoinPath(std::string_view left, std::string_view right) {
  while (left.ends_with('/')) left.remove_suffix(1);
  while (right.starts_with('/')) right.remove_prefix(1);
  std::string joined(left);
  if (!right.empty()) joined.append("/").append(right);
  return joined.empty() ? "/" : joined;
}

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  for (std::string& word : Split(line, ' ')) {
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

std::set<std::string> CommaSet(std::string_view text) {
  std::set<std::string> out;
  for (std::string& part : Split(text, ',')) {
    if (!part.empty()) out.insert(std::move(part));
  }
  return out;
}

struct Machine {
  std::vector<CgroupMount> mounts;
  std::vector<CgroupMembership> memberships;

  const CgroupMount* V2() const {
    const auto found =
        std::find_if(mounts.begin(), mounts.end(), [](const auto& m) { return m.v2; });
    return found == mounts.end() ? nullptr : &*found;
  }
  const CgroupMount* V1(const std::string& controller) const {
    const auto found = std::find_if(mounts.begin(), mounts.end(), [&](const auto& m) {
      return !m.v2 && m.controllers.contains(controller);
    });
    return found == mounts.end() ? nullptr : &*found;
  }
  uint32_t HierarchyOf(const CgroupMount& mount, const std::string& controller) const {
    if (mount.v2) return 0;
    for (const CgroupMembership& line : memberships) {
      if (line.controllers.contains(controller)) return line.hierarchy;
    }
    return kNoHierarchy;
  }
};

// In a private cgroup namespace our own path reads "/". The mounted tree still shows us: of all
// processes in there, only ours have a pid other than 0 as seen from our pid namespace.
std::optional<std::string> FindOwnCgroup(const CgroupMount& mount) {
  const std::string own = std::to_string(::getpid());
  std::error_code error;
  auto walk = fs::recursive_directory_iterator(
      mount.path, fs::directory_options::skip_permission_denied, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (!walk->is_directory(error) || !KubepodsOfPath(walk->path().string())) continue;
    const auto processes = ReadFile(walk->path().string() + "/cgroup.procs");
    if (!processes.has_value()) continue;
    const auto lines = Split(*processes, '\n');
    if (std::find(lines.begin(), lines.end(), own) != lines.end()) {
      return walk->path().string().substr(mount.path.size());
    }
  }
  return std::nullopt;
}

// Path of `kubepods` within the hierarchies, from where we run ourselves.
Result<std::string> KubepodsOfSelf(const Machine& machine) {
  for (const CgroupMembership& line : machine.memberships) {
    if (auto kubepods = KubepodsOfPath(line.path)) return *kubepods;
  }
  for (const CgroupMount& mount : machine.mounts) {
    if (const auto own = FindOwnCgroup(mount)) return *KubepodsOfPath(*own);
  }
  return NotFound(
      "cgroup-root: this process runs in no pod's cgroup, so the kubelet's root must be given");
}

Result<std::string> KubepodsBelow(const Machine& machine, const std::string& root) {
  for (const CgroupMount& mount : machine.mounts) {
    const std::string base = JoinPath(mount.path, root);
    if (IsKubepods(fs::path(base).filename().string()) && IsDirectory(base)) {
      return JoinPath("/", root);
    }
    for (const std::string_view place : kKubepodsPlaces) {
      if (IsDirectory(JoinPath(base, place))) return JoinPath(JoinPath("/", root), place);
    }
  }
  return NotFound("cgroup-root: no kubepods directory below " + root);
}

CgroupPlace PlaceIn(const Machine& machine, const CgroupMount* mount, const std::string& controller,
                    const std::string& kubepods) {
  if (mount == nullptr) return {};
  const std::string directory = JoinPath(mount->path, kubepods);
  if (!IsDirectory(directory)) return {};
  return {directory, machine.HierarchyOf(*mount, controller), mount->v2};
}

// The controller's v1 hierarchy where it has one: it can't be in both.
CgroupPlace PlaceOf(const Machine& machine, const std::string& controller,
                    const std::string& kubepods) {
  const CgroupMount* v1 = machine.V1(controller);
  return PlaceIn(machine, v1 != nullptr ? v1 : machine.V2(), controller, kubepods);
}

}  // namespace

std::vector<CgroupMount> ParseMountInfo(std::string_view text, std::string_view below) {
  std::vector<CgroupMount> mounts;
  for (const std::string& line : Split(text, '\n')) {
    // ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [TAGS…] - TYPE SOURCE SUPER-OPTIONS
    const std::vector<std::string> words = Words(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    const std::string& point = words[4];
    if (point != below && !point.starts_with(std::string(below) + "/")) continue;
    std::erase_if(mounts, [&](const CgroupMount& earlier) { return earlier.path == point; });
    if (dash[1] == "cgroup2") mounts.push_back({point, true, {}});
    if (dash[1] == "cgroup") mounts.push_back({point, false, CommaSet(dash[3])});
  }
  return mounts;
}

std::vector<CgroupMembership> ParseProcCgroup(std::string_view text) {
  std::vector<CgroupMembership> out;
  for (const std::string& line : Split(text, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto hierarchy = ParseInt(std::string_view(line).substr(0, first));
    if (!hierarchy.has_value()) continue;
    out.push_back({static_cast<uint32_t>(*hierarchy),
                   CommaSet(std::string_view(line).substr(first + 1, second - first - 1)),
                   line.substr(second + 1)});
  }
  return out;
}

Result<CgroupLayout> DiscoverLayout(const LayoutOptions& options) {
  LS_ASSIGN_OR_RETURN(const std::string mountinfo, ReadFile(options.proc + "/self/mountinfo"));
  LS_ASSIGN_OR_RETURN(const std::string memberships, ReadFile(options.proc + "/self/cgroup"));
  const Machine machine{ParseMountInfo(mountinfo, options.cgroup_fs), ParseProcCgroup(memberships)};
  if (machine.mounts.empty()) {
    return FailedPrecondition("no cgroup file system is mounted at " + options.cgroup_fs);
  }
  LS_ASSIGN_OR_RETURN(const std::string kubepods,
                      options.cgroup_root == "auto" ? KubepodsOfSelf(machine)
                                                    : KubepodsBelow(machine, options.cgroup_root));
  CgroupLayout layout;
  layout.root = JoinPath("/", fs::path(kubepods).parent_path().string());
  // Tasks are looked up through the v2 tree wherever the pods are in it, else through cpuacct.
  layout.cpu = PlaceIn(machine, machine.V2(), "", kubepods);
  if (layout.cpu.directory.empty()) {
    layout.cpu = PlaceIn(machine, machine.V1("cpuacct"), "cpuacct", kubepods);
  }
  if (layout.cpu.directory.empty()) {
    return NotFound("cgroup-root: no " + kubepods + " in a cgroup v2 or cpuacct tree");
  }
  layout.io = PlaceOf(machine, "blkio", kubepods);
  layout.memory = PlaceOf(machine, "memory", kubepods);
  layout.quota = PlaceOf(machine, "cpu", kubepods);
  if (const CgroupMount* v2 = machine.V2(); v2 != nullptr && layout.root != "/") {
    const std::string directory = JoinPath(v2->path, layout.root);
    std::error_code ignored;
    if (fs::exists(directory + "/cpu.pressure", ignored)) layout.pressure_directory = directory;
  }
  return layout;
}

}  // namespace longshore::nodeagent

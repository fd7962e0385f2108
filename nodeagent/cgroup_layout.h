// SPDX-License-Identifier: Apache-2.0
//
// Finds out, once at start, how cgroups are laid out on this machine (v1, hybrid or v2) and where
// the kubelet whose node we report keeps its pods. Called by main.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace longshore::nodeagent {

struct CgroupMount {
  std::string path;
  bool v2 = false;
  std::set<std::string> controllers;  // v1 only
};

// The cgroup mounts in the text of /proc/PID/mountinfo whose mount point is `below` or under it; of
// several at one mount point the last, which is the one that is seen.
std::vector<CgroupMount> ParseMountInfo(std::string_view text, std::string_view below);

// One line of /proc/PID/cgroup: "7:blkio:/node-1/kubepods/…".
struct CgroupMembership {
  uint32_t hierarchy = 0;
  std::set<std::string> controllers;  // empty: v2
  std::string path;
};
std::vector<CgroupMembership> ParseProcCgroup(std::string_view text);

// No hierarchy has this id; 0 would be cgroup v2.
inline constexpr uint32_t kNoHierarchy = UINT32_MAX;

// One tree to attribute by: the directory of `kubepods` in it.
struct CgroupPlace {
  std::string directory;
  uint32_t hierarchy = kNoHierarchy;
  bool v2 = false;
};

struct CgroupLayout {
  std::string root;                // the kubelet's root, e.g. "/node-1" or "/"
  CgroupPlace cpu, io, memory;     // an empty directory: this signal is not to be had
  CgroupPlace quota;               // with the cpu.stat that tells of throttling
  std::string pressure_directory;  // with cpu.pressure of `root`; empty: /proc/pressure
};

struct LayoutOptions {
  // "auto": from this process's own cgroup. Else the kubelet's root (or its kubepods) as a path
  // within the hierarchies.
  std::string cgroup_root = "auto";
  std::string cgroup_fs = "/sys/fs/cgroup";
  std::string proc = "/proc";
};

// Errors: kNotFound when there is no kubelet's directory there (it may come later), naming what was
// looked for; kFailedPrecondition when no cgroup file system is mounted.
Result<CgroupLayout> DiscoverLayout(const LayoutOptions& options);

}  // namespace longshore::nodeagent

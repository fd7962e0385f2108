// SPDX-License-Identifier: Apache-2.0
//
// Whether the kernel has killed a tool of an operation for memory. Of a pod whose processes do not
// all die together (cgroup v1, or a kubelet with singleProcessOOMKill) it takes the largest, which
// is a tool: its own words say nothing of it. Used by operation.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "worker/outcome.h"

namespace longshore::worker {

// Of the container, in bytes; nothing where it has none or its cgroup cannot be read.
std::optional<int64_t> MemoryLimit(const std::string& cgroup_root);

// Not thread-safe.
class MemoryWatch {
 public:
  // Counts from now on. `cgroup_root`: where this container's cgroup is mounted, of either version.
  // Where it is not, nothing is ever seen.
  explicit MemoryWatch(std::string cgroup_root);

  // The failure, when a task of the container was killed since: with what it was taken for.
  std::optional<Failure> Explain(const Failure& seen) const;

 private:
  const std::string root_;
  const uint64_t before_;
};

}  // namespace longshore::worker

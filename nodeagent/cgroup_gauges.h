// SPDX-License-Identifier: Apache-2.0
//
// What only the kernel's files tell of pods and containers: memory, pressure, throttled time, and
// OOM kills that were not seen. Filled into each sample by the collector.
//
// What is read when, for a cost of 0.04 % of a core where 50 pods with 100 containers idle and
// 0.12 % where all of them run (6.18, hybrid, sample of 1 s):
//   each sample, of cgroups where something ran since the last, and of watched pods:
//     throttled time where a quota is in force (1 to 2 µs), pressure of the pod (2.6 µs each for
//     CPU and memory, and for I/O if it did any), which is also read in the sample after, and for
//     as long as it grows: a pod whose tasks all hang uses no CPU;
//   every 5 s of all cgroups, each at a moment of its own (by the hash of its path), and of watched
//     pods each sample: these, memory (11 µs), OOM kills, and pressure of a watched pod's
//     containers.
// In between, a signal is as it was last read. Files stay open, at most 1024 (3 or 4 MiB of the
// kernel's memory) or half of what the process may open; others are opened for each read. Those
// that are read every 5 s have half of this for themselves, and leave the other half to the rest.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "nodeagent/cgroup_layout.h"
#include "nodeagent/memory_files.h"
#include "nodeagent/pressure_files.h"
#include "nodeagent/sample.h"
#include "nodeagent/text_scan.h"

namespace longshore::nodeagent {

inline constexpr std::chrono::seconds kSlowGauges{5};

// How many files of pods may stay open in this process, whose soft limit is first raised as far as
// that needs and the hard one lets: container runtimes start it with 1024.
size_t OpenFileLimit();

class CgroupGauges {
 public:
  // `layout` outlives it.
  explicit CgroupGauges(const CgroupLayout& layout, size_t open_files = OpenFileLimit());
  ~CgroupGauges();

  // Fills the gauges of the pods and their containers, of which all else is set already, and
  // forgets pods that are not among them. Of a pod that is `final`, and of containers that are
  // gone, the cumulative ones stay as they were last read, and those of the moment are 0.
  void Fill(std::vector<PodSample>& pods, MonotonicTime now);
  // Throttled time of all pods, those that ended included: of those of the first Fill() since then,
  // of others in full. It never falls. Nothing where it isn't counted.
  std::optional<uint64_t> throttled_ns() const;
  size_t open_files() const { return often_.open() + seldom_.open(); }

 private:
  class Files;  // of one cgroup
  struct Container {
    std::unique_ptr<Files> files;
    uint64_t seen = 0;  // by which Fill()
  };
  struct Known {
    std::unique_ptr<Files> files;
    uint64_t seen = 0;
    std::map<std::string, Container> containers;         // by id
    uint64_t gone_throttled_ns = 0, gone_oom_kills = 0;  // of containers that are no more
    uint64_t summed_throttled_ns = 0;  // what the node's sum has of it, or leaves out
  };
  Known Begin(const PodSample& pod);
  void FillPod(Known& known, PodSample& pod, MonotonicTime now);
  std::unique_ptr<Files> Open(const std::string& relative_path, bool is_pod);

  const CgroupLayout& layout_;
  OpenFiles often_, seldom_;           // read each sample, or every 5 s
  std::map<std::string, Known> pods_;  // by UID
  // What the node's sum has of pods that left without an end, as those do for which there is no
  // index for a while: when they are back, it isn't added again. By UID.
  std::map<std::string, uint64_t> away_;
  uint64_t fill_ = 0;          // how many there were
  uint64_t throttled_ns_ = 0;  // of all pods
};

}  // namespace longshore::nodeagent

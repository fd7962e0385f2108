// SPDX-License-Identifier: Apache-2.0
//
// Puts one sample of the node together: counters of the kernel side by pod, memory and pressure.
// Called by main.cc, once a second; one thread only.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "nodeagent/cgroup_tree.h"
#include "nodeagent/kernel_counters.h"
#include "nodeagent/kernel_files.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

struct CollectorOptions {
  std::string proc = "/proc";
  // Events tell of every cgroup; a walk now and then finds what a full event ring has hidden.
  std::chrono::seconds walk_interval{10};
  std::chrono::milliseconds tombstone{2000};
};

class Collector {
 public:
  // `kernel` and `clock` outlive the collector.
  Collector(CollectorOptions options, CgroupLayout layout, KernelCounters& kernel,
            const Clock& clock);

  // The first walk. Errors: kNotFound when the kubelet's directory is gone.
  Status Start();
  // Handles events until the deadline; flushes the CPUs when a task was moved into a pod.
  void WaitUntil(MonotonicTime deadline);
  // Errors: none that lose the BPF counters; unreadable files leave their signal out.
  Sample Take();
  size_t pods() const { return tree_.pods(); }

 private:
  void HandleEvents();
  void WalkWhenDue(MonotonicTime now);
  MemoryGauges ReadMemory(const PodTotals& pod);

  const CollectorOptions options_;
  KernelCounters& kernel_;
  const Clock& clock_;
  CgroupTree tree_;
  std::map<std::string, MemoryFiles> memory_files_;  // by pod UID
  std::vector<CgroupEvent> events_;
  uint64_t events_lost_ = 0;
  MonotonicTime last_walk_{}, last_take_{};
  bool walk_failed_ = false;
};

}  // namespace longshore::nodeagent

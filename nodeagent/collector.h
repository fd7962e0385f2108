// SPDX-License-Identifier: Apache-2.0
//
// Puts one sample of the node together: counters of the kernel side by pod, what only files tell,
// and now and then a comparison of both. Called by the daemon's thread once a second; one thread
// only, except Watch().
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "nodeagent/audit.h"
#include "nodeagent/cgroup_gauges.h"
#include "nodeagent/cgroup_tree.h"
#include "nodeagent/kernel_counters.h"
#include "nodeagent/kernel_files.h"
#include "nodeagent/node_files.h"
#include "nodeagent/sample.h"
#include "nodeagent/sysfs.h"

namespace longshore::nodeagent {

struct CollectorOptions {
  std::string proc = "/proc";
  std::string sysfs = "/sys";            // for names of block devices: any will do
  std::string host_sysfs = "/host/sys";  // for network interfaces: the host's
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
  // Handles events until the deadline, or until the kernel side is woken; flushes the CPUs when
  // tasks were moved into pods, at most every 5 ms, as each flush interrupts every busy CPU.
  void WaitUntil(MonotonicTime deadline);
  // Errors: none that lose the BPF counters; unreadable files leave their signal out.
  Sample Take();
  // The pods to say preemptions of, and to read all of each time; from the next sample on.
  // Thread-safe.
  void Watch(std::vector<std::string> pod_uids);
  // Signals that no file tells here: "memory", "throttling", "pressure", "interfaces".
  std::vector<std::string> MissingGauges();
  size_t pods() const { return tree_.pods(); }
  size_t indexed_cgroups() const { return tree_.indexed_cgroups(); }

 private:
  void HandleEvents();
  void Flush();
  MonotonicTime NextFlush() const;
  void WalkWhenDue(MonotonicTime now);
  void BeginAuditWhenDue(MonotonicTime now);
  void TakeWatched();
  std::vector<PodSample> TakePods(MonotonicTime now);
  NodeUsage TakeNode(MonotonicTime now);
  std::optional<SelfAudit::Totals> KernelTotals(const std::string& relative_path) const;

  const CollectorOptions options_;
  KernelCounters& kernel_;
  const Clock& clock_;
  CgroupTree tree_;
  CgroupGauges gauges_;
  NodeFiles node_files_;
  NetworkInterfaces interfaces_;
  BlockDevices devices_;
  SelfAudit audit_;
  std::optional<Audit> last_audit_;
  bool taken_ = false;  // ever
  std::vector<CgroupEvent> events_;
  uint64_t events_lost_ = 0;
  MonotonicTime last_walk_{}, last_take_{}, last_flush_{};
  bool moved_ = false;  // a task, since the last flush
  bool walk_failed_ = false;
  std::unordered_set<std::string> watched_;
  Mutex mutex_;
  std::optional<std::vector<std::string>> watch_next_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::nodeagent

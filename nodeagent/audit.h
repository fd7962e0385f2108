// SPDX-License-Identifier: Apache-2.0
//
// Holds what we counted of each pod against the kernel's own totals, in production: once a minute
// the kernel's are read before and after ours, so that ours must lie between them, whatever runs
// meanwhile. What differs is said as the worst of all pods. Called by collector.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

class SelfAudit {
 public:
  struct Totals {
    uint64_t cpu_ns = 0;
    std::optional<uint64_t> io_bytes;
  };
  // The kernel's totals of the cgroup at this path below `kubepods`; nothing when it is gone.
  using Read = std::function<std::optional<Totals>(const std::string& relative_path)>;

  explicit SelfAudit(Read read, std::chrono::seconds period = std::chrono::seconds(60))
      : read_(std::move(read)), period_(period) {}

  bool Due(MonotonicTime now) const { return !last_ || now - *last_ >= period_; }
  // To be called right before our counters are read: reads the kernel's of these pods.
  void Before(const std::vector<PodPath>& pods);
  // To be called right after, with our counters; does nothing without Before(). A result from the
  // second time on; pods that came since the last are compared from the next.
  std::optional<Audit> After(const std::vector<PodSample>& pods, MonotonicTime now, WallTime wall);

 private:
  struct Point {
    Totals before, ours, after;
  };
  static void Compare(const std::string& uid, const Point& then, const Point& now, Audit& audit);

  const Read read_;
  const std::chrono::seconds period_;
  std::optional<MonotonicTime> last_;
  bool begun_ = false;
  std::map<std::string, Totals> before_;
  std::map<std::string, Point> points_;  // of the last audit, by UID
};

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// The newest pressure of each node, from the sums in its agent's reports. Read by steering, sent to
// the extenders each second by the pressure hub.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/messages/agent.pb.h"
#include "common/messages/placement.pb.h"
#include "common/placement/ranking.h"
#include "controller/report_order.h"

namespace longshore::controller {

// Thread-safe.
class PressureStore {
 public:
  explicit PressureStore(const Clock& clock = Clock::Real());

  // A report that does not follow another (report_order.h) gives no rates: it only sets the
  // baseline.
  void Add(const AgentStream& from, const messages::UsageReport& report);
  placement::PressureMap Get() const;
  messages::PressureSnapshot Snapshot() const;

 private:
  // What is read of the newest report.
  struct Counters {
    uint64_t cpu_ns = 0;
    bool has_pressure = false;
    uint64_t cpu_some_us = 0, io_some_us = 0, memory_some_us = 0;
    uint64_t memory_available_bytes = 0, memory_capacity_bytes = 0, cpu_capacity_milli = 0;
  };
  static Counters Read(const messages::NodeCounters& node);
  static placement::Pressure Rates(const Counters& before, const Counters& now,
                                   std::chrono::nanoseconds length);
  struct Node {
    ReportOrder order;
    Counters last;
    placement::Pressure pressure;
    bool known = false;
    MonotonicTime made;  // the report that `pressure` is of
  };
  const Clock& clock_;
  mutable Mutex mutex_;
  std::unordered_map<std::string, Node> nodes_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller

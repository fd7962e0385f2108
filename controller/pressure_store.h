// SPDX-License-Identifier: Apache-2.0
//
// The newest pressure of each node, from the sums in its agent's reports. Read by steering, sent to
// the extenders each second by the pressure hub.
#pragma once

#include <map>
#include <string>

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
  struct Node {
    ReportOrder order;
    messages::NodeCounters last;
    placement::Pressure pressure;
    bool known = false;
    MonotonicTime made;  // the report that `pressure` is of
  };
  const Clock& clock_;
  mutable Mutex mutex_;
  std::map<std::string, Node> nodes_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller

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

namespace longshore::controller {

// Thread-safe.
class PressureStore {
 public:
  explicit PressureStore(const Clock& clock = Clock::Real());

  // The first report of an epoch gives no rates, so it only sets the baseline.
  void Add(const std::string& node, const std::string& epoch, const messages::UsageReport& report);
  placement::PressureMap Get() const;
  messages::PressureSnapshot Snapshot() const;

 private:
  struct Node {
    std::string epoch;
    int64_t interval_end_ns = 0;
    messages::NodeCounters last;
    placement::Pressure pressure;
    bool known = false;
    MonotonicTime heard;
  };
  const Clock& clock_;
  mutable Mutex mutex_;
  std::map<std::string, Node> nodes_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// Ends an operation that is stuck, or that holds a snapshot of the database for too long. The
// limits come with the assignment (spec.operationLimits of the PodPolicy) and are kept here, in the
// worker, so that they hold while the controller is away.
#pragma once

#include <chrono>
#include <optional>
#include <thread>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "worker/cancellation.h"
#include "worker/outcome.h"
#include "worker/progress.h"

namespace longshore::worker {

// Zero: no limit.
struct OperationLimits {
  std::chrono::seconds no_progress{0};
  std::chrono::seconds snapshot{0};
};

// What is over its limit, if anything is. Stalled may be tried again: it may be the way to the
// repository. SnapshotExpired may not: it would hold a snapshot for as long again.
std::optional<Failure> Overdue(const OperationLimits& limits, const ProgressBoard::Standing& now);

// Looks once a second, on a thread of its own, and cancels the scope when something is over its
// limit: whatever the operation waits for is then stopped, and its sessions end. All arguments
// outlive it.
class Watchdog {
 public:
  Watchdog(const OperationLimits& limits, ProgressBoard& progress, Cancellation& scope);
  // Why it ended the operation, if it did.
  std::optional<Failure> verdict() const;

 private:
  void Loop(const std::stop_token& stop);

  const OperationLimits limits_;
  ProgressBoard& progress_;
  Cancellation& scope_;
  mutable Mutex mutex_;
  std::optional<Failure> verdict_ LS_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace longshore::worker

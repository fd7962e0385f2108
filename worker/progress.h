// SPDX-License-Identifier: Apache-2.0
//
// How far the running operation is. Its threads write here; the session reads once a second and
// tells the controller.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/messages/worker.pb.h"

namespace longshore::worker {

inline constexpr char kPhaseConnecting[] = "Connecting";
inline constexpr char kPhaseSnapshot[] = "Snapshot";
inline constexpr char kPhaseCopying[] = "Copying";
inline constexpr char kPhaseHashing[] = "Hashing";
inline constexpr char kPhaseCommitting[] = "Committing";
inline constexpr char kPhaseRestoring[] = "Restoring";
inline constexpr char kPhaseComparing[] = "Comparing";
inline constexpr char kPhaseReading[] = "Reading";

// Thread-safe.
class ProgressBoard {
 public:
  explicit ProgressBoard(const Clock& clock) : clock_(clock) {}

  // A phase counts its bytes from zero.
  void Enter(std::string phase, uint64_t bytes_total = 0);
  void SetBytes(uint64_t done);
  void SetItems(uint64_t done, uint64_t total);
  // Rate over the last ten seconds and the remaining time by it. bytes_total is an estimate: it
  // never stands below what is done. Call it regularly: each call is a sample for the rate.
  messages::Progress Report();

 private:
  const Clock& clock_;
  Mutex mutex_;
  messages::Progress progress_ LS_GUARDED_BY(mutex_);
  std::deque<std::pair<MonotonicTime, uint64_t>> samples_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::worker

// SPDX-License-Identifier: Apache-2.0
//
// How far the running operation is. Its threads write here; the session reads once a second and
// tells the controller.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
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
  explicit ProgressBoard(const Clock& clock) : clock_(clock), changed_(clock.Monotonic()) {}

  // A phase counts its bytes from zero.
  void Enter(std::string phase, uint64_t bytes_total = 0);
  void SetBytes(uint64_t done);
  void SetItems(uint64_t done, uint64_t total);
  // A transaction with an exported snapshot is open from now on, or no more. Enter leaves it as it
  // is.
  void HoldSnapshot(bool held);
  struct Standing {
    std::string phase;
    uint64_t bytes_done = 0;
    std::chrono::nanoseconds idle{0};                  // since phase, bytes or items last changed
    std::optional<std::chrono::nanoseconds> snapshot;  // how long one has been held
  };
  Standing Stand() const;
  // Rate over the last ten seconds and the remaining time by it. bytes_total is an estimate: it
  // never stands below what is done. Call it regularly: each call is a sample for the rate.
  messages::Progress Report();

 private:
  const Clock& clock_;
  mutable Mutex mutex_;
  messages::Progress progress_ LS_GUARDED_BY(mutex_);
  std::deque<std::pair<MonotonicTime, uint64_t>> samples_ LS_GUARDED_BY(mutex_);
  MonotonicTime changed_ LS_GUARDED_BY(mutex_);
  std::optional<MonotonicTime> snapshot_since_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::worker

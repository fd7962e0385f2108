// SPDX-License-Identifier: Apache-2.0
#include "worker/watchdog.h"

#include <condition_variable>
#include <mutex>
#include <string>

#include "common/base/log.h"

namespace longshore::worker {
namespace {

using std::chrono::seconds;

constexpr seconds kLook{1};

std::string Whole(std::chrono::nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<seconds>(time).count()) + " s";
}

}  // namespace

std::optional<Failure> Overdue(const OperationLimits& limits, const ProgressBoard::Standing& now) {
  if (limits.snapshot.count() > 0 && now.snapshot && *now.snapshot >= limits.snapshot) {
    return Failure{kSnapshotExpired,
                   "it held a snapshot of the database for " + Whole(*now.snapshot) +
                       ", which spec.operationLimits.snapshotSeconds of the PodPolicy does not "
                       "allow; its sessions were ended",
                   false};
  }
  if (limits.no_progress.count() > 0 && now.idle >= limits.no_progress) {
    return Failure{kStalled,
                   "no progress for " + Whole(now.idle) + " in phase " + now.phase + " (after " +
                       std::to_string(now.bytes_done) +
                       " bytes; spec.operationLimits."
                       "noProgressSeconds of the PodPolicy); its sessions were ended",
                   true};
  }
  return std::nullopt;
}

Watchdog::Watchdog(const OperationLimits& limits, ProgressBoard& progress, Cancellation& scope)
    : limits_(limits), progress_(progress), scope_(scope) {
  if (limits_.no_progress.count() > 0 || limits_.snapshot.count() > 0) {
    thread_ = std::jthread([this](const std::stop_token& stop) { Loop(stop); });
  }
}

std::optional<Failure> Watchdog::verdict() const {
  MutexLock lock(mutex_);
  return verdict_;
}

void Watchdog::Loop(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock sleep(mutex);
  while (!wake.wait_for(sleep, stop, kLook, [&] { return stop.stop_requested(); })) {
    auto overdue = Overdue(limits_, progress_.Stand());
    if (!overdue) continue;
    LogWarn("operation ended", {{"class", overdue->error_class}, {"why", overdue->message}});
    {
      MutexLock lock(mutex_);
      verdict_ = std::move(overdue);
    }
    scope_.Cancel();
    return;
  }
}

}  // namespace longshore::worker

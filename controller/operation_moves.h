// SPDX-License-Identifier: Apache-2.0
//
// The transitions of an Operation's status, each a function of the object in memory. Pure: whoever
// calls them writes the status afterwards. docs/pod-states.md has the table.
#pragma once

#include <string>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/base/clock.h"
#include "common/messages/worker.pb.h"

namespace longshore::controller {

inline bool Waiting(const api::Operation& operation) {
  return operation.status.state.empty() || operation.status.state == api::kQueued;
}
// It wants a pod, now or after what interrupted it is cleared away.
inline bool WantsPod(const api::Operation& operation) {
  return (Waiting(operation) || operation.status.state == api::kInterrupted) &&
         !operation.spec.cancel;
}
// Preparing, Running or Committing: a pod has it.
bool Active(const api::Operation& operation);
// Whether it is that pod, and for this attempt: both say so.
bool Holds(const api::BackupPod& row, const api::Operation& operation);

// -> Queued, for the first time or for another attempt.
void MoveToQueued(api::Operation& operation, const std::string& reason, const std::string& message,
                  const std::string& now);
// Stays Queued, and says what for. Returns whether that is news.
bool SayWaiting(api::Operation& operation, const std::string& reason, const std::string& message,
                const std::string& now);
// -> Preparing on a pod, as the next attempt.
void MoveToPreparing(api::Operation& operation, const std::string& pod, const std::string& node,
                     int64_t epoch, const std::string& now);
// -> Running or Committing, with the progress; returns whether the state changed.
bool TakeProgress(api::Operation& operation, const api::OperationProgress& progress);
// -> Succeeded, Failed, Cancelled, or Queued again when it may be retried.
void TakeResult(api::Operation& operation, const messages::OperationResult& result,
                const std::string& now);
// -> Interrupted: the pod was lost under it.
void MoveToInterrupted(api::Operation& operation, const std::string& message,
                       const std::string& now);
// -> Cancelled before or between attempts.
void MoveToCancelled(api::Operation& operation, const std::string& reason,
                     const std::string& message, const std::string& now);
// -> Failed with an error that is not the worker's.
void MoveToFailed(api::Operation& operation, const std::string& error_class,
                  const std::string& message, const std::string& now);

api::OperationProgress FromMessage(const messages::Progress& progress, const std::string& time);

// How long a queued operation waits after its last attempt failed; none before the first. Longer
// after each, but for one or two that were refused at the door: a wrong address is told in seconds.
std::chrono::seconds RetryDelay(const api::OperationStatus& status);
// What is left of it; zero: it may be tried.
std::chrono::nanoseconds RetryIn(const api::Operation& operation, WallTime now);

}  // namespace longshore::controller

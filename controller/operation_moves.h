// SPDX-License-Identifier: Apache-2.0
//
// The transitions of an Operation's status, each a function of the object in memory. Pure: whoever
// calls them writes the status afterwards. docs/pod-states.md has the table.
#pragma once

#include <string>

#include "common/api/operation.h"
#include "common/messages/worker.pb.h"

namespace longshore::controller {

inline bool Waiting(const api::Operation& operation) {
  return operation.status.state.empty() || operation.status.state == api::kQueued;
}
// Preparing, Running or Committing: a pod has it.
bool Active(const api::Operation& operation);

// -> Queued, for the first time or for another attempt.
void MoveToQueued(api::Operation& operation, const std::string& reason, const std::string& message,
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

// How long a retried operation waits after its n-th attempt failed.
std::chrono::seconds RetryDelay(int attempt);

}  // namespace longshore::controller

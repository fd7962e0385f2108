// SPDX-License-Identifier: Apache-2.0
#include "controller/operation_moves.h"

#include <algorithm>
#include <cctype>

#include "common/base/clock.h"
#include "common/base/strings.h"
#include "controller/clip.h"
#include "controller/pod_names.h"
#include "controller/waited.h"

namespace longshore::controller {
namespace {

// Nothing but a connection that is refused, or a name that nobody knows, fails so early.
constexpr std::chrono::seconds kAtTheDoor{2};
constexpr int kQuickRetries = 2;
// Of a worker's: an object that has grown past what the API server takes could never end.
constexpr size_t kLongestWord = 128;

unsigned char Byte(char c) { return static_cast<unsigned char>(c); }

// Condition Succeeded: Unknown while it goes on. Returns whether it has changed.
bool Say(api::Operation& operation, const char* status, const std::string& reason,
         const std::string& message, const std::string& now) {
  operation.status.observed_generation = operation.metadata.generation;
  return api::SetCondition(
      operation.status.conditions,
      {"Succeeded", status, reason, Clip(message), "", operation.metadata.generation}, now);
}

// What has ended does nothing any more, and has done what its copy holds: progress is written once
// in ten seconds, so that the last report is an old one.
void SettleProgress(api::OperationStatus& status) {
  status.progress.phase.clear();
  status.progress.bytes_per_second = 0;
  status.progress.eta_seconds = -1;
  if (status.state != api::kSucceeded || !status.copy) return;
  status.progress.bytes_done = status.progress.bytes_total = status.copy->bytes;
  status.progress.items_done = status.progress.items_total = status.copy->items;
}

void End(api::Operation& operation, const char* state, const std::string& reason,
         const std::string& message, const std::string& now) {
  operation.status.state = state;
  SettleProgress(operation.status);
  operation.status.completion_time = now;
  Say(operation, state == std::string(api::kSucceeded) ? "True" : "False", reason, message, now);
}

api::CopySummary FromMessage(const messages::CopyRecord& copy) {
  api::CopySummary summary;
  summary.id = copy.id();
  summary.data_snapshot = Clip(copy.data_snapshot(), kLongestWord);
  summary.record_snapshot = copy.record_snapshot();
  summary.manifest_digest = copy.manifest_digest();
  summary.record_digest = copy.record_digest();
  summary.source_version = Clip(copy.source_version(), kLongestWord);
  summary.tool_version = Clip(copy.tool_version(), kLongestWord);
  summary.position = Clip(copy.position(), kLongestWord);
  summary.bytes = static_cast<int64_t>(copy.bytes());
  summary.items = static_cast<int64_t>(copy.items());
  summary.rows = static_cast<int64_t>(copy.rows());
  if (copy.time_unix_us() > 0) {
    summary.time = FormatTime(WallTime(std::chrono::duration_cast<WallTime::duration>(
        std::chrono::microseconds(copy.time_unix_us()))));
  }
  return summary;
}

// Restores are held to these, so without them there is no copy to speak of.
bool NamesItsRecord(const messages::CopyRecord& copy) {
  return IsSha256(copy.record_snapshot()) && IsSha256(copy.manifest_digest()) &&
         (copy.record_digest().empty() || IsSha256(copy.record_digest()));
}

// Becomes the reason of a condition, which the API server takes in one form only: another word
// would be refused each time it is written, and the operation would never end.
std::string ErrorClass(const std::string& said) {
  const bool word =
      !said.empty() && said.size() <= 64 && std::isalpha(Byte(said[0])) != 0 &&
      std::all_of(said.begin(), said.end(), [](char c) { return std::isalnum(Byte(c)) != 0; });
  return word ? said : "Internal";
}

}  // namespace

bool Active(const api::Operation& operation) {
  const std::string& state = operation.status.state;
  return state == api::kPreparing || state == api::kRunning || state == api::kCommitting;
}

bool Holds(const api::BackupPod& row, const api::Operation& operation) {
  const auto& lease = row.status.lease;
  return lease && lease->operation == operation.metadata.name &&
         operation.status.pod == row.metadata.name && operation.status.epoch == lease->epoch;
}

void MoveToQueued(api::Operation& operation, const std::string& reason, const std::string& message,
                  const std::string& now) {
  operation.status.state = api::kQueued;
  operation.status.queued_time = now;
  operation.status.progress = {};
  Say(operation, "Unknown", reason, message, now);
}

bool SayWaiting(api::Operation& operation, const std::string& reason, const std::string& message,
                const std::string& now) {
  return Say(operation, "Unknown", reason, message, now);
}

void MoveToPreparing(api::Operation& operation, const std::string& pod, const std::string& node,
                     int64_t epoch, const std::string& now) {
  operation.status.state = api::kPreparing;
  operation.status.attempt += 1;
  operation.status.pod = pod;
  operation.status.node = node;
  operation.status.epoch = epoch;
  operation.status.start_time = now;
  operation.status.progress = {};
  operation.status.error.reset();
  Say(operation, "Unknown", "Assigned", "assigned to pod " + pod, now);
}

bool TakeProgress(api::Operation& operation, const api::OperationProgress& progress) {
  const std::string before = operation.status.state;
  operation.status.state = progress.phase == "Committing" ? api::kCommitting : api::kRunning;
  const api::OperationProgress last = operation.status.progress;
  operation.status.progress = progress;
  if (progress.phase == "Committing" && progress.bytes_done == 0) {
    // A worker that only commits counts nothing any more; what was copied stays copied.
    operation.status.progress.bytes_done = last.bytes_done;
    operation.status.progress.bytes_total = last.bytes_total;
    operation.status.progress.items_done = last.items_done;
    operation.status.progress.items_total = last.items_total;
  }
  return operation.status.state != before;
}

void TakeResult(api::Operation& operation, const messages::OperationResult& result,
                const std::string& now) {
  if (result.succeeded() && operation.spec.type == api::kBackup && !NamesItsRecord(result.copy())) {
    MoveToFailed(operation, "Internal",
                 "the worker says that it succeeded, but not which record it wrote", now);
    return;
  }
  if (result.has_copy()) {
    operation.status.copy = FromMessage(result.copy());
    // Ours to know: rights to restore hang on which copy is of which source.
    operation.status.copy->id = operation.spec.type == api::kBackup ? CopyId(operation.metadata.uid)
                                                                    : operation.spec.copy_id;
  }
  operation.status.server_version = Clip(result.server_version(), kLongestWord);
  if (result.succeeded()) {
    operation.status.error.reset();
    End(operation, api::kSucceeded, "Done", operation.spec.type + " succeeded", now);
    return;
  }
  operation.status.copy.reset();
  const std::string error_class = ErrorClass(result.error_class());
  operation.status.error =
      api::OperationError{error_class, Clip(result.error_message()), result.retryable()};
  if (error_class == "Cancelled") {
    End(operation, api::kCancelled, "Cancelled", result.error_message(), now);
  } else if (result.retryable() && !operation.spec.cancel &&
             operation.status.attempt < operation.spec.max_attempts) {
    MoveToQueued(operation, "Retrying", error_class + ": " + result.error_message(), now);
  } else {
    End(operation, api::kOperationFailed, error_class, result.error_message(), now);
  }
}

void MoveToInterrupted(api::Operation& operation, const std::string& message,
                       const std::string& now) {
  operation.status.state = api::kInterrupted;
  operation.status.error = api::OperationError{"Interrupted", Clip(message), true};
  Say(operation, "Unknown", "Interrupted", message, now);
}

void MoveToCancelled(api::Operation& operation, const std::string& reason,
                     const std::string& message, const std::string& now) {
  operation.status.error = api::OperationError{"Cancelled", Clip(message), false};
  End(operation, api::kCancelled, reason, message, now);
}

void MoveToFailed(api::Operation& operation, const std::string& error_class,
                  const std::string& message, const std::string& now) {
  operation.status.error = api::OperationError{error_class, Clip(message), false};
  End(operation, api::kOperationFailed, error_class, message, now);
}

api::OperationProgress FromMessage(const messages::Progress& progress, const std::string& time) {
  api::OperationProgress out;
  out.phase = Clip(progress.phase(), kLongestWord);
  out.bytes_done = static_cast<int64_t>(progress.bytes_done());
  out.bytes_total = static_cast<int64_t>(progress.bytes_total());
  out.items_done = static_cast<int64_t>(progress.items_done());
  out.items_total = static_cast<int64_t>(progress.items_total());
  out.bytes_per_second = static_cast<int64_t>(progress.bytes_per_second());
  out.eta_seconds = progress.eta_seconds();
  out.time = time;
  return out;
}

std::chrono::seconds RetryDelay(const api::OperationStatus& status) {
  const auto began = ParseTime(status.start_time), ended = ParseTime(status.queued_time);
  const bool refused = status.error && status.error->error_class == "Unreachable" && began &&
                       ended && *ended - *began < kAtTheDoor;
  const std::chrono::seconds step(refused && status.attempt <= kQuickRetries ? 1 : 5);
  return step * std::clamp(status.attempt, 0, 12);
}

std::chrono::nanoseconds RetryIn(const api::Operation& operation, WallTime now) {
  if (operation.status.attempt == 0) return std::chrono::nanoseconds(0);
  const auto waited = Waited(operation.status.queued_time, now);
  return std::max<std::chrono::nanoseconds>(RetryDelay(operation.status) - waited,
                                            std::chrono::nanoseconds(0));
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// Operation: one backup, restore, verify or check, done by one worker per part.
#pragma once

#include "common/api/meta.h"

namespace longshore::api {

inline constexpr char kBackup[] = "Backup";
inline constexpr char kRestore[] = "Restore";
inline constexpr char kVerify[] = "Verify";
inline constexpr char kCheck[] = "Check";

// States of an Operation. Terminal: Succeeded, Failed, Cancelled; Interrupted is retried until
// spec.maxAttempts, then becomes Failed with error class Interrupted.
inline constexpr char kQueued[] = "Queued";
inline constexpr char kPreparing[] = "Preparing";
inline constexpr char kRunning[] = "Running";
inline constexpr char kCommitting[] = "Committing";
inline constexpr char kSucceeded[] = "Succeeded";
inline constexpr char kOperationFailed[] = "Failed";
inline constexpr char kCancelled[] = "Cancelled";
inline constexpr char kInterrupted[] = "Interrupted";

struct RestoreTarget {
  std::string part;                 // database or directory to write; empty: as it was named
  std::string overwrite = "Never";  // "Never": refuse a target that is not empty
};
template <class A>
void Describe(A& a, RestoreTarget& v) {
  a("part", v.part);
  a("overwrite", v.overwrite);
}

struct OperationSpec {
  std::string type;            // kBackup, …
  NamespacedRef source_ref;    // what is read (Backup, Check) or written (Restore)
  NameRef request_ref;         // whose pods may do it
  NameRef pod_ref;             // a BackupPod acquired for it; empty: any of the request
  std::string part;            // one database or directory
  std::string copy_id;         // for Restore and Verify
  RestoreTarget target;        // for Restore
  bool cancel = false;         // set once, never unset
  std::string manager_job_id;  // the storage manager's own name for it
  int max_attempts = 3;
};
template <class A>
void Describe(A& a, OperationSpec& v) {
  a("type", v.type);
  a("sourceRef", v.source_ref);
  a("requestRef", v.request_ref);
  a("podRef", v.pod_ref);
  a("part", v.part);
  a("copyID", v.copy_id);
  a("target", v.target);
  a("cancel", v.cancel);
  a("managerJobID", v.manager_job_id);
  a("maxAttempts", v.max_attempts);
}

struct OperationProgress {
  std::string phase;        // what the worker does now: "Connecting", "Copying", "Hashing", …
  int64_t bytes_done = 0;   // of the source, read so far
  int64_t bytes_total = 0;  // estimate; 0: unknown
  int64_t items_done = 0, items_total = 0;  // tables or files
  int64_t bytes_per_second = 0;
  int64_t eta_seconds = -1;  // -1: unknown
  std::string time;          // of this report
};
template <class A>
void Describe(A& a, OperationProgress& v) {
  a("phase", v.phase);
  a("bytesDone", v.bytes_done);
  a("bytesTotal", v.bytes_total);
  a("itemsDone", v.items_done);
  a("itemsTotal", v.items_total);
  a("bytesPerSecond", v.bytes_per_second);
  a("etaSeconds", v.eta_seconds);
  a("time", v.time);
}

// error class: "Authentication", "Unreachable", "NotFound", "NotEmpty", "DumpFailed", "Repository",
// "Mismatch", "Cancelled", "Interrupted", "OutOfMemory", "Stalled", "SnapshotExpired",
// "Configuration", "Internal".
inline constexpr char kOutOfMemoryClass[] = "OutOfMemory";
struct OperationError {
  std::string error_class;
  std::string message;
  bool retryable = false;
};
template <class A>
void Describe(A& a, OperationError& v) {
  a("class", v.error_class);
  a("message", v.message);
  a("retryable", v.retryable);
}

// One finished copy, as its record in the repository says.
struct CopySummary {
  std::string id;                              // "copy-…", also a tag in the repository
  std::string data_snapshot, record_snapshot;  // restic snapshot ids
  std::string manifest_digest;                 // sha256 of the manifest document
  std::string record_digest;  // sha256 of the record's text; empty: of an older worker
  std::string source_version, tool_version, position;  // e.g. server version, pg_dump's, LSN
  int64_t bytes = 0;                                   // logical bytes of the dump stream or files
  int64_t items = 0;                                   // tables or files
  int64_t rows = 0;                                    // databases only
  std::string time;                                    // of the snapshot
};
template <class A>
void Describe(A& a, CopySummary& v) {
  a("id", v.id);
  a("dataSnapshot", v.data_snapshot);
  a("recordSnapshot", v.record_snapshot);
  a("manifestDigest", v.manifest_digest);
  a("recordDigest", v.record_digest);
  a("sourceVersion", v.source_version);
  a("toolVersion", v.tool_version);
  a("position", v.position);
  a("bytes", v.bytes);
  a("items", v.items);
  a("rows", v.rows);
  a("time", v.time);
}

struct OperationStatus {
  int64_t observed_generation = 0;
  std::string state;  // empty: Queued
  int attempt = 0;
  std::string pod;  // BackupPod
  std::string node;
  int64_t epoch = 0;
  OperationProgress progress;
  std::optional<OperationError> error;
  std::optional<CopySummary> copy;  // Backup: what was made; Restore, Verify: what was compared
  std::string server_version;       // Check: of the source
  std::string queued_time, start_time, completion_time;
  std::vector<Condition> conditions;  // Succeeded
};
template <class A>
void Describe(A& a, OperationStatus& v) {
  a("observedGeneration", v.observed_generation);
  a("state", v.state);
  a("attempt", v.attempt);
  a("pod", v.pod);
  a("node", v.node);
  a("epoch", v.epoch);
  a("progress", v.progress);
  a("error", v.error);
  a("copy", v.copy);
  a("serverVersion", v.server_version);
  a("queuedTime", v.queued_time);
  a("startTime", v.start_time);
  a("completionTime", v.completion_time);
  a("conditions", v.conditions);
}
using Operation = Object<OperationSpec, OperationStatus>;

// Its first one while nobody has written any.
inline std::string StateOf(const Operation& operation) {
  return operation.status.state.empty() ? kQueued : operation.status.state;
}

inline bool Terminal(const std::string& state) {
  return state == kSucceeded || state == kOperationFailed || state == kCancelled;
}

}  // namespace longshore::api

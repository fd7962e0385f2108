// SPDX-License-Identifier: Apache-2.0
//
// One assignment from its first connection to its result. Called by main.cc on a thread of its own;
// knows nothing of streams and sessions. The kinds of source come in as functions (kKinds in
// operation.cc).
#pragma once

#include <map>
#include <string>

#include "common/messages/worker.pb.h"
#include "worker/cancellation.h"
#include "worker/progress.h"
#include "worker/record.h"
#include "worker/restic.h"

namespace longshore::worker {

// What the worker was started with.
struct Settings {
  std::string kind;
  std::string scratch, secrets_dir, source_dir, target_dir;
  std::string host_name;                       // of the pod: in restic's snapshots and locks
  std::string cgroup_root = "/sys/fs/cgroup";  // of the worker's container
  std::map<std::string, std::string> tools;
};

// What an operation works with. All of it outlives the operation.
struct OperationContext {
  const messages::Assign& assign;
  const Settings& settings;
  Reaper& reaper;
  ProgressBoard& progress;
  const Cancellation& cancellation;
  SecretFolder& secrets;
  Redactor& redactor;
  Restic& restic;
};

// What an operation found out.
struct OperationReport {
  std::string server_version;       // Check
  std::optional<FoundRecord> copy;  // made or compared with
};
using OperationFunction = Outcome<OperationReport> (*)(const OperationContext&);

// Runs it to its end and leaves nothing behind: no process, session, lock or secret.
messages::OperationResult RunOperation(const messages::Assign& assign, const Settings& settings,
                                       Reaper& reaper, ProgressBoard& progress,
                                       const Cancellation& cancellation);

// Kinds of source.
Outcome<OperationReport> CheckPostgresqlSource(const OperationContext& context);
Outcome<OperationReport> BackupPostgresql(const OperationContext& context);
Outcome<OperationReport> RestorePostgresql(const OperationContext& context);
Outcome<OperationReport> VerifyPostgresql(const OperationContext& context);
Outcome<OperationReport> CheckFilesystem(const OperationContext& context);
Outcome<OperationReport> BackupFilesystem(const OperationContext& context);
Outcome<OperationReport> RestoreFilesystem(const OperationContext& context);
Outcome<OperationReport> VerifyFilesystem(const OperationContext& context);

}  // namespace longshore::worker

// SPDX-License-Identifier: Apache-2.0
#include "worker/operation.h"

#include <algorithm>
#include <cctype>

#include "common/base/log.h"
#include "common/base/strings.h"
#include "worker/memory_watch.h"
#include "worker/watchdog.h"

namespace longshore::worker {
namespace {

struct Kind {
  const char* kind;
  const char* type;
  OperationFunction run;
};
constexpr Kind kKinds[] = {
    {"postgresql", "Check", CheckPostgresqlSource}, {"postgresql", "Backup", BackupPostgresql},
    {"postgresql", "Restore", RestorePostgresql},   {"postgresql", "Verify", VerifyPostgresql},
    {"filesystem", "Check", CheckFilesystem},       {"filesystem", "Backup", BackupFilesystem},
    {"filesystem", "Restore", RestoreFilesystem},   {"filesystem", "Verify", VerifyFilesystem},
};

// Ids become tags and file names: only what both take without quoting.
bool PlainId(const std::string& id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_';
  });
}

std::string KindOf(const messages::Assign& assign) {
  switch (assign.source_case()) {
    case messages::Assign::kPostgresql:
      return "postgresql";
    case messages::Assign::kFilesystem:
      return "filesystem";
    case messages::Assign::SOURCE_NOT_SET:
      break;
  }
  return "";
}

Outcome<OperationFunction> Choose(const messages::Assign& assign, const Settings& settings) {
  if (!PlainId(assign.operation())) return Failure{kConfiguration, "operation: not a plain name"};
  const bool copies = assign.type() != "Check";
  if (copies && !PlainId(assign.copy_id())) {
    return Failure{kConfiguration, "copyID: letters, digits, '-', '.', '_' only"};
  }
  const std::string kind = KindOf(assign);
  if (kind != settings.kind) {
    return Failure{kConfiguration,
                   "a source of kind '" + kind + "' in an image for '" + settings.kind + "'"};
  }
  for (const Kind& known : kKinds) {
    if (kind == known.kind && assign.type() == known.type) return known.run;
  }
  return Failure{kConfiguration, "type: '" + assign.type() + "' is not known here"};
}

// restic's garbage collector lets its heap grow to twice of what lives, unless it knows of a limit:
// then it collects before that. The rest is left to the dump, the worker and the page cache.
std::map<std::string, std::string> ResticEnvironment(const Settings& settings) {
  constexpr int64_t kPercent = 80;
  auto environment = BaseEnvironment(settings.scratch);
  if (const auto limit = MemoryLimit(settings.cgroup_root)) {
    environment["GOMEMLIMIT"] = std::to_string(*limit / 100 * kPercent);
  }
  return environment;
}

Outcome<OperationReport> RunWithSecrets(const messages::Assign& assign, const Settings& settings,
                                        Reaper& reaper, ProgressBoard& progress,
                                        const Cancellation& cancellation, Redactor& redactor) {
  LS_ASSIGN_OR_RETURN(const OperationFunction run, Choose(assign, settings));
  LS_ASSIGN_OR_RETURN(const std::unique_ptr<SecretFolder> secrets,
                      SecretFolder::Create(settings.secrets_dir, assign.epoch()));
  LS_ASSIGN_OR_RETURN(const RepositoryAccess access,
                      WriteRepositorySecrets(*secrets, redactor, assign.repository()));
  Restic restic(
      reaper, access,
      {settings.scratch + "/restic-cache", settings.host_name, ResticEnvironment(settings)},
      cancellation);
  const OperationContext context{assign,       settings, reaper,   progress,
                                 cancellation, *secrets, redactor, restic};
  return run(context);
}

}  // namespace

messages::OperationResult RunOperation(const messages::Assign& assign, const Settings& settings,
                                       Reaper& reaper, ProgressBoard& progress,
                                       const Cancellation& cancellation) {
  progress.Enter(kPhaseConnecting);
  progress.HoldSnapshot(false);
  Redactor redactor;
  Cancellation scope(&cancellation);
  const Watchdog watchdog({std::chrono::seconds(assign.limits().no_progress_seconds()),
                           std::chrono::seconds(assign.limits().snapshot_seconds())},
                          progress, scope);
  const MemoryWatch memory(settings.cgroup_root);
  Outcome<OperationReport> outcome =
      RunWithSecrets(assign, settings, reaper, progress, scope, redactor);
  messages::OperationResult result;
  result.set_epoch(assign.epoch());
  result.set_operation(assign.operation());
  result.set_attempt(assign.attempt());
  result.set_succeeded(outcome.has_value());
  if (outcome) {
    result.set_server_version(outcome->server_version);
    if (outcome->copy) *result.mutable_copy() = ToMessage(*outcome->copy);
    return result;
  }
  Failure failure = std::move(outcome).error();
  // A tool that was killed or interrupted fails in its own way: what counts is why.
  if (auto killed = memory.Explain(failure)) failure = *std::move(killed);
  if (auto overdue = watchdog.verdict()) failure = *std::move(overdue);
  if (cancellation.cancelled()) failure = {kCancelledClass, "cancelled", false};
  result.set_error_class(failure.error_class);
  // Servers and tools say what they like, and the cut may fall inside a character: a message that
  // is not UTF-8 could never be parsed, and the result would be sent for ever.
  result.set_error_message(ToValidUtf8(redactor.Redact(failure.message).substr(0, 2000)));
  result.set_retryable(failure.retryable);
  return result;
}

}  // namespace longshore::worker

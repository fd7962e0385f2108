// SPDX-License-Identifier: Apache-2.0
//
// Check and Backup of PostgreSQL. One session exports a snapshot and hashes the tables in it while
// pg_dump, a child of restic, dumps the same snapshot; the record is written when both are done.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/operation.h"
#include "worker/postgresql_snapshot.h"
#include "worker/record_lookup.h"

namespace longshore::worker {
namespace {

constexpr std::chrono::minutes kKeepSessionAwake{2};  // idle_in_transaction_session_timeout is 10

using SessionResult = Outcome<std::unique_ptr<PsqlSession>>;

Outcome<PostgresqlAccess> AccessOf(const OperationContext& context) {
  return WritePostgresqlSecrets(context.secrets, context.redactor, context.assign.postgresql(),
                                "longshore/" + context.assign.operation());
}

// The manifest, computed beside the dump. Its session's transaction stays open (and awake) until
// Finish: pg_dump may not have imported the snapshot when the last table has been hashed.
class Hashing {
 public:
  Hashing(PsqlSession& session, const DatabaseSnapshot& snapshot, ProgressBoard& progress,
          Cancellation& scope)
      : session_(session), snapshot_(snapshot), progress_(progress), scope_(scope) {
    thread_ = std::jthread([this](const std::stop_token& stop) { Loop(stop); });
  }

  // Tells that the dump is done, and waits for the manifest.
  Outcome<Manifest> Finish() {
    thread_.request_stop();
    thread_.join();
    return std::move(manifest_);
  }
  double seconds() const { return seconds_; }

 private:
  void Loop(const std::stop_token& stop) {
    const MonotonicTime start = Clock::Real().Monotonic();
    manifest_ = ComputeManifest(session_, snapshot_, [this](size_t done) {
      progress_.SetItems(done, snapshot_.tables.size());
    });
    seconds_ = SecondsSince(start);
    if (!manifest_) scope_.Cancel();
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (manifest_ && !stop.stop_requested()) {
      if (wake.wait_for(lock, stop, kKeepSessionAwake, [&] { return stop.stop_requested(); }))
        break;
      if (auto alive = session_.Execute("SELECT 1"); !alive) {
        manifest_ = std::move(alive).error();
        scope_.Cancel();
      }
    }
  }

  PsqlSession& session_;
  const DatabaseSnapshot& snapshot_;
  ProgressBoard& progress_;
  Cancellation& scope_;
  Outcome<Manifest> manifest_ = Failure{kInternalClass, "no manifest was computed"};
  double seconds_ = 0;
  std::jthread thread_;
};

Restic::Stream DumpStream(const OperationContext& context, const PostgresqlAccess& access,
                          const PsqlSession& session, const DatabaseSnapshot& snapshot,
                          const Record& record) {
  Restic::Stream stream;
  stream.file_name = PercentEncode(context.assign.part()) + ".dump";
  stream.tags = CopyTags(record, "data");
  // -Z0: restic finds repeated blocks only in what is not compressed, and compresses by itself.
  stream.command = {"pg_dump",
                    "--format=custom",
                    "--compress=0",
                    "--no-password",
                    "--lock-wait-timeout=60000",
                    "--snapshot=" + snapshot.id,
                    "--dbname",
                    ConnectionString(context.assign.part())};
  stream.environment = access.environment;
  stream.error_file = context.settings.scratch + "/pg_dump.err";
  if (session.server_version_num() >= 140000) {
    stream.environment["PGOPTIONS"] = "-c client_connection_check_interval=5s";
  }
  return stream;
}

Outcome<BackupSummary> Dump(const OperationContext& context, const Restic::Stream& stream,
                            Cancellation& scope) {
  Outcome<BackupSummary> dumped = context.restic.BackupStream(
      stream, [&](const BackupStatus& status) { context.progress.SetBytes(status.bytes_done); },
      scope);
  if (dumped) {
    context.progress.SetBytes(dumped->bytes);
    return dumped;
  }
  scope.Cancel();
  Failure failure = std::move(dumped).error();
  if (failure.error_class == kDumpFailed) {  // the dump's own words may say why more exactly
    Failure why = ClassifyPostgresql(failure.message, "dump");
    failure.error_class = why.error_class;
    failure.retryable = why.retryable;
  }
  return failure;
}

Outcome<Record> CopyDatabase(const OperationContext& context, const PostgresqlAccess& access) {
  Cancellation scope(&context.cancellation);
  LS_ASSIGN_OR_RETURN(const std::unique_ptr<PsqlSession> session,
                      PsqlSession::Open(context.reaper, access, context.assign.part(),
                                        context.settings.scratch, scope));
  context.progress.Enter(kPhaseSnapshot);
  context.progress.HoldSnapshot(true);
  LS_ASSIGN_OR_RETURN(const DatabaseSnapshot snapshot, TakeSnapshot(*session));
  Record record = NewRecord(context.assign, "postgresql");
  const Restic::Stream stream = DumpStream(context, access, *session, snapshot, record);
  context.progress.Enter(kPhaseCopying, snapshot.TableBytes());
  context.progress.SetItems(0, snapshot.tables.size());
  const MonotonicTime start = Clock::Real().Monotonic();
  Hashing hashing(*session, snapshot, context.progress, scope);
  Outcome<BackupSummary> dumped = Dump(context, stream, scope);
  record.copy_seconds = SecondsSince(start);
  Outcome<Manifest> manifest = hashing.Finish();
  // When one half fails the other is cancelled: tell the cause, not the effect.
  if (!manifest && (dumped || manifest.error().error_class != kCancelledClass)) {
    return manifest.error();
  }
  if (!dumped) return dumped.error();
  LS_RETURN_IF_ERROR(CloseSequenceRanges(*session, *manifest));
  LS_RETURN_IF_ERROR(session->Execute("COMMIT"));
  context.progress.HoldSnapshot(false);
  record.manifest_seconds = hashing.seconds();
  record.data_snapshot = dumped->snapshot;
  record.data_path = "/" + stream.file_name;
  record.time = snapshot.time;
  record.position = snapshot.position;
  record.source_version = session->server_version();
  record.tools = context.settings.tools;
  record.bytes = static_cast<int64_t>(dumped->bytes);
  record.manifest = std::move(*manifest);
  return record;
}

// Tables that this login may not read: better said now than in the middle of the night.
Outcome<void> CheckReadable(PsqlSession& session, const std::string& database) {
  LS_ASSIGN_OR_RETURN(
      const std::vector<std::string> hidden,
      session.Query("SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN "
                    "pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND "
                    "c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> "
                    "'information_schema' AND NOT has_table_privilege(c.oid, 'SELECT') LIMIT 3"));
  // pg_read_all_data does not cover large objects; opening some for reading shows it.
  if (hidden.empty()) {
    return session.Execute(
        "SELECT count(lo_open(oid, x'40000'::int)) FROM (SELECT oid FROM "
        "pg_largeobject_metadata LIMIT 100) AS large_objects");
  }
  std::string message = "database " + database + ": this login may not read " + hidden[0];
  if (hidden.size() > 1) message += " and others";
  return Failure{kAuthentication, message + "; grant it pg_read_all_data", false};
}

}  // namespace

Outcome<OperationReport> CheckPostgresqlSource(const OperationContext& context) {
  LS_ASSIGN_OR_RETURN(const PostgresqlAccess access, AccessOf(context));
  const messages::PostgresqlSource& source = context.assign.postgresql();
  OperationReport report;
  std::vector<std::string> databases = {
      source.maintenance_database().empty() ? "postgres" : source.maintenance_database()};
  if (!context.assign.part().empty()) databases.push_back(context.assign.part());
  for (const std::string& database : databases) {
    LS_ASSIGN_OR_RETURN(const std::unique_ptr<PsqlSession> session,
                        PsqlSession::Open(context.reaper, access, database,
                                          context.settings.scratch, context.cancellation));
    LS_RETURN_IF_ERROR(CheckReadable(*session, database));
    report.server_version = session->server_version();
  }
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/true));
  return report;
}

Outcome<OperationReport> BackupPostgresql(const OperationContext& context) {
  if (context.assign.part().empty()) {
    return Failure{kConfiguration, "part: a backup needs a database", false};
  }
  LS_ASSIGN_OR_RETURN(const PostgresqlAccess access, AccessOf(context));
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/true));
  LS_ASSIGN_OR_RETURN(std::optional<FoundRecord> before,
                      FindEarlierRecord(context.restic, context.assign, "postgresql"));
  if (before) {  // an earlier attempt has committed and could not tell
    LogInfo("copy exists already", {{"copy", context.assign.copy_id()}});
    return OperationReport{"", std::move(before)};
  }
  LS_ASSIGN_OR_RETURN(Record record, CopyDatabase(context, access));
  LogInfo("database copied", {{"part", record.part},
                              {"bytes", record.bytes},
                              {"copySeconds", record.copy_seconds},
                              {"manifestSeconds", record.manifest_seconds}});
  context.progress.Enter(kPhaseCommitting);
  LS_ASSIGN_OR_RETURN(FoundRecord written, WriteRecord(context.restic, std::move(record)));
  return OperationReport{written.record.source_version, std::move(written)};
}

}  // namespace longshore::worker

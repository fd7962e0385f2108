// SPDX-License-Identifier: Apache-2.0
//
// Restore and Verify of PostgreSQL. A restore goes into a database of a name of its own, which gets
// the wanted name only when its content has been proved equal to the copy's manifest: whenever the
// worker dies, nothing that looks good is left.
#include <algorithm>

#include "common/base/log.h"
#include "common/base/strings.h"
#include "worker/operation.h"
#include "worker/postgresql_snapshot.h"
#include "worker/record_lookup.h"

namespace longshore::worker {
namespace {

using SessionPointer = std::unique_ptr<PsqlSession>;

// Everything a user can have put into a database, by the catalogues that hold it. Objects of
// extensions count through the extension; plpgsql and the schema public are in every new database.
constexpr char kUserObjects[] = R"(
SELECT jsonb_build_object('objects',
    (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
  + (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
  + (SELECT count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
  + (SELECT count(*) FROM pg_namespace
      WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public'))
  + (SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql')
  + (SELECT count(*) FROM pg_largeobject_metadata)))";

class PostgresqlRestore {
 public:
  PostgresqlRestore(const OperationContext& context, const PostgresqlAccess& access,
                    const Record& record)
      : context_(context),
        access_(access),
        record_(record),
        target_(!context.assign.target_part().empty() ? context.assign.target_part()
                : !context.assign.part().empty()      ? context.assign.part()
                                                      : record.part),
        temporary_("longshore_restore_" + Sha256Hex(context.assign.operation_namespace() + "/" +
                                                    context.assign.operation())
                                              .substr(0, 10)) {}

  Outcome<void> Run() {
    LS_ASSIGN_OR_RETURN(maintenance_, OpenMaintenance(context_.cancellation));
    LS_RETURN_IF_ERROR(CheckTarget());
    LS_RETURN_IF_ERROR(Drop(*maintenance_));  // of an attempt of this operation that was killed
    Outcome<void> done = RestoreAndCompare();
    if (done) done = PutInPlace();
    if (!done) CleanUp();
    return done;
  }

 private:
  Outcome<SessionPointer> OpenMaintenance(const Cancellation& cancellation) const {
    const std::string& named = context_.assign.postgresql().maintenance_database();
    return PsqlSession::Open(context_.reaper, access_, named.empty() ? "postgres" : named,
                             context_.settings.scratch, cancellation);
  }

  // Refuses a target that holds something, or that carries settings which a replacement would lose.
  Outcome<void> CheckTarget() {
    LS_ASSIGN_OR_RETURN(
        const std::vector<std::string> rows,
        maintenance_->Query("SELECT jsonb_build_object('owner', pg_get_userbyid(d.datdba), "
                            "'special', d.datacl IS NOT NULL OR d.datistemplate OR EXISTS (SELECT "
                            "FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)) FROM "
                            "pg_database d WHERE d.datname = " +
                            QuoteLiteral(target_)));
    if (rows.empty()) return {};
    LS_ASSIGN_OR_RETURN(const api::Json row, api::ParseJson(rows[0]));
    LS_ASSIGN_OR_RETURN(const SessionPointer target,
                        PsqlSession::Open(context_.reaper, access_, target_,
                                          context_.settings.scratch, context_.cancellation));
    LS_ASSIGN_OR_RETURN(const api::Json found, target->QueryJson(kUserObjects));
    if (const int64_t objects = found.value("objects", int64_t{0}); objects > 0) {
      return Failure{kNotEmpty,
                     "database " + target_ + " exists and holds " + std::to_string(objects) +
                         " objects: drop it or restore under another name",
                     false};
    }
    if (row.value("special", false)) {
      return Failure{kNotEmpty,
                     "database " + target_ +
                         " exists with grants or settings of its "
                         "own: drop it or restore under another name",
                     false};
    }
    replaces_empty_ = true;
    owner_ = row.value("owner", "");
    return {};
  }

  // Roles are not part of a database's dump: owners and grants are restored where this server has
  // all the roles and this login may act for them, and else left out (and that is said).
  Outcome<bool> KeepOwners() {
    std::vector<std::string> names;
    for (const std::string& role : record_.manifest.database.roles) {
      names.push_back(QuoteLiteral(role));
    }
    if (names.empty()) return true;
    LS_ASSIGN_OR_RETURN(
        const api::Json json,
        maintenance_->QueryJson("SELECT jsonb_build_object('usable', count(*)) FROM pg_roles WHERE "
                                "rolname IN (" +
                                Join(names, ", ") + ") AND pg_has_role(rolname, 'MEMBER')"));
    return json.value("usable", size_t{0}) == names.size();
  }

  std::string CreateStatement(bool keep_owners) const {
    const DatabaseTraits& traits = record_.manifest.database;
    std::string sql = "CREATE DATABASE " + QuoteIdentifier(temporary_) + " TEMPLATE template0" +
                      " ENCODING " + QuoteLiteral(traits.encoding) + " LC_COLLATE " +
                      QuoteLiteral(traits.collate) + " LC_CTYPE " + QuoteLiteral(traits.ctype);
    if (traits.provider == "i")
      sql += " LOCALE_PROVIDER icu ICU_LOCALE " + QuoteLiteral(traits.locale);
    if (traits.provider == "b") {
      sql += " LOCALE_PROVIDER builtin BUILTIN_LOCALE " + QuoteLiteral(traits.locale);
    }
    std::string owner = owner_;
    const auto& roles = traits.roles;
    if (owner.empty() && keep_owners &&
        std::find(roles.begin(), roles.end(), traits.owner) != roles.end()) {
      owner = traits.owner;
    }
    return owner.empty() ? sql : sql + " OWNER " + QuoteIdentifier(owner);
  }

  Outcome<void> RestoreAndCompare() {
    LS_ASSIGN_OR_RETURN(const bool keep_owners, KeepOwners());
    if (!keep_owners) {
      LogWarn("roles of the copy are missing here: owners and grants are left out",
              {{"copy", record_.copy_id}});
    }
    LS_RETURN_IF_ERROR(maintenance_->Execute(CreateStatement(keep_owners)));
    LS_RETURN_IF_ERROR(maintenance_->Execute(
        "COMMENT ON DATABASE " + QuoteIdentifier(temporary_) + " IS " +
        QuoteLiteral("unfinished restore of " + record_.copy_id + ", operation " +
                     context_.assign.operation_namespace() + "/" + context_.assign.operation())));
    context_.progress.Enter(kPhaseRestoring, static_cast<uint64_t>(record_.bytes));
    LS_RETURN_IF_ERROR(Load(keep_owners));
    context_.progress.Enter(kPhaseComparing);
    return Compare();
  }

  Outcome<void> Load(bool keep_owners) {
    Command restore;
    restore.argv = {"pg_restore", "--exit-on-error", "--no-password"};
    if (!keep_owners) {
      restore.argv.insert(restore.argv.end(), {"--no-owner", "--no-privileges"});
    }
    restore.argv.insert(restore.argv.end(), {"--dbname", ConnectionString(temporary_)});
    restore.environment = BaseEnvironment(context_.settings.scratch);
    restore.environment.insert(access_.environment.begin(), access_.environment.end());
    LS_ASSIGN_OR_RETURN(
        const PipelineFinished finished,
        RunPipeline(
            context_.reaper, context_.restic.DumpCommand(record_.data_snapshot, record_.data_path),
            restore, [this](uint64_t bytes) { context_.progress.SetBytes(bytes); },
            context_.cancellation));
    return CheckLoaded(finished);
  }

  static Outcome<void> CheckLoaded(const PipelineFinished& finished) {
    if (finished.consumer.cancelled) return Failure{kCancelledClass, "cancelled", false};
    // Of two failures the one that was not our doing is the cause.
    if (finished.consumer.status.code != 0 && !finished.consumer.stopped) {
      return ClassifyPostgresql(finished.consumer.err, "restore");
    }
    if (!finished.producer.ok()) return ClassifyRestic(finished.producer, "read the copy");
    if (!finished.consumer.ok()) {
      return Failure{kInternalClass, "pg_restore: " + finished.consumer.status.ToString(), true};
    }
    return {};
  }

  Outcome<void> Compare() {
    LS_ASSIGN_OR_RETURN(const SessionPointer session,
                        PsqlSession::Open(context_.reaper, access_, temporary_,
                                          context_.settings.scratch, context_.cancellation));
    LS_ASSIGN_OR_RETURN(const DatabaseSnapshot snapshot, TakeSnapshot(*session));
    LS_ASSIGN_OR_RETURN(const Manifest found, ComputeManifest(*session, snapshot, [&](size_t done) {
                          context_.progress.SetItems(done, snapshot.tables.size());
                        }));
    const std::vector<std::string> differences = CompareManifests(record_.manifest, found);
    if (differences.empty()) return {};
    return Failure{kMismatch, "not equal to the copy's manifest: " + Join(differences, "; "),
                   false};
  }

  Outcome<void> PutInPlace() {
    if (replaces_empty_) {
      LS_RETURN_IF_ERROR(maintenance_->Execute("DROP DATABASE " + QuoteIdentifier(target_)));
    }
    LS_RETURN_IF_ERROR(maintenance_->Execute("ALTER DATABASE " + QuoteIdentifier(temporary_) +
                                             " RENAME TO " + QuoteIdentifier(target_)));
    return maintenance_->Execute("COMMENT ON DATABASE " + QuoteIdentifier(target_) + " IS NULL");
  }

  Outcome<void> Drop(PsqlSession& session) const {
    const char* force = session.server_version_num() >= 130000 ? " WITH (FORCE)" : "";
    return session.Execute("DROP DATABASE IF EXISTS " + QuoteIdentifier(temporary_) + force);
  }

  // After a failure or a cancel: with a session that neither has touched.
  void CleanUp() const {
    const Cancellation never;
    auto session = OpenMaintenance(never);
    const Outcome<void> dropped = session ? Drop(**session) : session.error();
    if (!dropped) {
      LogWarn(
          "an unfinished restore is left behind",
          {{"database", temporary_}, {"error", context_.redactor.Redact(dropped.error().message)}});
    }
  }

  const OperationContext& context_;
  const PostgresqlAccess& access_;
  const Record& record_;
  const std::string target_, temporary_;
  SessionPointer maintenance_;
  bool replaces_empty_ = false;
  std::string owner_;  // of the empty database that is replaced
};

}  // namespace

Outcome<OperationReport> RestorePostgresql(const OperationContext& context) {
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/false));
  LS_ASSIGN_OR_RETURN(FoundRecord found, ReadRecord(context.restic, context.assign, "postgresql"));
  LS_ASSIGN_OR_RETURN(
      const PostgresqlAccess access,
      WritePostgresqlSecrets(context.secrets, context.redactor, context.assign.postgresql(),
                             "longshore/" + context.assign.operation()));
  if (auto done = PostgresqlRestore(context, access, found.record).Run(); !done) {
    Failure failure = std::move(done).error();
    // Nothing was dumped: what the target's server refuses is a matter of how it is set up.
    if (failure.error_class == kDumpFailed) failure.error_class = kConfiguration;
    return failure;
  }
  return OperationReport{"", std::move(found)};
}

Outcome<OperationReport> VerifyPostgresql(const OperationContext& context) {
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/false));
  LS_ASSIGN_OR_RETURN(FoundRecord found, ReadRecord(context.restic, context.assign, "postgresql"));
  const Record& record = found.record;
  context.progress.Enter(kPhaseReading, static_cast<uint64_t>(record.bytes));
  Command parse;
  parse.argv = {"pg_restore", "--exit-on-error", "--file=/dev/null"};
  parse.environment = BaseEnvironment(context.settings.scratch);
  LS_ASSIGN_OR_RETURN(
      const PipelineFinished read,
      RunPipeline(
          context.reaper, context.restic.DumpCommand(record.data_snapshot, record.data_path), parse,
          [&](uint64_t bytes) { context.progress.SetBytes(bytes); }, context.cancellation));
  if (read.producer.cancelled) return Failure{kCancelledClass, "cancelled", false};
  if (!read.producer.ok() && !read.producer.stopped) {
    return ClassifyRestic(read.producer, "read the copy");
  }
  if (!read.consumer.ok()) {
    return Failure{kMismatch, "the dump cannot be parsed: " + read.consumer.err.substr(0, 500)};
  }
  if (static_cast<int64_t>(read.bytes) != record.bytes) {
    return Failure{kMismatch, "the dump has " + std::to_string(read.bytes) + " bytes, the record " +
                                  std::to_string(record.bytes)};
  }
  return OperationReport{"", std::move(found)};
}

}  // namespace longshore::worker

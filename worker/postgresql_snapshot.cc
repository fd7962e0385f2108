// SPDX-License-Identifier: Apache-2.0
#include "worker/postgresql_snapshot.h"

#include <algorithm>
#include <map>

#include "common/base/strings.h"

namespace longshore::worker {
namespace {

using api::Json;

// What pg_dump dumps the data of: ordinary tables (partitions by their leaves) and sequences of
// user schemas. Not materialized views (a restore refreshes them), not foreign tables; of
// extensions only their configuration tables; on a standby no unlogged tables, which it lacks.
constexpr char kRelations[] = R"(
SELECT jsonb_build_object('name', format('%I.%I', n.nspname, c.relname), 'kind', c.relkind,
    'bytes', CASE WHEN c.relkind = 'r' THEN coalesce(pg_table_size(c.oid), 0) ELSE 0 END,
    'condition', coalesce(x.condition, ''))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
    SELECT array_position(e.extconfig, c.oid) IS NOT NULL AS configuration,
        e.extcondition[array_position(e.extconfig, c.oid)] AS condition
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        AND d.refclassid = 'pg_extension'::regclass LIMIT 1) x ON true
  WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't'
    AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND coalesce(x.configuration, true)
  ORDER BY n.nspname, c.relname)";

constexpr char kFacts[] = R"(
SELECT jsonb_build_object('standby', pg_is_in_recovery(),
    'position', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                ELSE pg_current_wal_lsn() END,
    'time', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'largeObjects', (SELECT count(*) FROM pg_largeobject_metadata)))";

// The locale column moved in 17 and came in 15: read the row as JSON and take what is there.
constexpr char kTraits[] = R"(
SELECT jsonb_build_object('owner', pg_get_userbyid(d.datdba),
    'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
    'provider', coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
    'locale', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', ''),
    'roles', (SELECT coalesce(jsonb_agg(DISTINCT r.role ORDER BY r.role), '[]') FROM (
        SELECT a.rolname::text AS role FROM pg_shdepend s JOIN pg_roles a ON a.oid = s.refobjid
          WHERE s.refclassid = 'pg_authid'::regclass AND s.dbid = d.oid
        UNION SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') r
      WHERE r.role !~ '^pg_'))
  FROM pg_database d WHERE d.datname = current_database())";

constexpr size_t kChunk = 100;  // names in one statement

// Calls `statement` with the names, some at a time.
template <class Function>
Outcome<void> InChunks(const std::vector<std::string>& names, Function&& statement) {
  for (size_t at = 0; at < names.size(); at += kChunk) {
    const size_t end = std::min(at + kChunk, names.size());
    LS_RETURN_IF_ERROR(statement(std::vector<std::string>(
        names.begin() + static_cast<ptrdiff_t>(at), names.begin() + static_cast<ptrdiff_t>(end))));
  }
  return {};
}

Outcome<void> ReadRelations(PsqlSession& session, DatabaseSnapshot& snapshot) {
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> rows, session.Query(kRelations));
  for (const std::string& row : rows) {
    LS_ASSIGN_OR_RETURN(const Json json, api::ParseJson(row));
    if (json.value("kind", "") == "S") {
      snapshot.sequences.push_back(json.value("name", ""));
    } else {
      TableRef table{json.value("name", ""), json.value("condition", ""),
                     json.value("bytes", int64_t{0})};
      // The one piece of SQL that we take from the server as it is. psql would take a backslash
      // for the beginning of a command, and run it here.
      if (table.condition.find_first_of(std::string_view("\\\0", 2)) != std::string::npos) {
        return Failure{kConfiguration,
                       "table " + table.name +
                           ": its extension's condition (pg_extension.extcondition) has a "
                           "backslash, which is not allowed here",
                       false};
      }
      snapshot.tables.push_back(std::move(table));
    }
  }
  return {};
}

// hashtextextended and not md5: measured on a million narrow rows, the statement then takes as much
// of the server as COPY of the same table does, and 3.5 times that with md5. PostgreSQL itself
// relies on this hash to stay as it is: rows of hash-partitioned tables lie where it puts them.
// The row's text stands in a subquery with OFFSET 0, which keeps the planner from making it twice.
std::string DigestStatement(const TableRef& table) {
  return "SELECT jsonb_build_object('rows', count(*),"
         " 'lane1', coalesce(sum(hashtextextended(t, 0)), 0)::text,"
         " 'lane2', coalesce(sum(hashtextextended(t, 1)), 0)::text)"
         " FROM (SELECT (longshore_row.*)::text AS t FROM ONLY " +
         table.name + " AS longshore_row " + table.condition + " OFFSET 0) AS rows";
}

// The next value of each sequence. Those that cycle are left out: their values have no order.
Outcome<std::map<std::string, int64_t>> ReadSequences(PsqlSession& session,
                                                      const std::vector<std::string>& names) {
  std::map<std::string, int64_t> values;
  LS_RETURN_IF_ERROR(InChunks(names, [&](const std::vector<std::string>& some) -> Outcome<void> {
    std::vector<std::string> selects;
    for (const std::string& name : some) {
      selects.push_back("SELECT jsonb_build_object('name', " + QuoteLiteral(name) +
                        ", 'next', greatest(least(s.last_value::numeric + CASE WHEN s.is_called "
                        "THEN p.seqincrement ELSE 0 END, 9223372036854775807),"
                        " -9223372036854775808)::bigint) FROM " +
                        name + " AS s, pg_sequence AS p WHERE NOT p.seqcycle AND p.seqrelid = " +
                        QuoteLiteral(name) + "::regclass");
    }
    LS_ASSIGN_OR_RETURN(const std::vector<std::string> rows,
                        session.Query(Join(selects, " UNION ALL ")));
    for (const std::string& row : rows) {
      LS_ASSIGN_OR_RETURN(const Json json, api::ParseJson(row));
      values[json.value("name", "")] = json.value("next", int64_t{0});
    }
    return {};
  }));
  return values;
}

}  // namespace

uint64_t DatabaseSnapshot::TableBytes() const {
  uint64_t bytes = 0;
  for (const TableRef& table : tables) bytes += static_cast<uint64_t>(table.bytes);
  return bytes;
}

Outcome<DatabaseSnapshot> TakeSnapshot(PsqlSession& session) {
  DatabaseSnapshot snapshot;
  LS_RETURN_IF_ERROR(session.Execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> id,
                      session.Query("SELECT pg_export_snapshot()"));
  if (id.size() == 1) snapshot.id = id[0];
  LS_ASSIGN_OR_RETURN(const Json facts, session.QueryJson(kFacts));
  snapshot.standby = facts.value("standby", false);
  snapshot.position = facts.value("position", "");
  snapshot.time = facts.value("time", "");
  snapshot.large_objects = facts.value("largeObjects", int64_t{0});
  LS_ASSIGN_OR_RETURN(const Json traits, session.QueryJson(kTraits));
  LS_ASSIGN_OR_RETURN(snapshot.traits, api::ReadJson<DatabaseTraits>(traits, "database"));
  LS_RETURN_IF_ERROR(ReadRelations(session, snapshot));
  std::vector<std::string> names;
  for (const TableRef& table : snapshot.tables) names.push_back("ONLY " + table.name);
  LS_RETURN_IF_ERROR(InChunks(names, [&](const std::vector<std::string>& some) {
    return session.Execute("LOCK TABLE " + Join(some, ", ") + " IN ACCESS SHARE MODE");
  }));
  return snapshot;
}

Outcome<Manifest> ComputeManifest(PsqlSession& session, const DatabaseSnapshot& snapshot,
                                  const std::function<void(size_t)>& on_table) {
  Manifest manifest;
  manifest.kind = "postgresql";
  manifest.hash = kRowHash;
  manifest.database = snapshot.traits;
  manifest.large_objects = snapshot.large_objects;
  LS_ASSIGN_OR_RETURN(const auto sequences, ReadSequences(session, snapshot.sequences));
  for (const auto& [name, next] : sequences) manifest.sequences.push_back({name, next, next});
  for (const TableRef& table : snapshot.tables) {
    LS_ASSIGN_OR_RETURN(const Json json, session.QueryJson(DigestStatement(table)));
    manifest.tables.push_back({table.name, json.value("rows", int64_t{0}), json.value("lane1", ""),
                               json.value("lane2", "")});
    on_table(manifest.tables.size());
  }
  return manifest;
}

Outcome<void> CloseSequenceRanges(PsqlSession& session, Manifest& manifest) {
  std::vector<std::string> names;
  for (const SequenceRange& sequence : manifest.sequences) names.push_back(sequence.name);
  LS_ASSIGN_OR_RETURN(const auto values, ReadSequences(session, names));
  for (SequenceRange& sequence : manifest.sequences) {
    const auto found = values.find(sequence.name);
    if (found != values.end()) sequence.high = found->second;
  }
  return {};
}

}  // namespace longshore::worker

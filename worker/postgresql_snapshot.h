// SPDX-License-Identifier: Apache-2.0
//
// A consistent view of one database: what is in it, and the manifest of its content. Used on the
// source by the backup and on the restored database by the restore.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "worker/manifest.h"
#include "worker/psql.h"

namespace longshore::worker {

struct TableRef {
  std::string name;       // quoted and qualified
  std::string condition;  // of an extension's configuration table: "WHERE …", as pg_dump applies it
  int64_t bytes = 0;      // on disk, without indexes
};

struct DatabaseSnapshot {
  std::string id;        // for pg_dump --snapshot; valid while the session's transaction is open
  std::string time;      // RFC 3339
  std::string position;  // the LSN
  bool standby = false;
  DatabaseTraits traits;
  std::vector<TableRef> tables;
  std::vector<std::string> sequences;
  int64_t large_objects = 0;

  uint64_t TableBytes() const;
};

// Begins a read-only transaction, notes where the server stands, and locks the tables against
// being dropped or truncated (ACCESS SHARE, as pg_dump does): from here on the session and a dump
// with `id` see the same.
Outcome<DatabaseSnapshot> TakeSnapshot(PsqlSession& session);

// Counts and hashes every table in the session's transaction and reads the sequences (low = high).
// `on_table` is told how many are done.
Outcome<Manifest> ComputeManifest(PsqlSession& session, const DatabaseSnapshot& snapshot,
                                  const std::function<void(size_t)>& on_table);

// Reads the sequences again, when the dump is done, and sets `high`.
Outcome<void> CloseSequenceRanges(PsqlSession& session, Manifest& manifest);

}  // namespace longshore::worker

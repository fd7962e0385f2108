// SPDX-License-Identifier: Apache-2.0
//
// One session with a PostgreSQL server, through a psql that reads statements from a pipe. (libpq
// is not linked: one worker binary serves images of any base, and psql is in the image that needs
// it, of the right version.) Used by the postgresql operations.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/api/archive.h"
#include "worker/cancellation.h"
#include "worker/credentials.h"
#include "worker/process.h"

namespace longshore::worker {

// What went wrong, from what psql or pg_dump wrote to stderr. `doing` begins the message. Texts
// are PostgreSQL's own in English; an SQLSTATE, where there is one, decides first.
Failure ClassifyPostgresql(const std::string& err, const std::string& doing);

// 'text' and "name", as SQL wants them. The text must not hold a NUL.
std::string QuoteLiteral(std::string_view text);
std::string QuoteIdentifier(std::string_view name);

// Not thread-safe. The destructor ends the session: the statement in progress is cancelled on the
// server, an open transaction rolled back.
class PsqlSession {
 public:
  // Connects and pins every setting that changes how values are written, so that the same content
  // has the same text on every server; also time-outs, so that a session whose worker is gone
  // does not hold a snapshot. `access` is needed only during the call.
  static Outcome<std::unique_ptr<PsqlSession>> Open(Reaper& reaper, const PostgresqlAccess& access,
                                                    const std::string& database,
                                                    const std::string& scratch,
                                                    const Cancellation& cancellation);

  // Runs one statement that returns one column: its rows, each a line. Rows must not hold line
  // breaks: select jsonb. Failures end the session.
  Outcome<std::vector<std::string>> Query(const std::string& sql);
  // The same for exactly one row of JSON.
  Outcome<api::Json> QueryJson(const std::string& sql);
  // Without rows.
  Outcome<void> Execute(const std::string& sql);

  // e.g. 170002 and "17.2".
  int server_version_num() const { return version_num_; }
  const std::string& server_version() const { return version_; }

 private:
  PsqlSession(std::unique_ptr<Process> process, std::string database,
              const Cancellation& cancellation)
      : process_(std::move(process)), database_(std::move(database)), cancellation_(cancellation) {}

  Outcome<void> Prepare();
  Outcome<void> Write(std::string_view text);
  // Waits for output or the end. Fails when psql has ended or the operation is cancelled.
  Outcome<void> Wait(bool for_room);
  void ReadPipes();
  bool TakeLine(std::string& line);
  Failure Ended();

  std::unique_ptr<Process> process_;
  const std::string database_;
  const Cancellation& cancellation_;
  std::string out_, err_;
  bool out_open_ = true, err_open_ = true;
  uint64_t statement_ = 0;
  int version_num_ = 0;
  std::string version_;
};

}  // namespace longshore::worker

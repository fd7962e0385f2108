// SPDX-License-Identifier: Apache-2.0
#include "worker/psql.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <regex>

#include "common/base/log.h"
#include "common/base/strings.h"
#include "worker/run.h"

namespace longshore::worker {
namespace {

// Lines of stderr worth telling: without psql's places in the source and the statement's text.
std::string FirstLines(const std::string& err) {
  std::vector<std::string> lines;
  for (const std::string& line : Split(err, '\n')) {
    const std::string_view text = Trim(line);
    if (text.empty() || text.starts_with("LOCATION:") || text.starts_with("LINE ") ||
        text.starts_with("STATEMENT:") || text.starts_with("password retrieved from") ||
        text == "^") {
      continue;
    }
    lines.emplace_back(text);
    if (lines.size() == 4) break;
  }
  return lines.empty() ? "it said nothing" : Join(lines, "; ");
}

// The SQLSTATE that VERBOSITY=verbose puts after the severity: "ERROR:  42501: permission …".
std::string SqlState(const std::string& err) {
  static const std::regex kPattern("(?:ERROR|FATAL|PANIC): +([0-9A-Z]{5}): ");
  std::smatch match;
  return std::regex_search(err, match, kPattern) ? match[1].str() : "";
}

struct TextRule {
  const char* text;
  const char* error_class;
  bool retryable;
};
// What libpq and the server say when there is no SQLSTATE, in the order in which they are tried.
constexpr TextRule kTextRules[] = {
    {"password authentication failed", kAuthentication, false},
    {"authentication failed", kAuthentication, false},
    {"no password supplied", kAuthentication, false},
    {"no pg_hba.conf entry", kAuthentication, false},
    {"pg_hba.conf rejects", kAuthentication, false},
    {"is not permitted to log in", kAuthentication, false},
    {"permission denied", kAuthentication, false},
    {"certificate verify failed", kConfiguration, false},
    {"does not match host name", kConfiguration, false},
    {"server does not support SSL", kConfiguration, false},
    {"root certificate file", kConfiguration, false},
    {"could not translate host name", kUnreachable, true},
    {"Connection refused", kUnreachable, true},
    {"timeout expired", kUnreachable, true},
    {"No route to host", kUnreachable, true},
    {"Network is unreachable", kUnreachable, true},
    {"the database system is", kUnreachable, true},
    {"too many clients", kUnreachable, true},
    {"server closed the connection", kUnreachable, true},
    {"connection to server was lost", kUnreachable, true},
    {"SSL connection has been closed", kUnreachable, true},
    {"terminating connection", kUnreachable, true},
    {"SSL error: ", kConfiguration, false},
};

struct StateRule {
  const char* prefix;
  const char* error_class;
  bool retryable;
};
constexpr StateRule kStateRules[] = {
    {"42501", kAuthentication, false},  // insufficient privilege
    {"28", kAuthentication, false},     // no such login, or not this way
    {"3D000", kNotFound, false},        // no such database
    {"42P04", kNotEmpty, false},        // a database of that name has come meanwhile
    {"08", kUnreachable, true},         // the connection broke
    {"57P", kUnreachable, true},        // shutdown, crash, cannot connect now
    {"53", kUnreachable, true},         // too many connections, out of memory, disk full
    {"40", kDumpFailed, true},          // conflict with recovery, deadlock
    {"55P03", kDumpFailed, true},       // a lock was not to be had in time
};

// Settings that decide how values become text, and time-outs. search_path is empty so that names
// of other schemas are always qualified.
constexpr char kPinnedSettings[] =
    "SELECT pg_catalog.set_config('search_path', '', false); SET client_encoding='UTF8'; SET "
    "DateStyle='ISO, YMD';"
    "SET IntervalStyle='postgres'; SET TimeZone='UTC'; SET extra_float_digits=3;"
    "SET bytea_output='hex'; SET lc_monetary='C'; SET xmlbinary='base64';"
    "SET standard_conforming_strings=on; SET row_security=off; SET statement_timeout=0;"
    "SET lock_timeout='60s'; SET idle_in_transaction_session_timeout='10min';"
    "SET max_parallel_workers_per_gather=0; SET jit=off; SET synchronize_seqscans=on;"
    "SET tcp_keepalives_idle=20; SET tcp_keepalives_interval=10; SET tcp_keepalives_count=4";

// What a server may make us keep: it can send rows and notices for ever.
constexpr size_t kErrKept = 64u << 10, kMostRead = 1u << 20, kLongestRow = 16u << 20;

// From these on psql has \restrict (CVE-2025-8714).
constexpr int kRestrictSince[][2] = {{13, 22}, {14, 19}, {15, 14}, {16, 10}, {17, 6}, {18, 0}};

bool HasRestrict(const std::string& version) {
  int major = 0, minor = 0;
  if (std::sscanf(version.c_str(), "psql (PostgreSQL) %d.%d", &major, &minor) < 1) return false;
  for (const auto& since : kRestrictSince) {
    if (major == since[0]) return minor >= since[1];
  }
  return major > 18;
}

bool PsqlHasRestrict(Reaper& reaper, const std::string& scratch) {
  static const bool known = [&] {
    RunOptions run;
    run.timeout = std::chrono::seconds(30);
    const auto told = Run(reaper, {{"psql", "--version"}, BaseEnvironment(scratch), ""}, run);
    const bool has = told && HasRestrict(told->out);
    if (!has) LogWarn("this psql has no \\restrict: a newer minor version has");
    return has;
  }();
  return known;
}

}  // namespace

Failure ClassifyPostgresql(const std::string& err, const std::string& doing) {
  const std::string message = doing + ": " + FirstLines(err);
  if (const std::string state = SqlState(err); !state.empty()) {
    for (const StateRule& rule : kStateRules) {
      if (state.starts_with(rule.prefix)) return {rule.error_class, message, rule.retryable};
    }
    return {kDumpFailed, message, false};
  }
  for (const TextRule& rule : kTextRules) {
    if (err.find(rule.text) != std::string::npos) {
      return {rule.error_class, message, rule.retryable};
    }
  }
  static const std::regex kNoDatabase("database \".*\" does not exist");
  static const std::regex kNoRole("role \".*\" does not exist");
  if (std::regex_search(err, kNoDatabase)) return {kNotFound, message, false};
  if (std::regex_search(err, kNoRole)) return {kAuthentication, message, false};
  return {kDumpFailed, message, false};
}

std::string QuoteLiteral(std::string_view text) {
  // With a backslash in it, what ends a plain literal depends on what the server says of its
  // standard_conforming_strings; E'' is read in one way only.
  const bool escapes = text.find('\\') != std::string_view::npos;
  std::string quoted = escapes ? " E'" : "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

Outcome<std::unique_ptr<PsqlSession>> PsqlSession::Open(Reaper& reaper,
                                                        const PostgresqlAccess& access,
                                                        const std::string& database,
                                                        const std::string& scratch,
                                                        const Cancellation& cancellation) {
  Command command;
  command.argv = {"psql",
                  "--no-psqlrc",
                  "--quiet",
                  "--no-align",
                  "--tuples-only",
                  "--no-password",
                  "--set=ON_ERROR_STOP=1",
                  "--set=VERBOSITY=verbose",
                  "--dbname",
                  ConnectionString(database)};
  command.environment = BaseEnvironment(scratch);
  command.environment.insert(access.environment.begin(), access.environment.end());
  LS_ASSIGN_OR_RETURN(std::unique_ptr<Process> process, Process::Start(reaper, command));
  std::unique_ptr<PsqlSession> session(new PsqlSession(std::move(process), database, cancellation));
  // Statements are built from names that the server tells. Should one ever get out of its quotes,
  // psql must not run it as a command of its own: `\! sh` would, in the pod that holds the secrets.
  if (PsqlHasRestrict(reaper, scratch)) {
    LS_RETURN_IF_ERROR(session->Write("\\restrict " + RandomId(32) + "\n"));
  }
  LS_RETURN_IF_ERROR(session->Prepare());
  return session;
}

Outcome<void> PsqlSession::Prepare() {
  LS_RETURN_IF_ERROR(Execute(kPinnedSettings));
  LS_ASSIGN_OR_RETURN(const api::Json version,
                      QueryJson("SELECT jsonb_build_object("
                                "'num', pg_catalog.current_setting('server_version_num')::int,"
                                "'text', pg_catalog.current_setting('server_version'))"));
  version_num_ = version.value("num", 0);
  version_ = version.value("text", "");
  version_ = version_.substr(0, version_.find(' '));
  // From 14 on the server notices within seconds that the other end of a long statement is gone.
  if (version_num_ >= 140000) return Execute("SET client_connection_check_interval='5s'");
  return {};
}

Outcome<void> PsqlSession::Execute(const std::string& sql) {
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> rows, Query(sql));
  (void)rows;
  return {};
}

Outcome<api::Json> PsqlSession::QueryJson(const std::string& sql) {
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> rows, Query(sql));
  if (rows.size() != 1) {
    return Internal("one row was expected from " + database_ + ", got " +
                    std::to_string(rows.size()));
  }
  LS_ASSIGN_OR_RETURN(api::Json json, api::ParseJson(rows[0]));
  return json;
}

Outcome<std::vector<std::string>> PsqlSession::Query(const std::string& sql) {
  const std::string marker = "longshore-end-" + std::to_string(++statement_);
  LS_RETURN_IF_ERROR(Write(sql + ";\nSELECT '" + marker + "';\n"));
  std::vector<std::string> rows;
  std::string line;
  while (true) {
    while (TakeLine(line)) {
      if (line == marker) return rows;
      rows.push_back(std::move(line));
    }
    LS_RETURN_IF_ERROR(Wait(/*for_room=*/false));
  }
}

Outcome<void> PsqlSession::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(process_->in(), text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      LS_RETURN_IF_ERROR(Wait(/*for_room=*/true));
    } else if (errno != EINTR) {
      return Ended();
    }
  }
  return {};
}

Outcome<void> PsqlSession::Wait(bool for_room) {
  if (cancellation_.cancelled()) return Failure{kCancelledClass, database_ + ": cancelled", false};
  if (!out_open_) return Ended();
  if (out_.size() > kLongestRow) {
    return Failure{kDumpFailed, database_ + ": the server answers more than is asked", false};
  }
  std::vector<pollfd> fds{{process_->out(), POLLIN, 0},
                          {err_open_ ? process_->err() : -1, POLLIN, 0},
                          {for_room ? process_->in() : -1, POLLOUT, 0}};
  for (const int fd : cancellation_.fds()) fds.push_back({fd, POLLIN, 0});
  ::poll(fds.data(), fds.size(), 1000);
  ReadPipes();
  return {};
}

void PsqlSession::ReadPipes() {
  struct Source {
    int fd;
    std::string& text;
    bool& open;
  };
  if (err_.size() > kErrKept) err_.erase(0, err_.size() - kErrKept);
  std::array<Source, 2> sources{
      {{process_->out(), out_, out_open_}, {process_->err(), err_, err_open_}}};
  for (Source& source : sources) {
    char buffer[16384];
    while (source.open) {
      const ssize_t n = ::read(source.fd, buffer, sizeof buffer);
      if (n > 0) source.text.append(buffer, static_cast<size_t>(n));
      if (n > 0 && source.text.size() > kMostRead) break;
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) source.open = false;
      if (n < 0) break;
    }
  }
}

bool PsqlSession::TakeLine(std::string& line) {
  const size_t end = out_.find('\n');
  if (end == std::string::npos) return false;
  line = out_.substr(0, end);
  out_.erase(0, end + 1);
  return true;
}

Failure PsqlSession::Ended() {
  // It is ending: let it finish what it has to say.
  for (int turn = 0; turn < 50 && err_open_; ++turn) {
    pollfd fd{process_->err(), POLLIN, 0};
    ::poll(&fd, 1, 100);
    ReadPipes();
  }
  return ClassifyPostgresql(err_, "database " + database_);
}

}  // namespace longshore::worker

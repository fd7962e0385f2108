// SPDX-License-Identifier: Apache-2.0
//
// The real things that the worker works with, on loopback: a PostgreSQL server with TLS and
// passwords, a rest-server with TLS, append-only and private repositories, and a worker's folders.
// The tools are this machine's: PostgreSQL's from Debian, restic and rest-server from where
// hack/setup puts them (or $LONGSHORE_TEST_TOOLS).
#pragma once

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "common/messages/worker.pb.h"
#include "tests/common/tls/certificates.h"
#include "worker/operation.h"
#include "worker/process.h"

namespace longshore::test {

// Passwords with everything that has to be escaped somewhere: in URLs, .pgpass, JSON and shells.
inline constexpr char kBackupPassword[] = "bk:p\\w/@ '\"%41#secret";
inline constexpr char kRestorePassword[] = "rs-p:w@secret+2";
inline constexpr char kRepositoryPassword[] = "rp:p/w@ %?#secret";
inline constexpr char kEncryptionKey[] = "enc-key-with spaces-secret";

// The one reaper of a test program, with restic and rest-server put on PATH.
worker::Reaper& TheReaper();

// Runs a helper command to its end; aborts the test program with its stderr when it fails.
std::string MustRun(const std::vector<std::string>& argv, const std::string& input = "");

class PostgresqlServer {
 public:
  PostgresqlServer();
  ~PostgresqlServer();

  // Runs SQL as the superuser, over the socket; returns what psql prints.
  std::string Sql(const std::string& database, const std::string& sql) const;
  // Logins: "backup" (pg_read_all_data), "restore" (superuser), and a wrong password for both.
  messages::PostgresqlSource Source(const std::string& login) const;
  int port() const { return port_; }
  const std::string& user() const { return user_; }

 private:
  TemporaryFolder folder_;
  TestAuthority authority_;
  std::string user_, bin_;
  int port_ = 0;
  std::unique_ptr<worker::Process> process_;
};

class RestServer {
 public:
  RestServer();
  messages::Repository Repository(const std::string& name = "repo") const;
  // Neither takes nor answers anything until it is resumed; its connections stay open.
  void Pause() { process_->Signal(SIGSTOP); }
  void Resume() { process_->Signal(SIGCONT); }
  int port() const { return port_; }
  const std::string& data() const { return data_; }

 private:
  TemporaryFolder folder_;
  TestAuthority authority_;
  std::string data_;
  int port_ = 0;
  std::unique_ptr<worker::Process> process_;
};

// One worker without its stream: folders, and operations run as the relay runs them.
class TestWorker {
 public:
  explicit TestWorker(const std::string& kind);
  messages::OperationResult Run(const messages::Assign& assign);
  messages::OperationResult Run(const messages::Assign& assign,
                                const worker::Cancellation& cancellation);
  worker::Settings& settings() { return settings_; }
  worker::ProgressBoard& progress() { return progress_; }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  // Files in the secrets folder.
  size_t SecretsLeft() const;

 private:
  TemporaryFolder folder_;
  worker::Settings settings_;
  worker::ProgressBoard progress_;
};

// An assignment with the next epoch.
messages::Assign NewAssign(const std::string& type, const std::string& part,
                           const std::string& copy_id, const messages::Repository& repository);

// Stock restic with the repository's access, outside of the worker.
std::string OutsideRestic(const messages::Repository& repository,
                          const std::vector<std::string>& arguments, const std::string& input = "");

// Whether the digest in a record can be reproduced with jq and sha256sum, as the documentation
// says.
bool DigestHoldsOutside(const std::string& record_json);

int FreePort();

}  // namespace longshore::test

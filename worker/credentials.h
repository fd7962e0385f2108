// SPDX-License-Identifier: Apache-2.0
//
// The secrets of one operation. They arrive with the assignment, are written as files into a folder
// of the pod's tmpfs for the tools to read, and leave with the operation, however it ends. Nothing
// else may hold them: argv, environment, logs and messages are seen by others.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/messages/worker.pb.h"
#include "worker/outcome.h"

namespace longshore::worker {

// Takes secrets out of text that a tool has written, in plain and percent-encoded form.
class Redactor {
 public:
  // Ignores values under 4 characters: they would garble every message and protect nothing.
  void Add(std::string_view secret);
  std::string Redact(std::string text) const;

 private:
  std::vector<std::string> secrets_;
};

// A folder (0700) of files (0600). The destructor overwrites and removes all of it.
class SecretFolder {
 public:
  // Makes a new folder for an assignment below `base`.
  static Result<std::unique_ptr<SecretFolder>> Create(const std::string& base, uint64_t epoch);
  ~SecretFolder();
  SecretFolder(const SecretFolder&) = delete;
  SecretFolder& operator=(const SecretFolder&) = delete;

  // Returns the path of the new file.
  Result<std::string> Write(const std::string& name, std::string_view content);
  const std::string& path() const { return path_; }

 private:
  explicit SecretFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Overwrites, unlinks and removes all below `base`: what an earlier container of this pod may have
// left behind when it was killed. Errors: what the file system says.
Status WipeSecrets(const std::string& base);

// Everything outside RFC 3986's unreserved characters as %XX.
std::string PercentEncode(std::string_view text);

// How the tools of PostgreSQL find server and login: paths only.
struct PostgresqlAccess {
  std::map<std::string, std::string> environment;  // PGSERVICEFILE, PGPASSFILE
  std::string username;
};
// `application` becomes the sessions' application_name. TLS is verify-full always.
// Errors: Configuration, naming the field.
Outcome<PostgresqlAccess> WritePostgresqlSecrets(SecretFolder& folder, Redactor& redactor,
                                                 const messages::PostgresqlSource& source,
                                                 const std::string& application);
// For psql and pg_dump: connects to that database as the files say.
std::string ConnectionString(const std::string& database);

// How restic finds the repository.
struct RepositoryAccess {
  std::map<std::string, std::string> environment;  // RESTIC_REPOSITORY_FILE, RESTIC_PASSWORD_FILE
  std::string ca_file;                             // empty: the system's authorities
  std::string display;                             // the URL without login, for messages
  std::string host;                                // empty: a local folder
  int port = 0;
  bool tls = false;
};
// Understands "rest:https://…", "rest:http://…" and absolute paths.
// Errors: Configuration, naming the field.
Outcome<RepositoryAccess> WriteRepositorySecrets(SecretFolder& folder, Redactor& redactor,
                                                 const messages::Repository& repository);

}  // namespace longshore::worker

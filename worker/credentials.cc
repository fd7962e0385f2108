// SPDX-License-Identifier: Apache-2.0
#include "worker/credentials.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>

#include "common/base/files.h"
#include "common/base/strings.h"

namespace longshore::worker {
namespace {

namespace fs = std::filesystem;

Failure BadField(const std::string& message) { return {kConfiguration, message, false}; }

// Overwrites before unlinking: on tmpfs the pages are given back, and nothing says that the folder
// really is a tmpfs.
void Shred(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(fs::symlink_status(path, error))) {
    const auto size = fs::file_size(path, error);
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!error && fd.valid()) {
      const std::string zeros(size, '\0');
      if (::write(fd.get(), zeros.data(), zeros.size()) >= 0) ::fsync(fd.get());
    }
  }
  fs::remove(path, error);
}

Status WipeFolder(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (fs::is_directory(entry.symlink_status())) {
      LS_RETURN_IF_ERROR(WipeFolder(entry.path()));
      fs::remove(entry.path(), error);
    } else {
      Shred(entry.path());
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoError(error.value(), "wipe " + folder.string());
  }
  return {};
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// A field of .pgpass: colon and backslash are escaped.
std::string PassField(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

Outcome<void> CheckPostgresql(const messages::PostgresqlSource& source) {
  // One plain host name or address: no socket path, no list of hosts, nothing that libpq parses.
  const std::string& host = source.host();
  const bool plain = !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_' ||
           c == ':';
  });
  if (!plain) return BadField("postgresql.host: not a host name or address");
  if (source.port() == 0 || source.port() > 65535) return BadField("postgresql.port: not a port");
  if (source.username().empty()) return BadField("credentials: username is empty");
  if (HasControl(source.username())) return BadField("credentials: username has a line break");
  if (source.password().empty()) return BadField("credentials: password is empty");
  if (HasControl(source.password())) {
    return BadField("credentials: password has a line break or control character");
  }
  return {};
}

// Splits "https://host:port/path/" and fills host, port and tls.
Outcome<std::string> ParseRestUrl(std::string_view url, RepositoryAccess& access) {
  access.tls = url.starts_with("https://");
  if (!access.tls && !url.starts_with("http://")) {
    return BadField("repository.url: expected rest:https://HOST:PORT/PATH/ or an absolute path");
  }
  const size_t start = url.find("://") + 3;
  const size_t end = std::min(url.find('/', start), url.size());
  const std::string_view authority = url.substr(start, end - start);
  if (authority.find('@') != std::string_view::npos) {
    return BadField("repository.url: a login in the URL is not allowed, use credentials");
  }
  const size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  access.host = authority.substr(0, has_port ? colon : authority.size());
  access.port = access.tls ? 443 : 80;
  if (has_port) {
    const auto port = ParseInt(authority.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) return BadField("repository.url: not a port");
    access.port = static_cast<int>(*port);
  }
  if (access.host.starts_with('[')) access.host = access.host.substr(1, access.host.size() - 2);
  if (access.host.empty()) return BadField("repository.url: has no host");
  return std::string(url.substr(start));
}

Outcome<std::string> LocationWithLogin(const messages::Repository& repository,
                                       RepositoryAccess& access) {
  const std::string& url = repository.url();
  if (HasControl(url)) return BadField("repository.url: has a control character");
  if (url.starts_with('/')) return url;
  if (!url.starts_with("rest:")) {
    return BadField("repository.url: expected rest:https://HOST:PORT/PATH/ or an absolute path");
  }
  LS_ASSIGN_OR_RETURN(const std::string rest, ParseRestUrl(url.substr(5), access));
  std::string login;
  if (!repository.username().empty()) {
    login = PercentEncode(repository.username()) + ":" + PercentEncode(repository.password()) + "@";
  }
  return std::string(access.tls ? "rest:https://" : "rest:http://") + login + rest;
}

}  // namespace

void Redactor::Add(std::string_view secret) {
  if (secret.size() < 4) return;
  secrets_.emplace_back(secret);
  if (std::string encoded = PercentEncode(secret); encoded != secret) {
    secrets_.push_back(std::move(encoded));
  }
}

std::string Redactor::Redact(std::string text) const {
  for (const std::string& secret : secrets_) {
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) {
      text.replace(at, secret.size(), "***");
    }
  }
  return text;
}

Result<std::unique_ptr<SecretFolder>> SecretFolder::Create(const std::string& base,
                                                           uint64_t epoch) {
  const std::string path = base + "/epoch-" + std::to_string(epoch);
  LS_RETURN_IF_ERROR(WipeSecrets(path));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, path);
  return std::unique_ptr<SecretFolder>(new SecretFolder(path));
}

SecretFolder::~SecretFolder() {
  if (auto wiped = WipeFolder(path_); !wiped) return;
  ::rmdir(path_.c_str());
}

Result<std::string> SecretFolder::Write(const std::string& name, std::string_view content) {
  std::string path = path_ + "/" + name;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(errno, path);
  while (!content.empty()) {
    const ssize_t n = ::write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, path);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return path;
}

Status WipeSecrets(const std::string& base) { return WipeFolder(base); }

std::string PercentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        (byte < 0x80 && std::isalnum(byte)) || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

Outcome<PostgresqlAccess> WritePostgresqlSecrets(SecretFolder& folder, Redactor& redactor,
                                                 const messages::PostgresqlSource& source,
                                                 const std::string& application) {
  redactor.Add(source.password());
  LS_RETURN_IF_ERROR(CheckPostgresql(source));
  std::string root = "system";  // libpq 16 and newer: the system's authorities
  if (!source.ca_pem().empty()) {
    LS_ASSIGN_OR_RETURN(root, folder.Write("postgresql-ca.crt", source.ca_pem()));
  }
  const std::string port = std::to_string(source.port());
  const std::string pass = PassField(source.host()) + ":" + port +
                           ":*:" + PassField(source.username()) + ":" +
                           PassField(source.password()) + "\n";
  // Keepalives and tcp_user_timeout end a session whose server or network has gone in a minute.
  const std::string service = "[longshore]\nhost=" + source.host() + "\nport=" + port +
                              "\nuser=" + source.username() +
                              "\nsslmode=verify-full\nsslrootcert=" + root +
                              "\nssl_min_protocol_version=TLSv1.2\ngssencmode=disable"
                              "\nconnect_timeout=10\nkeepalives_idle=20\nkeepalives_interval=10"
                              "\nkeepalives_count=4\ntcp_user_timeout=60000"
                              "\napplication_name=" +
                              application + "\n";
  PostgresqlAccess access;
  access.username = source.username();
  LS_ASSIGN_OR_RETURN(access.environment["PGPASSFILE"], folder.Write("pgpass", pass));
  LS_ASSIGN_OR_RETURN(access.environment["PGSERVICEFILE"], folder.Write("pg_service", service));
  return access;
}

std::string ConnectionString(const std::string& database) {
  std::string quoted;
  for (const char c : database) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return "service=longshore dbname='" + quoted + "'";
}

Outcome<RepositoryAccess> WriteRepositorySecrets(SecretFolder& folder, Redactor& redactor,
                                                 const messages::Repository& repository) {
  redactor.Add(repository.password());
  redactor.Add(repository.encryption_key());
  RepositoryAccess access;
  access.display = repository.url();
  LS_ASSIGN_OR_RETURN(const std::string location, LocationWithLogin(repository, access));
  if (repository.encryption_key().empty()) {
    return BadField("repository.encryptionKeyRef: the key is empty");
  }
  if (!repository.ca_pem().empty()) {
    LS_ASSIGN_OR_RETURN(access.ca_file, folder.Write("repository-ca.crt", repository.ca_pem()));
  }
  LS_ASSIGN_OR_RETURN(access.environment["RESTIC_REPOSITORY_FILE"],
                      folder.Write("repository", location));
  LS_ASSIGN_OR_RETURN(access.environment["RESTIC_PASSWORD_FILE"],
                      folder.Write("repository-key", repository.encryption_key()));
  return access;
}

}  // namespace longshore::worker

// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/world.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "common/base/clock.h"
#include "common/base/strings.h"
#include "worker/psql.h"
#include "worker/run.h"
#include "worker/tools.h"

namespace longshore::test {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
}

std::string Variable(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string FindTool(const std::string& name) {
  const std::string cache = Variable("LONGSHORE_CACHE", "/var/cache/longshore");
  std::vector<std::string> folders = {Variable("LONGSHORE_TEST_TOOLS", cache + "/bin"),
                                      cache + "/bin", cache + "/rootfs/outside/usr/bin"};
  for (const std::string& folder : folders) {
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  }
  Die(name + " not found: run hack/setup (looked in " + Join(folders, ", ") + ")");
}

std::string PostgresqlBin() {
  std::string newest;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql")) {
    const std::string bin = entry.path().string() + "/bin";
    if (fs::exists(bin + "/initdb") && bin > newest) newest = bin;
  }
  if (newest.empty()) Die("no PostgreSQL server below /usr/lib/postgresql: run hack/setup");
  return newest;
}

// Only these tools of other places come first on PATH; all else is this machine's.
void PutToolsOnPath() {
  static TemporaryFolder* const tools = new TemporaryFolder();
  for (const char* name : {"restic", "restic-rest-server"}) {
    fs::create_symlink(FindTool(name), tools->path() + "/" + name);
  }
  const std::string path =
      tools->path() + ":" + PostgresqlBin() + ":" + Variable("PATH", "/usr/bin:/bin");
  ::setenv("PATH", path.c_str(), 1);
}

// The server must not run as root.
std::vector<std::string> As(const std::string& user, std::vector<std::string> argv) {
  if (::geteuid() != 0) return argv;
  std::vector<std::string> wrapped = {"setpriv", "--reuid=" + user, "--regid=" + user,
                                      "--clear-groups", "--"};
  wrapped.insert(wrapped.end(), argv.begin(), argv.end());
  return wrapped;
}

void Own(const std::string& user, const std::string& path) {
  if (::geteuid() == 0) MustRun({"chown", "-R", user + ":" + user, path});
}

void WaitForPort(int port, const std::string& what) {
  for (int attempt = 0; attempt < 600; ++attempt) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool open = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (open) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  Die(what + " does not listen");
}

std::unique_ptr<worker::Process> MustStart(const std::vector<std::string>& argv) {
  worker::Command command{argv, worker::BaseEnvironment("/tmp"), "/"};
  // Servers talk for as long as they live: into a file, not into a pipe that nobody reads.
  command.argv = {"sh", "-c", "exec \"$0\" \"$@\" </dev/null >/dev/null 2>&1"};
  command.argv.insert(command.argv.end(), argv.begin(), argv.end());
  auto process = worker::Process::Start(TheReaper(), command);
  if (!process) Die(process.error().message);
  return std::move(*process);
}

// "{SHA}…" as rest-server reads it from .htpasswd.
std::string HtpasswdLine(const std::string& user, const std::string& password) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(password.data(), password.size(), digest, &size, EVP_sha1(), nullptr);
  return user + ":{SHA}" + Base64Encode({reinterpret_cast<const char*>(digest), size}) + "\n";
}

constexpr char kHba[] =
    "local all postgres trust\n"
    "hostssl all backup,restore 127.0.0.1/32 scram-sha-256\n";

constexpr char kConfiguration[] =
    "listen_addresses = '127.0.0.1'\nssl = on\nssl_cert_file = 'server.crt'\n"
    "ssl_key_file = 'server.key'\npassword_encryption = 'scram-sha-256'\nfsync = off\n"
    "shared_buffers = 64MB\nmax_wal_size = 512MB\nautovacuum = off\n";

}  // namespace

worker::Reaper& TheReaper() {
  static worker::Reaper* const reaper = [] {
    PutToolsOnPath();
    ::signal(SIGPIPE, SIG_IGN);  // as in the worker's main
    return new worker::Reaper();
  }();
  return *reaper;
}

std::string MustRun(const std::vector<std::string>& argv, const std::string& input) {
  worker::Reaper& reaper = TheReaper();
  worker::RunOptions options;
  options.input = input;
  const auto finished = worker::Run(reaper, {argv, worker::BaseEnvironment("/tmp"), "/"}, options);
  if (!finished) Die(argv[0] + ": " + finished.error().message);
  if (!finished->ok()) Die(argv[0] + ": " + finished->status.ToString() + "\n" + finished->err);
  return finished->out;
}

int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) Die("no free port");
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

PostgresqlServer::PostgresqlServer() {
  TheReaper();
  user_ = ::getpwnam("postgres") != nullptr ? "postgres" : "nobody";
  bin_ = PostgresqlBin();
  port_ = FreePort();
  ::chmod(folder_.path().c_str(), 0755);
  Own(user_, folder_.path());
  const std::string data = folder_.path() + "/data";
  MustRun(As(user_, {bin_ + "/initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8",
                     "--locale=C.UTF-8", "--no-sync", "--pgdata", data}));
  const Certificate certificate = authority_.IssueLocalhost();
  const auto write = [&](const std::string& name, const std::string& content) {
    folder_.Write(name, content);
    ::chmod((folder_.path() + "/" + name).c_str(), 0600);
  };
  write("data/server.crt", certificate.certificate_pem);
  write("data/server.key", certificate.key_pem);
  write("data/pg_hba.conf", kHba);
  write("data/postgresql.auto.conf", std::string(kConfiguration) +
                                         "port = " + std::to_string(port_) +
                                         "\nunix_socket_directories = '" + folder_.path() + "'\n");
  Own(user_, data);
  process_ = MustStart(As(user_, {bin_ + "/postgres", "-D", data}));
  WaitForPort(port_, "postgres");
  // It listens before it lets anybody in.
  MustRun({"sh", "-c", "until pg_isready -q -h \"$0\" -p \"$1\"; do sleep 0.05; done",
           folder_.path(), std::to_string(port_)});
  Sql("postgres", "CREATE ROLE backup LOGIN PASSWORD " + worker::QuoteLiteral(kBackupPassword) +
                      "; GRANT pg_read_all_data TO backup; CREATE ROLE restore LOGIN SUPERUSER "
                      "PASSWORD " +
                      worker::QuoteLiteral(kRestorePassword));
}

PostgresqlServer::~PostgresqlServer() { process_->Stop(std::chrono::seconds(20)); }

std::string PostgresqlServer::Sql(const std::string& database, const std::string& sql) const {
  return MustRun(
      As(user_, {bin_ + "/psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", folder_.path(), "-p",
                 std::to_string(port_), "-U", "postgres", "-d", database, "-f", "-"}),
      sql);
}

messages::PostgresqlSource PostgresqlServer::Source(const std::string& login) const {
  messages::PostgresqlSource source;
  source.set_host("localhost");
  source.set_port(static_cast<uint32_t>(port_));
  source.set_maintenance_database("postgres");
  source.set_username(login);
  source.set_password(login == "backup" ? kBackupPassword : kRestorePassword);
  source.set_ca_pem(authority_.ca_pem());
  return source;
}

RestServer::RestServer() {
  TheReaper();
  port_ = FreePort();
  data_ = folder_.path() + "/data";
  fs::create_directory(data_);
  const Certificate certificate = authority_.IssueLocalhost();
  const std::string crt = folder_.Write("server.crt", certificate.certificate_pem);
  const std::string key = folder_.Write("server.key", certificate.key_pem);
  const std::string users = folder_.Write("htpasswd", HtpasswdLine("writer", kRepositoryPassword));
  process_ = MustStart({"restic-rest-server", "--path", data_, "--append-only", "--private-repos",
                        "--htpasswd-file", users, "--tls", "--tls-cert", crt, "--tls-key", key,
                        "--listen", "127.0.0.1:" + std::to_string(port_)});
  WaitForPort(port_, "rest-server");
}

messages::Repository RestServer::Repository(const std::string& name) const {
  messages::Repository repository;
  repository.set_url("rest:https://localhost:" + std::to_string(port_) + "/writer/" + name + "/");
  repository.set_username("writer");
  repository.set_password(kRepositoryPassword);
  repository.set_ca_pem(authority_.ca_pem());
  repository.set_encryption_key(kEncryptionKey);
  return repository;
}

TestWorker::TestWorker(const std::string& kind) : progress_(Clock::Real()) {
  settings_.kind = kind;
  settings_.scratch = path("scratch");
  settings_.secrets_dir = path("secrets");
  settings_.source_dir = path("source");
  settings_.target_dir = path("target");
  for (const char* name : {"scratch", "secrets", "source", "target"}) {
    fs::create_directory(path(name));
  }
  settings_.host_name = "lsp-test";
  auto tools = worker::ProveTools(TheReaper(), kind, settings_.scratch);
  if (!tools) Die(tools.error().message);
  settings_.tools = *tools;
}

messages::OperationResult TestWorker::Run(const messages::Assign& assign) {
  const worker::Cancellation cancellation;
  return Run(assign, cancellation);
}

messages::OperationResult TestWorker::Run(const messages::Assign& assign,
                                          const worker::Cancellation& cancellation) {
  return worker::RunOperation(assign, settings_, TheReaper(), progress_, cancellation);
}

size_t TestWorker::SecretsLeft() const {
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(settings_.secrets_dir)) {
    (void)entry;
    ++files;
  }
  return files;
}

messages::Assign NewAssign(const std::string& type, const std::string& part,
                           const std::string& copy_id, const messages::Repository& repository) {
  static uint64_t epoch = 0;
  messages::Assign assign;
  assign.set_epoch(++epoch);
  assign.set_operation("op-" + std::to_string(epoch));
  assign.set_operation_namespace("longshore-backup");
  assign.set_attempt(1);
  assign.set_type(type);
  assign.set_source_name("orders");
  assign.set_part(part);
  assign.set_copy_id(copy_id);
  *assign.mutable_repository() = repository;
  return assign;
}

std::string OutsideRestic(const messages::Repository& repository,
                          const std::vector<std::string>& arguments, const std::string& input) {
  const TemporaryFolder folder;
  const std::string url = repository.url();
  const std::string location = "rest:https://" + worker::PercentEncode(repository.username()) +
                               ":" + worker::PercentEncode(repository.password()) + "@" +
                               url.substr(std::string("rest:https://").size());
  std::vector<std::string> argv = {"restic",
                                   "--no-cache",
                                   "--repository-file",
                                   folder.Write("url", location),
                                   "--password-file",
                                   folder.Write("key", repository.encryption_key()),
                                   "--cacert",
                                   folder.Write("ca", repository.ca_pem())};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return MustRun(argv, input);
}

bool DigestHoldsOutside(const std::string& record_json) {
  const std::string recorded = MustRun({"jq", "-r", ".manifestDigest"}, record_json);
  const std::string digest =
      MustRun({"sha256sum"}, MustRun({"jq", "-cSj", ".manifest"}, record_json));
  return digest.substr(0, 64) == Trim(recorded);
}

}  // namespace longshore::test

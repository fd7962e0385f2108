// SPDX-License-Identifier: Apache-2.0
//
// longshore-extender itself, as in a pod but for the files: started with keys of its own, and
// stopped at the end of the scope.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/api/archive.h"
#include "common/base/files.h"
#include "common/http/client.h"
#include "tests/common/tls/certificates.h"

namespace longshore::extender {

class Program {
 public:
  // Of ctest's environment; no leader listens, so pressure is unknown, and so neutral.
  explicit Program(const std::vector<std::string>& more = {}) {
    const char* path = std::getenv("LONGSHORE_EXTENDER");
    EXPECT_NE(path, nullptr) << "run it through ctest";
    if (path == nullptr) return;
    folder_.Write("ca.crt", authority_.ca_pem());
    WriteCertificate("tls", authority_.IssueLocalhost());
    WriteCertificate("scheduler", authority_.Issue("longshore-scheduler"));
    std::vector<std::string> words = {path,
                                      "--port=0",
                                      "--health-port=0",
                                      "--tls-dir=" + folder_.path(),
                                      "--client-ca-file=" + Path("ca.crt"),
                                      "--ca-file=" + Path("ca.crt"),
                                      "--token-file=" + Path("ca.crt"),
                                      "--controller=127.0.0.1:1"};
    words.insert(words.end(), more.begin(), more.end());
    Start(words);
  }
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << "\n" << Log();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string Log() const { return ReadFile(Path("log")).value_or(""); }
  // A field of the line with that message; null until there is such a line.
  api::Json Logged(const std::string& message, const std::string& field) const {
    std::ifstream lines(Path("log"));
    for (std::string line; std::getline(lines, line);) {
      const auto entry = api::ParseJson(line);
      if (entry.has_value() && entry->value("message", "") == message) return (*entry)[field];
    }
    return nullptr;
  }
  bool started() const { return !Logged("extender started", "port").is_null(); }
  int port() const { return Logged("extender started", "port"); }

  void WriteCertificate(const std::string& name, const test::Certificate& certificate) {
    folder_.Write(name + ".crt", certificate.certificate_pem);
    folder_.Write(name + ".key", certificate.key_pem);
  }
  test::TestAuthority& authority() { return authority_; }

  // What the health port says; status 0: nothing.
  http::ClientResponse Health(const std::string& path) const {
    const int port = Logged("extender started", "health_port");
    const auto client =
        http::Client::Create({.base_url = "http://127.0.0.1:" + std::to_string(port)});
    EXPECT_TRUE(client.has_value());
    auto reply = (*client)->Send({.path = path});
    return reply.has_value() ? *std::move(reply) : http::ClientResponse{.status = 0};
  }
  bool ready() const { return Health("/readyz").status == 200; }

  // As kube-scheduler calls it, and as people do.
  Result<http::ClientResponse> Call(http::ClientRequest request) {
    if (client_ == nullptr) {
      LS_ASSIGN_OR_RETURN(
          client_, http::Client::Create({.base_url = "https://127.0.0.1:" + std::to_string(port()),
                                         .ca_pem = authority_.ca_pem(),
                                         .client_certificate_pem = *ReadFile(Path("scheduler.crt")),
                                         .client_key_pem = *ReadFile(Path("scheduler.key"))}));
    }
    return client_->Send(std::move(request));
  }

 private:
  void Start(const std::vector<std::string>& words) {
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const std::string log = Path("log");
    pid_ = ::fork();
    if (pid_ != 0) return;
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && ::dup2(fd, STDOUT_FILENO) >= 0 && ::dup2(fd, STDERR_FILENO) >= 0) {
      ::execv(argv[0], argv.data());
    }
    ::_exit(127);
  }

  const test::TemporaryFolder folder_;
  test::TestAuthority authority_;
  std::unique_ptr<http::Client> client_;
  pid_t pid_ = -1;
};

}  // namespace longshore::extender

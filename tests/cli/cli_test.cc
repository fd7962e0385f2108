// SPDX-License-Identifier: Apache-2.0
//
// What holds for every command: output, exit codes, usage, log-in, help.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "cli/certificates.h"
#include "common/base/files.h"
#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(CliTest, OutputForProgramsIsTheReplyItself) {
  api_.On("GET /v1/pods", List({{{"name", "lsp-a"}}}));
  EXPECT_EQ(Longshore("-o json pods -A"), 0);
  EXPECT_EQ(*api::ParseJson(out_.str()), List({{{"name", "lsp-a"}}}));
  EXPECT_EQ(Longshore("pods -o name"), 0);
  EXPECT_EQ(out_.str(), "pod/lsp-a\n");
  EXPECT_THAT(api_.lines(), ElementsAre("GET /v1/pods", "GET /v1/pods?namespace=backup"));
}

TEST_F(CliTest, ExitCodesTellWhatWentWrong) {
  struct Case {
    int status, exit_code;
  };
  for (const Case& c : {Case{400, 2}, Case{401, 4}, Case{403, 4}, Case{404, 3}, Case{408, 6},
                        Case{409, 1}, Case{410, 1}, Case{500, 1}, Case{503, 5}}) {
    FakeManagerApi api;
    api.On("GET /v1/operations/backup/op-1", Problem("the detail"), c.status);
    EXPECT_EQ(Longshore("operations get op-1 --server " + api.url()), c.exit_code) << c.status;
    EXPECT_THAT(err_.str(), EndsWith("longshore: the detail\n"));
  }
  EXPECT_EQ(Longshore("pods --server http://127.0.0.1:9"), 5);
}

// Takes each call and hangs up, as a controller that ends while it works.
class HangingUp {
 public:
  HangingUp() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    LS_CHECK(bind(listener_.get(), raw, size) == 0 && listen(listener_.get(), 16) == 0);
    LS_CHECK(getsockname(listener_.get(), raw, &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { Serve(); });
  }
  ~HangingUp() { shutdown(listener_.get(), SHUT_RDWR); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int TakeCalls() { return calls_.exchange(0); }

 private:
  void Serve() {
    while (true) {
      const UniqueFd connection(accept(listener_.get(), nullptr, nullptr));
      if (!connection.valid()) return;
      char bytes[4096];
      if (read(connection.get(), bytes, sizeof bytes) > 0) ++calls_;
    }
  }

  UniqueFd listener_;
  int port_ = 0;
  std::atomic<int> calls_{0};
  std::jthread thread_;
};

constexpr std::chrono::seconds kTenSeconds{10};

// Another controller becomes the leader within seconds.
TEST_F(CliTest, ACallIsTriedAgainWhileTheControllerIsStarting) {
  for (int i = 0; i < 3; ++i) api_.On("GET /v1/pods", Problem("starting"), 503);
  api_.On("GET /v1/pods", List({{{"name", "lsp-a"}}}));
  EXPECT_EQ(Longshore("pods -o name"), 0) << err_.str();
  EXPECT_EQ(out_.str(), "pod/lsp-a\n");
  EXPECT_EQ(err_.str(), "the controller does not answer (starting); trying again for 10 s\n");
  EXPECT_EQ(clock_.slept, std::chrono::milliseconds(1500));
  // With the same key it is the same request, were it made before.
  api_.On("POST /v1/pods:acquire", Problem("starting"), 503);
  api_.On("POST /v1/pods:acquire", {{"pod", "lsp-a"}});
  EXPECT_EQ(Longshore("pods acquire req-1"), 0) << err_.str();
  const auto asked = api_.asked();
  EXPECT_EQ(asked[asked.size() - 2].idempotency_key, asked.back().idempotency_key);
  // Without one it may have been done.
  api_.On("PATCH /v1/requests/backup/req-1", Problem("starting"), 503);
  clock_.slept = {};
  EXPECT_EQ(Longshore("request scale req-1 --demand 3"), 5);
  EXPECT_EQ(err_.str(), "longshore: starting\n");
  EXPECT_EQ(clock_.slept.count(), 0);
}

TEST_F(CliTest, ACallThatNobodyTakesFailsAfterAWhile) {
  for (const char* line :
       {"pods", "operations watch op-1", "events --follow", "watch --once", "pods acquire req-1",
        "request scale req-1 --demand 3", "request delete req-1", "operations cancel op-1"}) {
    clock_.slept = {};
    EXPECT_EQ(Longshore(std::string(line) + " --server http://127.0.0.1:9"), 5) << line;
    EXPECT_EQ(clock_.slept, kTenSeconds) << line;
    EXPECT_THAT(err_.str(), StartsWith("the controller does not answer (")) << line;
    EXPECT_THAT(err_.str(), HasSubstr("\nlongshore: ")) << line;
  }
  sleeps_left_ = 1;
  EXPECT_EQ(Longshore("pods --server http://127.0.0.1:9"), 130);
  EXPECT_THAT(err_.str(), HasSubstr("longshore: interrupted; GET http://127.0.0.1:9/v1/pods"));
}

TEST_F(CliTest, ACallThatMayHaveBeenTakenIsRepeatedOnlyWhereThatIsHarmless) {
  HangingUp server;
  const auto calls = [&](const std::string& line) {
    EXPECT_EQ(Longshore(line + " --server " + server.url()), 5) << line;
    return server.TakeCalls();
  };
  EXPECT_EQ(calls("request delete req-1"), 1);
  EXPECT_EQ(calls("operations cancel op-1"), 1);
  EXPECT_EQ(calls("request scale req-1 --demand 3"), 1);
  EXPECT_EQ(clock_.slept.count(), 0);
  EXPECT_EQ(calls("pods"), 21);
  EXPECT_EQ(calls("pods acquire req-1"), 21);
}

TEST_F(CliTest, WhatCannotGetBetterIsNotTriedAgain) {
  EXPECT_EQ(Longshore("pods --server http://no..such.host:1"), 5);
  EXPECT_EQ(
      err_.str(),
      "longshore: GET http://no..such.host:1/v1/pods?namespace=backup: there is no address for "
      "that name\n");
  const WallTime now = Clock::Real().Now();
  const auto authority = MakeAuthority("ours", now, std::chrono::hours(24));
  const auto stranger = MakeAuthority("theirs", now, std::chrono::hours(24));
  const auto pair =
      SignCertificate(*stranger, {.common_name = "x", .names = {"127.0.0.1"}, .server = true}, now,
                      std::chrono::hours(24));
  std::ofstream(folder_ + "/ca.crt") << authority->certificate;
  std::ofstream(folder_ + "/tls.crt") << pair->certificate;
  std::ofstream(folder_ + "/tls.key") << pair->key;
  http::ServerOptions options;
  options.address = "127.0.0.1";
  options.tls = http::ServerTls{folder_ + "/tls.crt", folder_ + "/tls.key", ""};
  http::Server server(std::move(options));
  ASSERT_TRUE(server.Start().has_value());
  EXPECT_EQ(Longshore("pods --server https://127.0.0.1:" + std::to_string(server.port()) +
                      " --ca-file " + folder_ + "/ca.crt"),
            5);
  EXPECT_THAT(err_.str(), StartsWith("longshore: GET https://127.0.0.1"));
  EXPECT_THAT(err_.str(), HasSubstr("TLS verification of \"127.0.0.1\" failed"));
  EXPECT_EQ(clock_.slept.count(), 0);
}

TEST_F(CliTest, UsageErrorsNameTheFlag) {
  for (const char* line :
       {"", "nonsense", "request", "pods --colour red", "request orders --pods x", "pods -o yaml",
        "restore copy-1", "request orders --purpose Fun", "request orders --up cpu",
        "request scale req-1", "pods a/b/c", "backup orders --part p --idempotency-key="}) {
    EXPECT_EQ(Longshore(line), 2) << line;
    EXPECT_FALSE(err_.str().empty()) << line;
  }
  environment_.erase("LONGSHORE_TOKEN_FILE");
  EXPECT_EQ(Longshore("pods"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("LONGSHORE_TOKEN_FILE"));
  environment_["LONGSHORE_TOKEN_FILE"] = folder_ + "/none";
  EXPECT_EQ(Longshore("pods"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--token-file " + folder_ + "/none"));
  std::ofstream(folder_ + "/empty") << "\n";
  environment_["LONGSHORE_TOKEN_FILE"] = folder_ + "/empty";
  EXPECT_EQ(Longshore("pods"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--token-file " + folder_ + "/empty is empty"));
  EXPECT_EQ(Longshore("pods --server 10.0.0.1:30443"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--server 10.0.0.1:30443: use https://HOST:PORT"));
}

// A word that is no command is named, with those that are; plurals that people type are taken.
TEST_F(CliTest, AnUnknownCommandIsNamed) {
  EXPECT_EQ(Longshore("frobnicate now"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("there is no command \"frobnicate\"; there are request, pods"));
  api_.On("GET /v1/requests", List(Json::array()));
  api_.On("GET /v1/pods", List(Json::array()));
  EXPECT_EQ(Longshore("requests list"), 0) << err_.str();
  EXPECT_EQ(Longshore("pods list --state Available"), 0) << err_.str();
  EXPECT_EQ(api_.lines().back(), "GET /v1/pods?namespace=backup&state=Available");
}

// A slash at the end of the server's URL is the same server.
TEST_F(CliTest, ServerMayEndWithASlash) {
  api_.On("GET /v1/pods", List(Json::array()));
  EXPECT_EQ(Longshore("pods --server " + api_.url() + "/"), 0) << err_.str();
  EXPECT_THAT(api_.lines(), ElementsAre("GET /v1/pods?namespace=backup"));
}

TEST_F(CliTest, TextOfOthersDoesNotSteerTheTerminal) {
  api_.On("GET /v1/operations/backup/op-1", Problem("bad \x1b[2J thing"), 400);
  EXPECT_EQ(Longshore("operations get op-1"), 2);
  EXPECT_THAT(err_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(CliTest, EmptyListsSaySoBesideStandardOutput) {
  for (const char* kind : {"requests", "pods", "operations", "copies", "sources"}) {
    api_.On(std::string("GET /v1/") + kind, List(Json::array()));
  }
  for (const auto& [line, said] :
       std::map<std::string, std::string>{{"request list", "no requests in namespace backup\n"},
                                          {"pods", "no pods in namespace backup\n"},
                                          {"operations", "no operations in namespace backup\n"},
                                          {"copies", "no copies in namespace backup\n"},
                                          {"sources -A", "no sources\n"}}) {
    EXPECT_EQ(Longshore(line), 0);
    EXPECT_EQ(err_.str(), said);
    EXPECT_EQ(out_.str(), "");
  }
  EXPECT_EQ(Longshore("pods -o name"), 0);
  EXPECT_EQ(out_.str() + err_.str(), "");
  EXPECT_EQ(Longshore("pods -o json"), 0);
  EXPECT_EQ(*api::ParseJson(out_.str()), List(Json::array()));
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CliTest, LoginRemembersPathsNotTokens) {
  api_.On("GET /v1/requests", List(Json::array()));
  EXPECT_EQ(Longshore("login"), 0) << err_.str();
  const std::string config = *ReadFile(folder_ + "/.config/longshore/config.yaml");
  EXPECT_THAT(config, HasSubstr("tokenFile: \"" + folder_ + "/token\""));
  EXPECT_THAT(config, Not(HasSubstr("the-token")));
  environment_ = {{"HOME", folder_}};
  EXPECT_EQ(Longshore("request list"), 0) << err_.str();
  EXPECT_THAT(api_.lines().back(), HasSubstr("namespace=backup"));
  std::ofstream(folder_ + "/.config/longshore/config.yaml") << "token: abc\n";
  EXPECT_EQ(Longshore("request list"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("token: no such field"));
}

TEST_F(CliTest, CompletionKnowsEveryCommand) {
  EXPECT_EQ(Longshore("completion bash"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\"request scale\") words=\""));
  EXPECT_THAT(out_.str(), HasSubstr("--rotate-ca"));
}

TEST_F(CliTest, HelpAndVersionAreSuccesses) {
  EXPECT_EQ(Longshore("--version"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("longshore "));
  EXPECT_EQ(Longshore("--help"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("Exit codes"));
  EXPECT_EQ(Longshore("request --help"), 0);
}

}  // namespace
}  // namespace longshore::cli

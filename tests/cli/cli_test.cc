// SPDX-License-Identifier: Apache-2.0
//
// What holds for every command: output, exit codes, usage, log-in, help.
#include "common/base/files.h"
#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

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
    EXPECT_EQ(err_.str(), "longshore: the detail\n");
  }
  EXPECT_EQ(Longshore("pods --server http://127.0.0.1:9"), 5);
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

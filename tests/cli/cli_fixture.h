// SPDX-License-Identifier: Apache-2.0
//
// The whole tool against scripted answers: what it asks, what it prints, how it ends. One file of
// tests for each group of commands.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cli/session.h"
#include "common/base/strings.h"
#include "tests/cli/fake_manager_api.h"

namespace longshore::cli {

// Time stands still unless somebody sleeps.
class SleepyClock : public Clock {
 public:
  WallTime Now() const override { return *ParseTime("2026-01-01T00:10:00Z") + slept; }
  MonotonicTime Monotonic() const override { return MonotonicTime(slept); }
  std::chrono::milliseconds slept{0};
};

class CliTest : public testing::Test {
 protected:
  CliTest() : folder_("/tmp/longshore-cli-test-" + RandomId(8)) {
    EXPECT_EQ(std::system(("mkdir -p " + folder_).c_str()), 0);
    std::ofstream(folder_ + "/token") << "the-token\n";
    environment_ = {{"LONGSHORE_SERVER", api_.url()},
                    {"LONGSHORE_TOKEN_FILE", folder_ + "/token"},
                    {"LONGSHORE_NAMESPACE", "backup"},
                    {"HOME", folder_}};
  }
  ~CliTest() override { EXPECT_EQ(std::system(("rm -r " + folder_).c_str()), 0); }

  // Runs the tool; what it printed is in out_ and err_ afterwards.
  int Longshore(const std::string& line) {
    out_.str("");
    err_.str("");
    std::vector<std::string> arguments;
    for (const std::string& word : Split(line, ' ')) {
      if (!word.empty()) arguments.push_back(word);
    }
    return cli::Run(arguments,
                    {.out = out_,
                     .err = err_,
                     .environment = [this](const char* name) { return environment_[name]; },
                     .clock = clock_,
                     .sleep =
                         [this](std::chrono::milliseconds time) {
                           clock_.slept += time;
                           return --sleeps_left_ > 0;
                         }});
  }
  static Json List(Json items) { return {{"items", std::move(items)}, {"cursor", "log-1"}}; }
  static Json Problem(const std::string& detail) {
    return {{"title", "x"}, {"status", 400}, {"detail", detail}};
  }
  static Json Operation(const std::string& name, const std::string& part, const Json& status) {
    return {{"namespace", "backup"},
            {"name", name},
            {"createdAt", "2026-01-01T00:08:55Z"},
            {"spec", {{"type", "Backup"}, {"sourceRef", {{"name", "orders"}}}, {"part", part}}},
            {"status", status}};
  }

  const std::string folder_;
  FakeManagerApi api_;
  SleepyClock clock_;
  int sleeps_left_ = 1000;
  std::map<std::string, std::string> environment_;
  std::ostringstream out_, err_;
};

}  // namespace longshore::cli

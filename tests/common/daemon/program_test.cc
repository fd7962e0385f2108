// SPDX-License-Identifier: Apache-2.0
//
// Main() changes how the process takes signals, so each case runs in a process of its own.
#include "common/daemon/program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <thread>

namespace longshore::daemon {
namespace {

using ::testing::ExitedWithCode;

// Sends itself the signal from a thread, as a daemon with threads would get it.
struct Service {
  int signal;
  Status Start() {
    std::fputs("started ", stderr);
    std::thread([this] { ::kill(::getpid(), signal); }).join();
    return {};
  }
  void Stop() { std::fputs("stopped", stderr); }
};

int RunWith(int signal) {
  return Main("longshore-test", Parsed::kRun, [signal] {
    Service service{signal};
    return Serve(service);
  });
}

// Both signals end it in order, with success: the kubelet sends one, a person at a terminal the
// other.
TEST(ProgramTest, StopsInOrderOnEitherSignal) {
  EXPECT_EXIT(std::exit(RunWith(SIGTERM)), ExitedWithCode(0), "started .*stopping.*stopped");
  EXPECT_EXIT(std::exit(RunWith(SIGINT)), ExitedWithCode(0), "started .*stopping.*stopped");
}

// What is wrong with the configuration is one line that names the program.
TEST(ProgramTest, RefusesABadConfigurationWithOneLine) {
  const auto run = [] {
    return Main("longshore-test", Parsed::kRun,
                [] { return Status(InvalidArgument("/x: no such file")); });
  };
  EXPECT_EXIT(std::exit(run()), ExitedWithCode(2), "^longshore-test: /x: no such file\n$");
}

// Help and usage errors start nothing.
TEST(ProgramTest, RunsNothingWhenTheCommandLineEndedIt) {
  const auto never = [] { return Status(Internal("must not run")); };
  EXPECT_EQ(Main("longshore-test", Parsed::kExitSuccess, never), 0);
  EXPECT_EQ(Main("longshore-test", Parsed::kExitUsage, never), 2);
}

}  // namespace
}  // namespace longshore::daemon

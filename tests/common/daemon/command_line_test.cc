// SPDX-License-Identifier: Apache-2.0
#include "common/daemon/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "common/base/log.h"

namespace longshore::daemon {
namespace {

using ::testing::HasSubstr;

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    stream_.host = "leader";
    stream_.port = 9443;
    AddController(app_, stream_);
    AddHealthPort(app_, health_port_);
    AddLogLevel(app_);
  }
  ~CommandLineTest() override { SetLogLevel(LogLevel::kInfo); }

  // What is printed goes to out_ and err_.
  Parsed Read(std::vector<std::string> arguments, const std::function<Status()>& check = {}) {
    arguments.insert(arguments.begin(), "ignored");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const Parsed parsed = Parse(app_, static_cast<int>(argv.size()), argv.data(), check);
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return parsed;
  }

  CLI::App app_{"A program.", "longshore-test"};
  streams::ClientOptions stream_;
  int health_port_ = 9090;
  std::string out_, err_;
};

// Without arguments the defaults stand.
TEST_F(CommandLineTest, KeepsTheDefaults) {
  EXPECT_EQ(Read({}), Parsed::kRun);
  EXPECT_EQ(stream_.host, "leader");
  EXPECT_EQ(stream_.port, 9443);
  EXPECT_EQ(health_port_, 9090);
}

// The last colon parts host and port, so an IPv6 address works as well.
TEST_F(CommandLineTest, SplitsTheControllersAddress) {
  EXPECT_EQ(Read({"--controller", "c.example:65535", "--ca-file=/ca", "--token-file=/token"}),
            Parsed::kRun);
  EXPECT_EQ(stream_.host, "c.example");
  EXPECT_EQ(stream_.port, 65535);
  EXPECT_EQ(stream_.ca_file, "/ca");
  EXPECT_EQ(stream_.token_file, "/token");
}

// One line that names the program, the option and what was given.
TEST_F(CommandLineTest, RefusesWhatIsNoAddress) {
  for (const std::string wrong : {"host", "host:", ":1", "host:0", "host:65536", "host:x"}) {
    EXPECT_EQ(Read({"--controller=" + wrong}), Parsed::kExitUsage) << wrong;
    EXPECT_EQ(err_, "longshore-test: --controller: expected HOST:PORT, got " + wrong + "\n");
    EXPECT_EQ(stream_.host, "leader") << wrong;
  }
}

// Ports beyond 65535 and unknown levels are usage errors, too.
TEST_F(CommandLineTest, RefusesWhatIsOutOfRange) {
  EXPECT_EQ(Read({"--health-port=65536"}), Parsed::kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--health-port"));
  EXPECT_EQ(Read({"--log-level=loud"}), Parsed::kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--log-level"));
  EXPECT_EQ(Read({"--no-such-option"}), Parsed::kExitUsage);
}

// What the caller finds wrong is said in the same way.
TEST_F(CommandLineTest, SaysWhatTheCheckFinds) {
  EXPECT_EQ(Read({}, [] { return InvalidArgument("--a: without --b"); }), Parsed::kExitUsage);
  EXPECT_EQ(err_, "longshore-test: --a: without --b\n");
}

// They go to stdout and end with success; the check isn't asked.
TEST_F(CommandLineTest, PrintsHelpAndVersion) {
  const auto refuse = [] { return InvalidArgument("asked"); };
  EXPECT_EQ(Read({"--help"}, refuse), Parsed::kExitSuccess);
  EXPECT_THAT(out_, HasSubstr("leader:9443"));
  EXPECT_THAT(out_, HasSubstr("0: any"));
  EXPECT_EQ(err_, "");
  EXPECT_EQ(Read({"--version"}, refuse), Parsed::kExitSuccess);
  EXPECT_EQ(out_, Version() + "\n");
}

// From the moment that it is read.
TEST_F(CommandLineTest, SetsTheLogLevel) {
  EXPECT_EQ(Read({"--log-level", "error"}), Parsed::kRun);
  ::testing::internal::CaptureStderr();
  LogWarn("not printed");
  LogError("printed");
  const std::string logged = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(logged, HasSubstr("\"printed\""));
  EXPECT_THAT(logged, ::testing::Not(HasSubstr("not printed")));
}

}  // namespace
}  // namespace longshore::daemon

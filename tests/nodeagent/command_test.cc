// SPDX-License-Identifier: Apache-2.0
//
// The program as its user meets it: options, help, `doctor` and `top`, on the running kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Outcome {
  int status = -1;
  std::string said;  // stdout and stderr
};

Outcome Say(const std::string& arguments) {
  const std::string command =
      "env -u NODE_NAME " LONGSHORE_NODEAGENT " " + arguments + " 2>&1 </dev/null";
  std::FILE* out = ::popen(command.c_str(), "r");
  Outcome outcome;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, out)) {
    outcome.said.append(buffer, count);
  }
  const int status = ::pclose(out);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// A wrong option ends it at once, with what is wrong and what would be right.
TEST(CommandTest, AWrongOptionIsNamed) {
  const struct {
    const char* arguments;
    const char* said;
  } cases[] = {
      {"", "--controller"},
      {"--controller there:1 --token-file t --ca-file c", "--node-name"},
      {"top --sort colour", "there is no column colour, but cpu"},
      {"top --interval 0", "--interval"},
      {"top --max-cgroups 3", "--max-cgroups"},
      {"doctor -o yaml", "--output"},
      {"tpo", "tpo"},
  };
  for (const auto& [arguments, said] : cases) {
    const Outcome outcome = Say(arguments);
    EXPECT_EQ(outcome.status, 2) << arguments << ": " << outcome.said;
    EXPECT_THAT(outcome.said, HasSubstr(said)) << arguments;
  }
}

TEST(CommandTest, HelpNamesEachCommandAndItsOptions) {
  const Outcome all = Say("--help");
  EXPECT_EQ(all.status, 0);
  for (const char* name : {"run", "top", "doctor", "--metrics-pods"}) {
    EXPECT_THAT(all.said, HasSubstr(name));
  }
  const Outcome top = Say("top --help");
  EXPECT_EQ(top.status, 0);
  for (const char* name : {"--sort", "--once", "--pod-logs", "psi-cpu"}) {
    EXPECT_THAT(top.said, HasSubstr(name));
  }
  EXPECT_EQ(Say("--version").status, 0);
}

// Where there are no pods, both say what is missing instead of showing nothing.
TEST(CommandTest, AWrongRootIsSaid) {
  const Outcome doctor = Say("doctor -o json --cgroup-root /not-there");
  EXPECT_EQ(doctor.status, 2) << doctor.said;
  const Json found = Json::parse(doctor.said);
  EXPECT_EQ(found["state"], "broken");
  for (const Json& check : found["checks"]) {
    if (check["check"] != "cgroups") continue;
    EXPECT_EQ(check["state"], "broken");
    EXPECT_THAT(check["what"].get<std::string>(), HasSubstr("/not-there"));
    EXPECT_THAT(check["advice"].get<std::string>(), HasSubstr("--cgroup-root"));
  }
  const Outcome top = Say("top --once --cgroup-root /not-there");
  EXPECT_EQ(top.status, 2);
  EXPECT_THAT(top.said, HasSubstr("/not-there"));
}

// A pod that works, as a user sees it.
class CommandKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = TestCgroups::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    cgroups_ = std::make_unique<TestCgroups>("command");
    cgroups_->Make("podseen-one/" + ContainerName());
    busy_ = cgroups_->Run("podseen-one/" + ContainerName(), [] {
      for (;;) Spin(milliseconds(1000));
    });
    where_ = " --cgroup-root " + cgroups_->root();
  }
  void TearDown() override {
    if (busy_ < 0) return;
    ::kill(busy_, SIGKILL);
    WaitFor(busy_);
  }
  std::unique_ptr<TestCgroups> cgroups_;
  pid_t busy_ = -1;
  std::string where_;
};

TEST_F(CommandKernelTest, TopPrintsOneIntervalForPeopleAndForPrograms) {
  const Outcome table = Say("top --once --interval 0.3" + where_);
  EXPECT_EQ(table.status, 0) << table.said;
  EXPECT_THAT(table.said, HasSubstr("seen-one"));
  EXPECT_THAT(table.said, HasSubstr("[CPU]"));
  const Outcome json = Say("top --once --interval 0.3 -o json --pod seen" + where_);
  ASSERT_EQ(json.status, 0) << json.said;
  const Json seen = Json::parse(json.said);
  ASSERT_EQ(seen["pods"].size(), 1u);
  EXPECT_EQ(seen["pods"][0]["uid"], "seen-one");
  EXPECT_GT(seen["pods"][0]["cpuCores"], 0.1);
  EXPECT_TRUE(seen["pods"][0]["preemptedBy"].is_array());
  EXPECT_EQ(seen["pods"][0]["containers"].size(), 1u);
  EXPECT_EQ(seen["node"]["pods"]["cpuCores"], seen["pods"][0]["cpuCores"]);
}

TEST_F(CommandKernelTest, TopSaysThatThereIsNoSuchPod) {
  const Outcome outcome = Say("top --once --interval 0.1 --pod unseen" + where_);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.said, HasSubstr("unseen"));
}

TEST_F(CommandKernelTest, DoctorFindsAllThatIsNeeded) {
  const Outcome outcome = Say("doctor -o json" + where_);
  EXPECT_LE(outcome.status, 1) << outcome.said;  // 1: some signal is missing on this machine
  const Json found = Json::parse(outcome.said);
  EXPECT_NE(found["state"], "broken");
  EXPECT_GT(found["checks"].size(), 10u);
  const Outcome table = Say("doctor" + where_);
  for (const char* check : {"capabilities", "lockdown", "programs", "run-queue-wait"}) {
    EXPECT_THAT(table.said, HasSubstr(check));
  }
}

}  // namespace
}  // namespace longshore::nodeagent

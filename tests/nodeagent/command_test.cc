// SPDX-License-Identifier: Apache-2.0
//
// The program as its user meets it, where it measures nothing: options, help and what is missing.
// With pods: command_kernel_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/nodeagent/program.h"

namespace longshore::nodeagent {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

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
      {"top --interval nan", "--interval"},
      {"top --pod ''", "--pod: is empty"},
      {"top --cgroup-root node-1", "--cgroup-root: auto, or a path"},
      {"doctor --cgroup-root /sys/fs/cgroup/node-1", "without where they are mounted"},
      {"top --max-cgroups 3", "--max-cgroups"},
      {"top --max-device-cells 4097", "--max-device-cells"},
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
  bool found_it = false;
  for (const Json& check : found["checks"]) {
    if (check["check"] != "cgroups") continue;
    found_it = true;
    EXPECT_EQ(check["state"], "broken");
    EXPECT_THAT(check["what"].get<std::string>(), HasSubstr("/not-there"));
    EXPECT_THAT(check["advice"].get<std::string>(), HasSubstr("cgroupRoot"));
  }
  EXPECT_TRUE(found_it) << found["checks"];
  const Outcome top = Say("top --once --cgroup-root /not-there");
  EXPECT_EQ(top.status, 2);
  EXPECT_THAT(top.said, HasSubstr("/not-there"));
}

}  // namespace
}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// `doctor` and `top` as their user meets them, on the running kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/nodeagent/kernel_side_test.h"
#include "tests/nodeagent/program.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using Json = nlohmann::json;

// A pod that works, as a user sees it.
class CommandKernelTest : public KernelSideTest {
 protected:
  void SetUp() override {
    KernelSideTest::SetUp();
    if (IsSkipped()) return;
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
  ASSERT_EQ(seen["pods"][0]["containers"].size(), 1u);
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

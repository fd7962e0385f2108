// SPDX-License-Identifier: Apache-2.0
//
// Whose fault it is, and what our own programs cost, on the running kernel.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/nodeagent/kernel_agent.h"

namespace longshore::nodeagent {
namespace {

class PreemptionTest : public KernelSideTest {};

// Two pods on one CPU: the watched one is told who took the CPU from it, and for how long; the
// other, unwatched, isn't told of.
TEST_F(PreemptionTest, AWatchedPodIsToldWhoTookItsCpu) {
  TestCgroups cgroups("preempt");
  for (const char* path : {"podvictim/c1", "podoffender/c1", "podelsewhere/c1"}) {
    cgroups.Make(path);
  }
  KernelAgent agent(cgroups.Layout());
  agent.tree().Watch({"victim"});
  const auto hog = [] {
    PinOrExit(0);
    Spin(milliseconds(200));
  };
  Worker victim(cgroups, "podvictim/c1", hog), offender(cgroups, "podoffender/c1", hog);
  Worker elsewhere(cgroups, "podelsewhere/c1", [] { Spin(milliseconds(10)); });
  ASSERT_TRUE(victim.Finish());
  ASSERT_TRUE(offender.Finish());
  ASSERT_TRUE(elsewhere.Finish());
  agent.After(milliseconds(0));
  const auto rows = agent.tree().Preemptions();
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [](const Preemption& row) { return row.offender == "offender"; });
  ASSERT_NE(found, rows.end());
  EXPECT_GT(found->count, 5u);
  EXPECT_GT(found->offender_ns, 10'000'000u);
  EXPECT_LE(found->offender_ns, agent.Of("offender").cpu_ns);
  uint64_t all = 0;
  for (const Preemption& row : rows) {
    EXPECT_EQ(row.victim, "victim");
    all += row.count;
  }
  EXPECT_LE(all, victim.Truth().involuntary_switches);
  EXPECT_EQ(agent.host().Lost().preemptions, 0u);
}

// What a pod did to others ends with it, and isn't passed on with its index.
TEST_F(PreemptionTest, AnIndexThatIsUsedAgainBringsNoPreemptionsWithIt) {
  TestCgroups cgroups("reuse");
  const CgroupLayout layout = cgroups.Layout();
  BpfConfig config = ConfigFor(layout);
  config.max_cgroups = 16;
  cgroups.Make("podvictim/c1");
  KernelAgent agent(layout, config);
  agent.tree().Watch({"victim"});
  const auto hog = [] {
    PinOrExit(0);
    Spin(milliseconds(60));
  };
  for (int round = 0; round < 4; ++round) {
    const std::string uid = "offender" + std::to_string(round);
    cgroups.Make("pod" + uid + "/c1");
    {
      Worker victim(cgroups, "podvictim/c1", hog), offender(cgroups, "pod" + uid + "/c1", hog);
      ASSERT_TRUE(victim.Finish());
      ASSERT_TRUE(offender.Finish());
      agent.After(milliseconds(0));
      const uint64_t own = offender.Truth().cpu_ns;
      EXPECT_EQ(agent.Of(uid).cpu_ns, own) << "begins with nothing";
      for (const Preemption& row : agent.tree().Preemptions()) {
        EXPECT_TRUE(row.offender == uid || row.offender.empty()) << row.offender;
        if (row.offender == uid) {
          EXPECT_LE(row.offender_ns, own);
        }
      }
    }
    cgroups.Remove("pod" + uid);
    agent.After(milliseconds(10));
    agent.After(milliseconds(400));  // its tombstone
    agent.After(milliseconds(50));   // the index has rested
    EXPECT_EQ(agent.Finals(uid), 1);
  }
  EXPECT_EQ(agent.host().Lost().no_index, 0u) << "indices come back";
}

// The agent knows what its own programs cost, without the kernel's statistics.
TEST_F(PreemptionTest, ProgramsAreTimedOnceInAThousandRuns) {
  TestCgroups cgroups("cost");
  cgroups.Make("podcost/c1");
  KernelAgent agent(cgroups.Layout());
  Worker worker(cgroups, "podcost/c1", [] {
    for (int i = 0; i < 8000; ++i) ::usleep(1);
  });
  ASSERT_TRUE(worker.Finish());
  cgroups.Make("podcost/c2");
  EXPECT_EQ(WaitFor(cgroups.Run("podcost/c2", [] {})), 0);
  agent.After(milliseconds(0));
  const auto costs = agent.host().Costs();
  const auto cost = std::find_if(costs.begin(), costs.end(), [](const ProgramCost& row) {
    return row.program == "sched_switch";
  });
  ASSERT_NE(cost, costs.end());
  EXPECT_GE(cost->runs, 8000u);
  EXPECT_GE(cost->sampled_runs, 4u);
  EXPECT_LE(cost->sampled_runs, cost->runs / 1024);
  EXPECT_GT(cost->sampled_ns, 0u);
  EXPECT_LT(cost->sampled_ns / cost->sampled_runs, 100'000u);
  // Each is told of, also those that run seldom; of these, what surely ran here.
  for (const std::string_view name : {"flush", "process_exit", "cgroup"}) {
    const auto rare = std::ranges::find(costs, name, &ProgramCost::program);
    ASSERT_NE(rare, costs.end()) << name;
    EXPECT_GT(rare->runs, 0u) << name;
  }
}

}  // namespace
}  // namespace longshore::nodeagent

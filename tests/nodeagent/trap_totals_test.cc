// SPDX-License-Identifier: Apache-2.0
//
// The traps of sums: what is read while it moves, and what a machine's whole is made of.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "tests/nodeagent/kernel_side_test.h"
#include "tests/nodeagent/test_agent.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

class TrapTotalsTest : public KernelSideTest {};

// Pods + system + idle = the machine. The kernel's counter of the root cgroup is not among them: on
// some versions it is another one. Steal and interrupts are the machine's too, where they are kept
// apart from the tasks.
TEST_F(TrapTotalsTest, T21_PodsAndSystemAndIdleAddUpToTheMachine) {
  TestCgroups cgroups("whole");
  cgroups.Make("podwhole/c1");
  TestAgent agent(cgroups.Layout());
  const Sample before = agent.Take();
  const pid_t other = ForkBound();
  if (other == 0) {
    Spin(milliseconds(500));
    ::_exit(0);
  }
  const pid_t ours = cgroups.Run("podwhole/c1", [] { Spin(milliseconds(700)); });
  EXPECT_EQ(WaitFor(ours), 0);
  EXPECT_EQ(WaitFor(other), 0);
  const Sample after = agent.After(milliseconds(3000));
  const auto grown = [&](uint64_t NodeUsage::* field) {
    return static_cast<double>(after.node.*field - before.node.*field) / 1e9;
  };
  const double pods = static_cast<double>(after.node.pods.cpu_ns - before.node.pods.cpu_ns) / 1e9;
  const double system = grown(&NodeUsage::system_cpu_ns);
  const double machine = std::chrono::duration<double>(after.end - before.end).count() *
                         static_cast<double>(after.node.cpu_capacity_milli) / 1000;
  const double rest = grown(&NodeUsage::idle_cpu_ns) + grown(&NodeUsage::steal_cpu_ns);
  EXPECT_NEAR(pods, 0.7, 0.05);
  EXPECT_GE(system, 0.45);
  // The machine counts in ticks, at several places.
  EXPECT_LE(pods + system + rest, 1.02 * machine);
  EXPECT_GE(pods + system + rest + grown(&NodeUsage::interrupt_cpu_ns), 0.98 * machine);
}

// The kernel brings its sums up to date when they are read; ours is never behind what it said
// before ours was taken, never ahead of what it says after, and never falls.
TEST_F(TrapTotalsTest, T22_EverySampleLiesBetweenTheKernelsReadingsAroundIt) {
  TestCgroups cgroups("bracket");
  cgroups.Make("podbracket/c1");
  const CgroupLayout layout = cgroups.Layout();
  TestAgent agent(layout);
  const pid_t busy = cgroups.Run("podbracket/c1", [] {
    for (int total = 3;; total += 3) {  // Spin() counts from the beginning of the process
      Spin(milliseconds(total));
      ::usleep(1000);
    }
  });
  // A task that runs is up to a tick older in its own counter than it will be with the kernel's
  // next; the file is in microseconds.
  constexpr uint64_t kTickNs = 10'000'000, kFileNs = 1000;
  uint64_t last = 0;
  for (int i = 0; i < 60; ++i) {
    const uint64_t least = CpuTruth(layout, "podbracket");
    agent.After(milliseconds(50));
    const uint64_t counted = agent.cpu_ns("bracket");
    const uint64_t most = CpuTruth(layout, "podbracket");
    EXPECT_GE(counted + kTickNs, least) << i;
    EXPECT_LE(counted, most + kTickNs + kFileNs) << i;
    EXPECT_GE(counted, last) << i;
    last = counted;
  }
  ::kill(busy, SIGKILL);
  WaitFor(busy);
  EXPECT_GT(last, 200'000'000u);
}

}  // namespace
}  // namespace longshore::nodeagent

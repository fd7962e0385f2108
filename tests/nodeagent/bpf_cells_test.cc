// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/bpf_cells.h"

#include <gtest/gtest.h>

#include <array>

namespace longshore::nodeagent {
namespace {

// A machine may have 160 possible CPUs and 2 that are: the cells of the others are not read.
TEST(BpfCellsTest, CpusThatNeverRanAreNotRead) {
  std::array<agent_slot, 3> cpus{};
  std::array<agent_counters, 6> cells{};  // of two indices
  for (agent_counters& cell : cells) cell.used.cpu_ns = 1;
  cpus[0].costs[AGENT_PROGRAM_SWITCH].runs = 7;
  cpus[2].costs[AGENT_PROGRAM_FLUSH].runs = 1;  // it runs one task, since before us
  EXPECT_EQ(SumOf(cells.data() + 1, 2, cpus).cpu_ns, 2u);
  EXPECT_FALSE(EverRan(cpus[1]));
}

}  // namespace
}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/node_files.h"

#include <gtest/gtest.h>

#include "tests/nodeagent/file_tree.h"

namespace longshore::nodeagent {
namespace {

constexpr char kPsi[] =
    "some avg10=0.12 avg60=0.00 avg300=0.00 total=123456\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n";

TEST(PressureTest, IsTheCumulativeTotalOfBothKinds) {
  const auto totals = ParsePressure(kPsi);
  ASSERT_TRUE(totals.has_value());
  EXPECT_EQ(totals->some_us, 123456u);
  EXPECT_EQ(totals->full_us, 99u);
  EXPECT_FALSE(ParsePressure("").has_value());
  EXPECT_FALSE(ParsePressure("full avg10=0.00 total=99\n").has_value());
}

// "Unknown" must not read as "no pressure": the placement would prefer the node. psi=0 leaves the
// files away or unreadable.
TEST(PressureTest, IsUnknownUnlessAllThreeAreThere) {
  FileTree proc;
  proc.Write("pressure/cpu", kPsi);
  proc.Write("pressure/io", kPsi);
  EXPECT_FALSE(ReadPressure("", proc.path()).has_value());
  proc.Write("pressure/memory", "");
  EXPECT_FALSE(ReadPressure("", proc.path()).has_value());
  proc.Write("pressure/memory", "some avg10=0 avg60=0 avg300=0 total=3\n");  // before 5.13
  const auto pressure = ReadPressure("", proc.path());
  ASSERT_TRUE(pressure.has_value());
  EXPECT_EQ(pressure->io_full_us, 99u);
  EXPECT_EQ(pressure->memory_some_us, 3u);
  EXPECT_EQ(pressure->memory_full_us, 0u);
}

TEST(NodeFilesTest, MemoryIsInBytes) {
  NodeUsage node;
  ASSERT_TRUE(
      ParseMemInfo("MemTotal:       1000 kB\nMemFree: 5 kB\nMemAvailable:    400 kB\n", node));
  EXPECT_EQ(node.memory_capacity_bytes, 1024000u);
  EXPECT_EQ(node.memory_available_bytes, 409600u);
  EXPECT_FALSE(ParseMemInfo("", node));
}

// Trap 21: the root cgroup's counters are not its CPU; the machine's is what /proc/stat says.
TEST(NodeFilesTest, TheMachinesCpuIsThatOfProcStat) {
  NodeUsage node;
  ASSERT_TRUE(
      ParseProcStat("cpu  10 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n", 100, node));
  EXPECT_EQ(node.idle_cpu_ns, 4'500'000'000u);  // iowait included
  EXPECT_EQ(node.interrupt_cpu_ns, 130'000'000u);
  EXPECT_EQ(node.steal_cpu_ns, 80'000'000u);
  EXPECT_FALSE(ParseProcStat("intr 1\n", 100, node));
}

// The kernel's iowait may fall; a cumulative counter of ours must not, or a rate would be negative.
TEST(NodeFilesTest, IdleTimeNeverGoesBackwards) {
  NodeUsage node;
  ParseProcStat("cpu  1 1 1 400 50 0 0 0\n", 100, node);
  ParseProcStat("cpu  1 1 1 400 40 0 0 0\n", 100, node);
  EXPECT_EQ(node.idle_cpu_ns, 4'500'000'000u);
}

TEST(NodeFilesTest, PageCacheIsOfTheWholeMachine) {
  NodeUsage node;
  ASSERT_TRUE(
      ParseVmStat("nr_dirty 3\nnr_writeback 2\nnr_writeback_temp 9\nnr_dirty_threshold 9\n"
                  "workingset_refault_anon 9\nworkingset_refault_file 7\n",
                  4096, node));
  EXPECT_EQ(node.dirty_bytes, 3u * 4096);
  EXPECT_EQ(node.writeback_bytes, 2u * 4096);
  EXPECT_EQ(node.refaults, 7u);
}

// A nested kubelet's pressure is that of its own cgroup, not the machine's.
TEST(NodeFilesTest, ReadsAllOfItAndPressureWhereTheKubeletsIs) {
  FileTree tree;
  tree.Write("proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 4 kB\n");
  tree.Write("proc/stat", "cpu  1 2 3 4 5 6 7 8\n");
  tree.Write("proc/vmstat", "nr_dirty 1\n");
  for (const char* resource : {"cpu", "io", "memory"}) {
    tree.Write("node-1/" + std::string(resource) + ".pressure", kPsi);
  }
  NodeFiles nested(tree.path("/proc"), tree.path("/node-1"));
  NodeUsage node;
  nested.Read(node);
  EXPECT_EQ(node.memory_capacity_bytes, 10240u);
  EXPECT_GT(node.idle_cpu_ns, 0u);
  EXPECT_GT(node.dirty_bytes, 0u);
  ASSERT_TRUE(node.pressure.has_value());
  EXPECT_EQ(node.pressure->cpu_some_us, 123456u);
  NodeFiles machine(tree.path("/proc"), "");
  NodeUsage other;
  machine.Read(other);
  EXPECT_FALSE(other.pressure.has_value());
}

}  // namespace
}  // namespace longshore::nodeagent

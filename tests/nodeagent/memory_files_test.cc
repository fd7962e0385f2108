// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/memory_files.h"

#include <gtest/gtest.h>

#include "nodeagent/throttling.h"
#include "tests/nodeagent/file_tree.h"

namespace longshore::nodeagent {
namespace {

// Each gauge from its own line of a v2 file; lines that only sound alike count nowhere.
TEST(MemoryStatTest, V2IsSplitAndTheWorkingSetIsWhatCannotBeReclaimed) {
  const MemoryGauges gauges = ParseMemoryStat(
      "anon 100\nfile 5000\nkernel 99\nkernel_stack 3\npagetables 4\npercpu 5\nsock 6\nshmem 20\n"
      "file_mapped 77\nfile_dirty 30\nfile_writeback 31\ninactive_anon 70\ninactive_file 4000\n"
      "active_file 900\nslab_reclaimable 900\nslab_unreclaimable 7\nanon_thp 50\n"
      "workingset_refault_anon 8\nworkingset_refault_file 9\n",
      true);
  EXPECT_EQ(gauges.working_set_bytes, 145u);
  EXPECT_EQ(gauges.anon_bytes, 100u);
  EXPECT_EQ(gauges.file_bytes, 5000u);
  EXPECT_EQ(gauges.inactive_file_bytes, 4000u);
  EXPECT_EQ(gauges.dirty_bytes, 30u);
  EXPECT_EQ(gauges.writeback_bytes, 31u);
  EXPECT_EQ(gauges.refaults, 9u);
}

// v1 tells each number twice: the cgroup's own, and with all below it. A pod's is the latter.
TEST(MemoryStatTest, V1TakesTheHierarchicalLines) {
  const MemoryGauges gauges = ParseMemoryStat(
      "cache 1\nrss 2\nshmem 3\ndirty 1\nwriteback 1\ninactive_file 1\nworkingset_refault_file 1\n"
      "total_cache 999\ntotal_rss 40\ntotal_shmem 5\ntotal_dirty 6\ntotal_writeback 7\n"
      "total_inactive_file 800\ntotal_workingset_refault_file 8\n",
      false);
  EXPECT_EQ(gauges.working_set_bytes, 45u);
  EXPECT_EQ(gauges.anon_bytes, 40u);
  EXPECT_EQ(gauges.file_bytes, 999u);
  EXPECT_EQ(gauges.inactive_file_bytes, 800u);
  EXPECT_EQ(gauges.dirty_bytes, 6u);
  EXPECT_EQ(gauges.writeback_bytes, 7u);
  EXPECT_EQ(gauges.refaults, 8u);
}

// Trap 27: what a backup has read becomes page cache, part of it active. The kubelet's working set
// grows by that; ours does not.
TEST(MemoryStatTest, T27_APageCacheThatABackupFilledIsNotDemand) {
  const auto read = [](uint64_t active_file, uint64_t inactive_file) {
    MemoryGauges gauges = ParseMemoryStat(
        "anon 1000\nfile " + std::to_string(active_file + inactive_file) + "\ninactive_file " +
            std::to_string(inactive_file) + "\nactive_file " + std::to_string(active_file) + "\n",
        true);
    gauges.kubelet_working_set_bytes =
        KubeletWorkingSet(1000 + active_file + inactive_file, gauges.inactive_file_bytes);
    return gauges;
  };
  const MemoryGauges before = read(0, 0), after = read(3'000'000, 1'000'000);
  EXPECT_EQ(after.working_set_bytes, before.working_set_bytes);
  EXPECT_EQ(after.kubelet_working_set_bytes, before.kubelet_working_set_bytes + 3'000'000);
}

TEST(MemoryFilesTest, AreReadAgainThroughTheSameDescriptors) {
  FileTree tree;
  tree.Write("memory.current", "4096\n");
  tree.Write("memory.stat", "anon 1000\ninactive_file 96\n");
  OpenFiles open_files;
  MemoryFiles files(true, open_files);
  ASSERT_TRUE(files.Read(tree.path()).has_value());
  EXPECT_EQ(open_files.open(), 2u);
  tree.Write("memory.current", "8192\n");
  const auto again = files.Read(tree.path());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->usage_bytes, 8192u);
  EXPECT_EQ(again->kubelet_working_set_bytes, 8096u);
  EXPECT_EQ(open_files.open(), 2u);
}

// Where it is open already, nobody has to know its path.
TEST(KeptFileTest, APathInPiecesIsPutTogetherToOpenItOnly) {
  FileTree tree;
  tree.Write("a/b.txt", "1\n");
  OpenFiles open_files;
  KeptFile file(open_files);
  EXPECT_EQ(file.Read(tree.path(), std::string_view("/a/"), "b", ".txt"), "1\n");
  tree.Write("a/b.txt", "2\n");
  EXPECT_EQ(file.Read(tree.path(), "/elsewhere"), "2\n");
}

// A file that finds no room is read all the same, and leaves nothing open.
TEST(MemoryFilesTest, BeyondTheLimitFilesAreOpenedForEachRead) {
  FileTree tree;
  tree.Write("memory.current", "4096\n");
  tree.Write("memory.stat", "anon 1000\n");
  OpenFiles open_files(1);
  MemoryFiles files(true, open_files);
  for (int i = 0; i < 3; ++i) {
    const auto read = files.Read(tree.path());
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->anon_bytes, 1000u);
    EXPECT_EQ(open_files.open(), 1u);
  }
}

TEST(MemoryFilesTest, AGoneCgroupHasNoMemory) {
  FileTree tree;
  OpenFiles open_files;
  MemoryFiles files(false, open_files);
  EXPECT_FALSE(files.Read(tree.path("/none")).has_value());
  EXPECT_EQ(open_files.open(), 0u);
}

TEST(ThrottlingTest, IsInNanosecondsOnBothVersions) {
  const char* v2 = "usage_usec 9\nnr_periods 8\nnr_throttled 3\nthrottled_usec 250\n";
  EXPECT_EQ(ParseThrottled(v2).time_ns, 250'000u);
  EXPECT_EQ(ParseThrottled(v2).periods, 8u);
  EXPECT_EQ(ParseThrottled("nr_periods 9\nnr_throttled 3\nthrottled_time 250\n").time_ns, 250u);
  EXPECT_EQ(ParseThrottled("usage_usec 9\n").time_ns, 0u);
}

}  // namespace
}  // namespace longshore::nodeagent

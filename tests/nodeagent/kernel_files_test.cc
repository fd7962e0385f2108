// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/kernel_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace longshore::nodeagent {
namespace {

namespace fs = std::filesystem;

TEST(WorkingSetTest, V2CountsWhatCannotBeReclaimed) {
  EXPECT_EQ(ParseWorkingSet("anon 100\nfile 5000\nkernel_stack 3\npagetables 4\npercpu 5\nsock 6\n"
                            "shmem 20\nslab_reclaimable 900\nslab_unreclaimable 7\n"
                            "inactive_file 4000\nanon_thp 50\n",
                            true),
            145u);
}

TEST(WorkingSetTest, V1TakesTheHierarchicalLines) {
  EXPECT_EQ(ParseWorkingSet("cache 1\nrss 2\nshmem 3\ntotal_cache 999\ntotal_rss 40\n"
                            "total_shmem 5\n",
                            false),
            45u);
}

TEST(IoTotalsTest, SumOverDevices) {
  const Counters v2 = ParseIoStat(
      "254:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=99 dios=1\n8:0 rbytes=1 wbytes=2 rios=1 "
      "wios=1\n7:0 \n");
  EXPECT_EQ(v2.read_bytes, 11u);
  EXPECT_EQ(v2.write_bytes, 22u);
  EXPECT_EQ(v2.read_ops, 4u);
  EXPECT_EQ(v2.write_ops, 5u);
  uint64_t read = 0, write = 0;
  ParseBlkio(
      "254:0 Read 10\n254:0 Write 20\n254:0 Sync 30\n254:0 Total 30\n8:0 Write 1\nTotal 31\n", read,
      write);
  EXPECT_EQ(read, 10u);
  EXPECT_EQ(write, 21u);
}

TEST(PressureTest, IsTheCumulativeTotalOfSome) {
  EXPECT_EQ(ParsePressureTotal("some avg10=0.12 avg60=0.00 avg300=0.00 total=123456\n"
                               "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n"),
            123456u);
  EXPECT_FALSE(ParsePressureTotal("").has_value());
  EXPECT_FALSE(ParsePressureTotal("full avg10=0.00 total=99\n").has_value());
}

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("longshore-files-" + std::to_string(::getpid()));
    fs::create_directories(directory_ / "pressure");
  }
  void TearDown() override { fs::remove_all(directory_); }
  void Write(const std::string& file, const std::string& text) {
    std::ofstream(directory_ / file) << text;
  }
  fs::path directory_;
};

TEST_F(FilesTest, MemoryIsReadAgainThroughTheSameDescriptors) {
  Write("memory.current", "4096\n");
  Write("memory.stat", "anon 1000\n");
  MemoryFiles files(directory_.string(), true);
  ASSERT_TRUE(files.Read().has_value());
  Write("memory.current", "8192\n");
  const auto again = files.Read();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->usage_bytes, 8192u);
  EXPECT_EQ(again->working_set_bytes, 1000u);
}

TEST_F(FilesTest, AGoneCgroupHasNoMemory) {
  MemoryFiles files((directory_ / "none").string(), false);
  EXPECT_FALSE(files.Read().has_value());
}

// "Unknown" must not read as "no pressure": the placement would prefer the node.
TEST_F(FilesTest, PressureIsUnknownUnlessAllThreeAreThere) {
  Write("pressure/cpu", "some avg10=0 avg60=0 avg300=0 total=1\n");
  Write("pressure/io", "some avg10=0 avg60=0 avg300=0 total=2\n");
  EXPECT_FALSE(ReadPressure("", directory_.string()).has_value());
  Write("pressure/memory", "some avg10=0 avg60=0 avg300=0 total=3\n");
  const auto pressure = ReadPressure("", directory_.string());
  ASSERT_TRUE(pressure.has_value());
  EXPECT_EQ(pressure->memory_some_us, 3u);
}

TEST_F(FilesTest, NodeMemoryIsInBytes) {
  Write("meminfo", "MemTotal:       1000 kB\nMemFree: 5 kB\nMemAvailable:    400 kB\n");
  const auto memory = ReadNodeMemory(directory_.string());
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->capacity_bytes, 1024000u);
  EXPECT_EQ(memory->available_bytes, 409600u);
}

}  // namespace
}  // namespace longshore::nodeagent

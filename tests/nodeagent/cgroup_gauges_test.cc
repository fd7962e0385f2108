// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/cgroup_gauges.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/nodeagent/file_tree.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Psi(int total) {
  return "some avg10=0 avg60=0 avg300=0 total=" + std::to_string(total) + "\n";
}

class CgroupGaugesTest : public ::testing::Test {
 protected:
  CgroupGaugesTest() {
    for (CgroupPlace* place : {&layout_.cpu, &layout_.memory, &layout_.quota}) {
      *place = {tree_.path(), 0, true};
    }
  }
  // The files of one cgroup, with `value` in each.
  void Cgroup(const std::string& path, int value) {
    const std::string base = path.substr(1), text = std::to_string(value);
    tree_.Write(base + "/memory.current", text + "\n");
    tree_.Write(base + "/memory.stat", "anon " + text + "\nworkingset_refault_file " + text + "\n");
    tree_.Write(base + "/memory.events", "oom_kill " + text + "\n");
    tree_.Write(base + "/cpu.stat", "throttled_usec " + text + "\n");
    for (const char* resource : {"/cpu", "/io", "/memory"}) {
      tree_.Write(base + resource + ".pressure", Psi(value));
    }
  }
  // Files of a cgroup that is gone cannot be read, also not through a descriptor that is open.
  void End(const std::string& path) {
    for (const auto& file : std::filesystem::directory_iterator(tree_.path(path))) {
      if (file.is_regular_file()) std::filesystem::resize_file(file.path(), 0);
    }
  }
  PodSample& AddPod(const std::string& uid, int containers) {
    PodSample pod;
    pod.uid = uid;
    pod.relative_path = "/pod" + uid;
    for (int i = 0; i < containers; ++i) {
      const std::string id = "c" + std::to_string(i);
      pod.containers.push_back({.id = id, .relative_path = pod.relative_path + "/" + id});
    }
    pods_.push_back(pod);
    return pods_.back();
  }
  void Fill(milliseconds later = seconds(1)) {
    now_ += later;
    gauges_.Fill(pods_, now_);
  }

  FileTree tree_;
  CgroupLayout layout_;
  std::vector<PodSample> pods_;
  MonotonicTime now_{std::chrono::hours(5)};
  CgroupGauges gauges_{layout_, 100};
};

TEST_F(CgroupGaugesTest, APodAndItsContainersHaveTheirOwn) {
  Cgroup("/poda", 10);
  Cgroup("/poda/c0", 3);
  AddPod("a", 1);
  Fill();
  const Usage& pod = pods_[0].usage;
  const Usage& container = pods_[0].containers[0].usage;
  EXPECT_EQ(pod.memory.usage_bytes, 10u);
  EXPECT_EQ(container.memory.usage_bytes, 3u);
  // The kernel counts throttling for the cgroup that has the quota only, OOM kills for all above.
  EXPECT_EQ(pod.throttled_ns, 13'000u);
  EXPECT_EQ(container.throttled_ns, 3'000u);
  EXPECT_EQ(pod.oom_kills, 10u);
  ASSERT_TRUE(pod.pressure.has_value());
  EXPECT_EQ(pod.pressure->io_some_us, 10u);
  EXPECT_FALSE(container.pressure.has_value());
}

// What the header promises about cost: an idle pod is read every 5 s, at a moment of its own.
TEST_F(CgroupGaugesTest, AnIdlePodIsReadEveryFiveSecondsAndABusyOneWheneverItRan) {
  Cgroup("/podidle", 1);
  Cgroup("/podbusy", 1);
  AddPod("idle", 0);
  AddPod("busy", 0);
  Fill();
  int idle_reads = 0, busy_reads = 0, memory_reads = 0;
  for (int i = 2; i <= 21; ++i) {
    Cgroup("/podidle", i);
    Cgroup("/podbusy", i);
    for (const char* resource : {"cpu", "io", "memory"}) {
      tree_.Write("podidle/" + std::string(resource) + ".pressure", Psi(1));
    }
    pods_[1].usage.counters.cpu_ns += 1;
    Fill();
    if (pods_[0].usage.throttled_ns == static_cast<uint64_t>(i) * 1000) ++idle_reads;
    if (pods_[1].usage.pressure->cpu_some_us == static_cast<uint64_t>(i)) ++busy_reads;
    if (pods_[1].usage.memory.usage_bytes == static_cast<uint64_t>(i)) ++memory_reads;
  }
  EXPECT_EQ(idle_reads, 4);
  EXPECT_EQ(busy_reads, 20);
  EXPECT_EQ(memory_reads, 4);
}

// Without a quota nothing is throttled, and no period of one passes. It is taken to be there until
// it is known not to be, and one that is set later is noticed within 5 s.
TEST_F(CgroupGaugesTest, ThrottledTimeIsReadEachTimeWhereThereIsAQuota) {
  AddPod("a", 0);
  int value = 1, periods = 0;
  const auto reads = [&](int samples, int periods_each) {
    int count = 0;
    for (int i = 0; i < samples; ++i) {
      Cgroup("/poda", ++value);
      tree_.Write("poda/cpu.stat", "nr_periods " + std::to_string(periods += periods_each) +
                                       "\nthrottled_usec " + std::to_string(value) + "\n");
      pods_[0].usage.counters.cpu_ns += 1;
      Fill();
      if (pods_[0].usage.throttled_ns == static_cast<uint64_t>(value) * 1000) ++count;
    }
    return count;
  };
  EXPECT_GT(reads(10, 0), 2) << "may have one";
  EXPECT_EQ(reads(10, 0), 2) << "has none";
  (void)reads(5, 10);
  EXPECT_EQ(reads(10, 10), 10);
}

// A pod whose tasks all wait for a disk uses no CPU. Read every 5 s only, five seconds of it would
// be the pressure of one.
TEST_F(CgroupGaugesTest, ThePressureOfAPodThatHangsIsReadEachTime) {
  Cgroup("/poda", 0);
  AddPod("a", 0);
  Fill();
  pods_[0].usage.counters.cpu_ns = 1;
  pods_[0].usage.counters.fetched_bytes = 1;
  Fill();
  for (int i = 1; i <= 10; ++i) {
    tree_.Write("poda/io.pressure", Psi(i * 1'000'000));
    Fill();
    EXPECT_EQ(pods_[0].usage.pressure->io_some_us, static_cast<uint64_t>(i) * 1'000'000);
  }
}

// What computes only waits for no disk: that one file is read when something it does may, once more
// after that, for as long as it grows, and every 5 s.
TEST_F(CgroupGaugesTest, IoPressureIsReadWhereADiskIsUsed) {
  Cgroup("/poda", 1);
  Cgroup("/podb", 1);
  AddPod("a", 0);
  AddPod("b", 0).watched = true;
  const auto run = [&](uint64_t fetched_bytes) {
    for (PodSample& pod : pods_) ++pod.usage.counters.cpu_ns;
    pods_[0].usage.counters.fetched_bytes += fetched_bytes;
    Fill(milliseconds(1));
    return pods_[0].usage.pressure->io_some_us;
  };
  run(0);
  run(0);
  Cgroup("/poda", 2);
  Cgroup("/podb", 2);
  EXPECT_EQ(run(0), 1u);
  EXPECT_EQ(pods_[0].usage.pressure->cpu_some_us, 2u);
  EXPECT_EQ(pods_[1].usage.pressure->io_some_us, 2u) << "a watched pod's is read each time";
  EXPECT_EQ(run(4096), 2u);
  Cgroup("/poda", 3);
  EXPECT_EQ(run(0), 3u) << "what was begun then may hang now";
  Cgroup("/poda", 4);
  EXPECT_EQ(run(0), 4u) << "it grew";
  run(0);
  Cgroup("/poda", 5);
  EXPECT_EQ(run(0), 4u) << "it stood still";
  Fill();
  Fill(seconds(5));
  EXPECT_EQ(pods_[0].usage.pressure->io_some_us, 5u);
}

// Of a pod that backups are about, each container's waiting is told apart; what is no longer read
// is unknown, not as it was.
TEST_F(CgroupGaugesTest, ContainersOfWatchedPodsHaveAPressureOfTheirOwn) {
  Cgroup("/poda", 10);
  Cgroup("/poda/c0", 3);
  AddPod("a", 1);
  const auto of_container = [&]() -> std::optional<Pressure>& {
    return pods_[0].containers[0].usage.pressure;
  };
  Fill();
  EXPECT_FALSE(of_container().has_value());
  const size_t open = gauges_.open_files();
  pods_[0].watched = true;
  Fill();
  ASSERT_TRUE(of_container().has_value());
  EXPECT_EQ(of_container()->memory_full_us, 0u);
  EXPECT_EQ(of_container()->memory_some_us, 3u);
  EXPECT_EQ(pods_[0].usage.pressure->memory_some_us, 10u);
  pods_[0].watched = false;
  Fill();
  EXPECT_FALSE(of_container().has_value());
  EXPECT_EQ(gauges_.open_files(), open);
}

// The node's sum: what was before the first look isn't in it, pods that end stay in it.
TEST_F(CgroupGaugesTest, ThrottledTimeOfAllPodsIsSummedAndNeverFalls) {
  Cgroup("/poda", 7);
  AddPod("a", 0).watched = true;
  Fill();
  EXPECT_EQ(gauges_.throttled_ns(), 0u);
  Cgroup("/poda", 9);
  Cgroup("/podb", 5);
  Cgroup("/podb/c0", 4);
  AddPod("b", 1).watched = true;
  Fill();
  EXPECT_EQ(gauges_.throttled_ns(), 11'000u);
  pods_[1].containers.clear();
  Fill();
  EXPECT_EQ(gauges_.throttled_ns(), 11'000u);
  pods_[1].final = true;
  Fill();
  pods_.pop_back();
  Cgroup("/poda", 10);
  Fill();
  EXPECT_EQ(gauges_.throttled_ns(), 12'000u);
  const std::vector<PodSample> all = std::exchange(pods_, {});
  Fill();  // for want of an index, say
  Cgroup("/poda", 13);
  pods_ = all;
  Fill();
  EXPECT_EQ(gauges_.throttled_ns(), 15'000u) << "a pod that comes back adds what is new of it";
  layout_.quota = {};
  EXPECT_FALSE(gauges_.throttled_ns().has_value());
}

TEST_F(CgroupGaugesTest, AWatchedPodIsReadEachTime) {
  AddPod("a", 0).watched = true;
  for (int i = 1; i <= 10; ++i) {
    Cgroup("/poda", i);
    Fill();
    EXPECT_EQ(pods_[0].usage.memory.usage_bytes, static_cast<uint64_t>(i));
  }
}

// Cumulative signals of a container that is gone stay with its pod; no rate is ever negative.
TEST_F(CgroupGaugesTest, WhatAnEndedContainerHadStaysWithItsPod) {
  Cgroup("/poda", 0);
  Cgroup("/poda/c0", 7);
  AddPod("a", 1).watched = true;
  Fill();
  EXPECT_EQ(pods_[0].usage.throttled_ns, 7'000u);
  End("/poda/c0");
  Fill();
  EXPECT_EQ(pods_[0].containers[0].usage.throttled_ns, 7'000u) << "within its tombstone";
  EXPECT_EQ(pods_[0].containers[0].usage.memory.usage_bytes, 0u);
  pods_[0].containers.clear();
  Fill();
  EXPECT_EQ(pods_[0].usage.throttled_ns, 7'000u);
}

TEST_F(CgroupGaugesTest, AFinalPodKeepsWhatIsCumulative) {
  Cgroup("/poda", 9);
  AddPod("a", 0);
  Fill();
  End("/poda");
  pods_[0].final = true;
  Fill();
  EXPECT_EQ(pods_[0].usage.throttled_ns, 9'000u);
  EXPECT_EQ(pods_[0].usage.oom_kills, 9u);
  EXPECT_EQ(pods_[0].usage.memory.refaults, 9u);
  EXPECT_EQ(pods_[0].usage.memory.usage_bytes, 0u);
  EXPECT_EQ(gauges_.open_files(), 0u);
}

// A kernel with psi=0 has no such files: unknown, not 0.
TEST_F(CgroupGaugesTest, PressureThatIsNotCountedIsUnknown) {
  Cgroup("/poda", 1);
  tree_.Remove("poda/io.pressure");
  AddPod("a", 0);
  Fill();
  EXPECT_FALSE(pods_[0].usage.pressure.has_value());
}

// Trap 10: in a hybrid layout each signal is of its own tree, found by path; a v1 memory tree has
// no pressure, and its OOM kills are those of one cgroup alone.
TEST_F(CgroupGaugesTest, HybridTreesAreJoinedByPath) {
  layout_.cpu = {tree_.path("/unified"), 0, true};
  layout_.memory = {tree_.path("/memory"), 4, false};
  layout_.quota = {tree_.path("/cpu"), 2, false};
  tree_.Write("memory/poda/memory.usage_in_bytes", "50\n");
  tree_.Write("memory/poda/memory.stat", "rss 1\ntotal_rss 20\n");
  tree_.Write("memory/poda/memory.oom_control", "oom_kill 0\n");
  tree_.Write("memory/poda/c0/memory.oom_control", "oom_kill 2\n");
  tree_.Write("cpu/poda/cpu.stat", "throttled_time 11\n");
  for (const char* resource : {"/cpu", "/io", "/memory"}) {
    tree_.Write("unified/poda" + std::string(resource) + ".pressure", Psi(6));
  }
  AddPod("a", 1);
  Fill();
  EXPECT_EQ(pods_[0].usage.memory.anon_bytes, 20u);
  EXPECT_EQ(pods_[0].usage.throttled_ns, 11u);
  EXPECT_EQ(pods_[0].usage.oom_kills, 2u);
  EXPECT_EQ(pods_[0].usage.pressure->cpu_some_us, 6u);
}

// On v1 a container's count goes with it. What was seen is the pod's, before and after, once; what
// was not seen, or was before us, is as the file says.
TEST_F(CgroupGaugesTest, OomKillsThatWereSeenOutliveTheirContainer) {
  layout_.memory = {tree_.path("/memory"), 4, false};
  tree_.Write("memory/poda/c0/memory.oom_control", "oom_kill 2\n");
  AddPod("a", 2).watched = true;
  Fill();
  EXPECT_EQ(pods_[0].usage.oom_kills, 2u) << "before us";
  pods_[0].usage.counters.oom_kills = 1;  // in c1, whose files nobody could read
  pods_[0].containers[1].usage.counters.oom_kills = 1;
  Fill();
  EXPECT_EQ(pods_[0].usage.oom_kills, 3u);
  EXPECT_EQ(pods_[0].containers[0].usage.oom_kills, 2u);
  EXPECT_EQ(pods_[0].containers[1].usage.oom_kills, 1u);
  pods_[0].containers.pop_back();
  Fill();
  EXPECT_EQ(pods_[0].usage.oom_kills, 3u);
  tree_.Write("memory/poda/c0/memory.oom_control", "oom_kill 5\n");
  Fill();
  EXPECT_EQ(pods_[0].usage.oom_kills, 5u) << "the file is the least";
  pods_[0].final = true;
  pods_[0].usage.counters.oom_kills = 4;
  Fill();
  EXPECT_EQ(pods_[0].usage.oom_kills, 6u);
}

// The pressure of a pod that runs is read each second: files that are read every 5 s must not have
// taken its room. That a file was kept open shows in that another one at its path isn't seen.
TEST_F(CgroupGaugesTest, FilesThatAreReadSeldomLeaveRoomForThoseThatAreReadEachTime) {
  constexpr int kPods = 8;  // 4 each time and 3 seldom, containers 1 and 3
  for (int i = 0; i < kPods; ++i) {
    const std::string uid = std::to_string(i);
    for (const char* below : {"", "/c0", "/c1"}) Cgroup("/pod" + uid + below, 1);
    AddPod(uid, 2);
  }
  Fill();
  const std::string last = "pod" + std::to_string(kPods - 1);
  tree_.Remove(last + "/cpu.pressure");
  tree_.Write(last + "/cpu.pressure", Psi(2));
  pods_[kPods - 1].usage.counters.cpu_ns = 1;
  Fill(milliseconds(1));
  EXPECT_EQ(pods_[kPods - 1].usage.pressure->cpu_some_us, 1u);
}

// Container runtimes start a process with a soft limit of 1024, which would be room for half.
TEST(OpenFileLimitTest, RaisesTheSoftLimitAsFarAsItNeeds) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  if (before.rlim_max < 2048) GTEST_SKIP() << "the hard limit is " << before.rlim_max;
  rlimit low = before;
  low.rlim_cur = 256;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(OpenFileLimit(), 1024u);
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(low.rlim_cur, 2048u);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

// Fault: 2000 cgroups. All are read; descriptors stay within their limit and are given back.
TEST_F(CgroupGaugesTest, TwoThousandCgroupsKeepWithinTheLimitOfDescriptors) {
  for (int i = 0; i < 1000; ++i) {
    const std::string uid = std::to_string(i);
    Cgroup("/pod" + uid, 2);
    Cgroup("/pod" + uid + "/c0", 1);
    AddPod(uid, 1);
  }
  Fill();
  EXPECT_EQ(gauges_.open_files(), 100u);
  for (const PodSample& pod : pods_) {
    ASSERT_EQ(pod.usage.memory.usage_bytes, 2u);
    ASSERT_EQ(pod.containers[0].usage.memory.usage_bytes, 1u);
  }
  pods_.clear();
  Fill();
  EXPECT_EQ(gauges_.open_files(), 0u);
}

}  // namespace
}  // namespace longshore::nodeagent

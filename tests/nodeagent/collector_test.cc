// SPDX-License-Identifier: Apache-2.0
//
// Whole samples with the kernel side faked and files in place of /proc, /sys and the cgroup tree.
#include "nodeagent/collector.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <thread>

#include "tests/nodeagent/fake_kernel.h"
#include "tests/nodeagent/file_tree.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class StepClock : public Clock {
 public:
  WallTime Now() const override { return wall; }
  MonotonicTime Monotonic() const override { return monotonic; }
  void Advance(seconds by) {
    monotonic += by;
    wall += by;
  }
  WallTime wall{std::chrono::hours(500'000)};
  MonotonicTime monotonic{std::chrono::hours(9)};
};

class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest() {
    for (CgroupPlace* place : {&layout_.cpu, &layout_.io, &layout_.memory, &layout_.quota}) {
      *place = {tree_.path("/kubepods"), 0, true};
    }
    tree_.Write("kubepods/cpu.stat", "usage_usec 999999999\n");
  }
  uint64_t MakePod(const std::string& uid, uint64_t usage_usec) {
    const std::string base = "kubepods/pod" + uid;
    tree_.Write(base + "/cpu.stat",
                "usage_usec " + std::to_string(usage_usec) + "\nthrottled_usec 3\n");
    tree_.Write(base + "/memory.current", "100\n");
    tree_.Write(base + "/memory.stat", "anon 60\nfile 40\ninactive_file 30\n");
    struct stat status{};
    EXPECT_EQ(::stat(tree_.path("/" + base).c_str(), &status), 0);
    return status.st_ino;
  }
  // As a new process does; the kernel side is new as well.
  void StartAgent() {
    kernel_ = std::make_unique<FakeKernel>(5000);
    CollectorOptions options;
    options.proc = tree_.path("/proc");
    options.sysfs = options.host_sysfs = tree_.path("/sys");
    collector_ = std::make_unique<Collector>(options, layout_, *kernel_, clock_);
    ASSERT_TRUE(collector_->Start().has_value());
  }
  Sample TakeAfter(int time) {
    clock_.Advance(seconds(time));
    return collector_->Take();
  }

  FileTree tree_;
  StepClock clock_;
  CgroupLayout layout_;
  std::unique_ptr<FakeKernel> kernel_;
  std::unique_ptr<Collector> collector_;
};

TEST_F(CollectorTest, ASampleHasCountersGaugesDevicesAndInterfaces) {
  const uint64_t id = MakePod("a", 0);
  tree_.Write("sys/devices/block/vda/size", "1\n");
  tree_.Link("sys/devices/block/vda", "sys/dev/block/254:0");
  tree_.Write("sys/class/net/eth0/ifindex", "2\n");
  for (const char* counter : {"rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped"}) {
    tree_.Write("sys/class/net/eth0/statistics/" + std::string(counter), "5\n");
  }
  tree_.Write("proc/stat", "cpu  1 2 3 4 5 6 7 8\n");
  StartAgent();
  kernel_->UseCpu(Tree::kCpu, id, 77);
  kernel_->devices.push_back(
      {kernel_->members.at({Tree::kCpu, id}).index, {254, 0}, {.read_bytes = 9}});
  const Sample sample = TakeAfter(1);
  EXPECT_EQ(sample.end - sample.start, seconds(1));
  ASSERT_EQ(sample.pods.size(), 1u);
  EXPECT_EQ(sample.pods[0].usage.counters.cpu_ns, 77u);
  EXPECT_EQ(sample.pods[0].usage.memory.kubelet_working_set_bytes, 70u);
  EXPECT_EQ(sample.pods[0].usage.throttled_ns, 3'000u);
  EXPECT_EQ(sample.pods[0].usage.devices.at({254, 0}).read_bytes, 9u);
  EXPECT_EQ(sample.node.devices.at({254, 0}).name, "vda");
  EXPECT_EQ(sample.node.devices.at({254, 0}).counters.read_bytes, 9u);
  ASSERT_EQ(sample.node.interfaces.size(), 1u);
  EXPECT_EQ(sample.node.interfaces[0].send_bytes, 5u);
  EXPECT_GT(sample.node.idle_cpu_ns, 0u);
}

// What the kernel says of the root is not the pods' CPU; ours is the sum of the pods.
TEST_F(CollectorTest, T21_TheRootCgroupsCounterIsNotTakenForThePods) {
  const uint64_t id = MakePod("a", 0);
  StartAgent();
  kernel_->UseCpu(Tree::kCpu, id, 77);
  kernel_->system_cpu_ns = 5;
  const Sample sample = TakeAfter(1);
  EXPECT_EQ(sample.node.pods.cpu_ns, 77u);
  EXPECT_EQ(sample.node.system_cpu_ns, 5u);
}

// Fault and trap 28: killed and started again. CPU goes on from the kernel's total, never less.
TEST_F(CollectorTest, AfterARestartCpuTimeContinues) {
  const uint64_t id = MakePod("a", 1000);
  StartAgent();
  kernel_->UseCpu(Tree::kCpu, id, 500'000);
  const uint64_t before = TakeAfter(1).pods[0].usage.counters.cpu_ns;
  EXPECT_EQ(before, 1'500'000u);
  MakePod("a", 1700);  // it ran on while nobody counted
  StartAgent();
  EXPECT_EQ(TakeAfter(1).pods[0].usage.counters.cpu_ns, 1'700'000u);
}

// Trap 28: the wall clock is set back by an hour. Intervals are by the other clock.
TEST_F(CollectorTest, ASteppedWallClockChangesNoInterval) {
  MakePod("a", 0);
  StartAgent();
  TakeAfter(1);
  clock_.wall -= std::chrono::hours(1);
  const Sample sample = TakeAfter(1);
  EXPECT_EQ(sample.end - sample.start, seconds(1));
  EXPECT_EQ(sample.wall_end, clock_.wall);
}

// The leader's word comes on another thread and counts from the next sample on.
TEST_F(CollectorTest, WatchedPodsAreTakenOverWithTheNextSample) {
  const uint64_t id = MakePod("a", 0);
  StartAgent();
  std::jthread([&] { collector_->Watch({"a"}); }).join();
  const uint32_t index = kernel_->members.at({Tree::kCpu, id}).index;
  EXPECT_FALSE(kernel_->watched[index]);
  TakeAfter(1);
  EXPECT_TRUE(kernel_->watched[index]);
  collector_->Watch({});
  TakeAfter(1);
  EXPECT_FALSE(kernel_->watched[index]);
}

// Each minute our counters are held against the kernel's.
TEST_F(CollectorTest, TheAuditFindsWhatWeMissed) {
  const uint64_t id = MakePod("a", 1000);
  StartAgent();
  TakeAfter(1);
  TakeAfter(60);
  EXPECT_FALSE(collector_->Take().audit.has_value());
  kernel_->UseCpu(Tree::kCpu, id, 900'000'000);
  MakePod("a", 1000 + 1'000'000);
  const Sample sample = TakeAfter(60);
  ASSERT_TRUE(sample.audit.has_value());
  EXPECT_EQ(sample.audit->pods, 1u);
  EXPECT_NEAR(sample.audit->worst_cpu_error, 0.1, 0.001);
  EXPECT_TRUE(TakeAfter(1).audit.has_value()) << "stays until the next";
}

// A kernel side where a task is moved into a pod each millisecond, for a while.
class MovingKernel final : public FakeKernel {
 public:
  explicit MovingKernel(StepClock& clock) : clock_(clock) {}
  bool WaitUntil(MonotonicTime deadline) override {
    const MonotonicTime next = clock_.monotonic + milliseconds(1);
    clock_.monotonic = moves > 0 ? std::min(next, deadline) : deadline;
    if (moves == 0 || next > deadline) return false;
    --moves;
    events.push_back({.kind = CgroupEvent::Kind::kTaskMoved});
    last_move = clock_.monotonic;
    return true;
  }
  void Flush() override {
    last_flush = clock_.monotonic;
    FakeKernel::Flush();
  }
  int moves = 0;
  MonotonicTime last_move, last_flush;

 private:
  StepClock& clock_;
};

// Each flush interrupts all busy CPUs. The first move isn't kept waiting, the last isn't forgotten.
TEST_F(CollectorTest, ManyMovesAreFlushedAtMostEveryFiveMilliseconds) {
  MovingKernel kernel(clock_);
  Collector collector({.proc = tree_.path("/proc")}, layout_, kernel, clock_);
  ASSERT_TRUE(collector.Start().has_value());
  clock_.Advance(seconds(1));
  const int before = kernel.flushes;
  kernel.moves = 1;
  collector.WaitUntil(clock_.monotonic + milliseconds(3));
  EXPECT_EQ(kernel.flushes - before, 1);
  EXPECT_EQ(kernel.last_flush, kernel.last_move);
  kernel.moves = 100;
  const MonotonicTime deadline = clock_.monotonic + milliseconds(500);
  collector.WaitUntil(deadline);
  EXPECT_EQ(clock_.monotonic, deadline);
  EXPECT_EQ(kernel.moves, 0);
  EXPECT_LE(kernel.flushes - before, 1 + 21);
  EXPECT_GE(kernel.last_flush, kernel.last_move);
  EXPECT_LE(kernel.last_flush, kernel.last_move + milliseconds(5));
}

// Fault: 2000 cgroups, of which most come and go.
TEST_F(CollectorTest, TwoThousandPodsAreSampledAndForgotten) {
  for (int i = 0; i < 2000; ++i) MakePod(std::to_string(i), 1);
  StartAgent();
  EXPECT_EQ(TakeAfter(1).pods.size(), 2000u);
  for (int i = 1; i < 2000; ++i) tree_.Remove("kubepods/pod" + std::to_string(i));
  TakeAfter(11);  // the walk
  const Sample last = TakeAfter(3);
  EXPECT_EQ(last.pods.size(), 2000u);
  EXPECT_EQ(std::count_if(last.pods.begin(), last.pods.end(),
                          [](const PodSample& pod) { return pod.final; }),
            1999);
  EXPECT_EQ(TakeAfter(1).pods.size(), 1u);
}

TEST_F(CollectorTest, SignalsThatNoFileTellsAreNamed) {
  layout_.memory = layout_.quota = {};
  StartAgent();
  EXPECT_EQ(collector_->MissingGauges(),
            (std::vector<std::string>{"memory", "throttling", "pressure", "interfaces"}));
}

}  // namespace
}  // namespace longshore::nodeagent

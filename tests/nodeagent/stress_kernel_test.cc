// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong on a busy node, on the real kernel: crowds of cgroups, full rings and maps, an
// agent that dies, two agents. Whatever is lost is counted, whatever grows is bounded, and no
// number is wrong. Skipped, with the reason, where BPF cannot be loaded.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "tests/nodeagent/kernel_side_test.h"
#include "tests/nodeagent/test_agent.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

uint64_t Sum(const TestAgent& agent) {
  uint64_t sum = 0;
  for (const auto& [uid, pod] : agent.pods()) sum += pod.usage.counters.cpu_ns;
  return sum;
}

size_t Members(TestAgent& agent) {
  return agent.host().ListMembers(Tree::kCpu).size() + agent.host().ListMembers(Tree::kIo).size();
}

milliseconds CpuTime() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return milliseconds(used.tv_sec * 1000 + used.tv_nsec / 1'000'000);
}

class StressTest : public KernelSideTest {};

// Processes that use what CPU there is, until the object goes.
class Hogs {
 public:
  Hogs(TestCgroups& cgroups, const std::string& path, int count) {
    cgroups.Make(path);
    for (int i = 0; i < count; ++i) {
      hogs_.push_back(cgroups.Run(path, [] {
        for (;;) Spin(milliseconds(1000));
      }));
    }
  }
  ~Hogs() { Stop(); }
  void Stop() {
    for (const pid_t hog : hogs_) ::kill(hog, SIGKILL);
    for (const pid_t hog : hogs_) WaitFor(hog);
    hogs_.clear();
  }

 private:
  std::vector<pid_t> hogs_;
};

void LiveShortly(TestCgroups& cgroups, const std::string& pod) {
  cgroups.Make(pod + "/c1");
  EXPECT_EQ(WaitFor(cgroups.Run(pod + "/c1", [] { Spin(milliseconds(2)); })), 0);
  cgroups.Remove(pod);
}

// Twenty pods a second come and go for half a minute beside two hogs: each is reported in full and
// once, and nothing stays behind in the maps.
TEST_F(StressTest, PodsThatComeAndGoForHalfAMinuteAreAllCounted) {
  constexpr int kPods = 600;
  TestCgroups cgroups("churn");
  cgroups.Make("burstable");
  TestAgent agent(cgroups.Layout());
  const size_t members = Members(agent);
  const uint64_t before = CpuTruth(cgroups.Layout(), "");
  Hogs hogs(cgroups, "podhogs/c1", 2);
  MonotonicTime next = Clock::Real().Monotonic();
  for (int i = 0; i < kPods; ++i) {
    LiveShortly(cgroups, "burstable/pods" + std::to_string(i));
    agent.WaitUntil(next += milliseconds(50));
    if (i % 10 == 0) agent.Take();
  }
  hogs.Stop();
  cgroups.Remove("podhogs");
  const uint64_t truth = CpuTruth(cgroups.Layout(), "") - before;
  for (int i = 0; i < 2; ++i) agent.After(milliseconds(400));
  for (int i = 0; i < kPods; ++i) EXPECT_EQ(agent.finals("s" + std::to_string(i)), 1) << i;
  EXPECT_NEAR(Ratio(Sum(agent), truth), 1.0, 0.0005);
  EXPECT_EQ(agent.host().Lost().Total(), 0u);
  EXPECT_EQ(agent.collector().pods(), 0u);
  EXPECT_EQ(Members(agent), members);
}

// 1000 pods of a container each, half of them older than the agent: every one is there, and a
// sample of all of them takes a small part of its second.
TEST_F(StressTest, TwoThousandCgroupsAreSampledInTime) {
  constexpr int kPods = 1000;
  TestCgroups cgroups("many");
  const auto path = [](int i) {
    return "burstable/podm" + std::to_string(i) + "/" + ContainerName(i);
  };
  for (int i = 0; i < kPods / 2; ++i) cgroups.Make(path(i));
  TestAgent agent(cgroups.Layout(), {.max_cgroups = 8192});
  const uint64_t before = CpuTruth(cgroups.Layout(), "");
  for (int i = kPods / 2; i < kPods; ++i) {
    cgroups.Make(path(i));
    if (i % 50 == 0) agent.WaitUntil(Clock::Real().Monotonic());
  }
  for (int i = 0; i < kPods; i += 20) {
    EXPECT_EQ(WaitFor(cgroups.Run(path(i), [] { Spin(milliseconds(10)); })), 0);
  }
  agent.Take();  // opens the files of each
  const milliseconds used = CpuTime();
  const Sample sample = agent.Take();
  const milliseconds took = CpuTime() - used;
  RecordProperty("sample_cpu_ms", static_cast<int>(took.count()));
  EXPECT_EQ(sample.pods.size(), size_t{kPods});
  for (const PodSample& pod : sample.pods) EXPECT_EQ(pod.containers.size(), 1u) << pod.uid;
  // An emulated CPU is twenty times slower: there it is held against reading one file of each.
  const milliseconds before_reading = CpuTime();
  for (int i = 0; i < kPods; ++i) EXPECT_GE(CpuTruth(cgroups.Layout(), path(i)), 0u);
  const milliseconds reading = CpuTime() - before_reading;
  EXPECT_LT(took, std::max(milliseconds(500), 20 * reading));
  EXPECT_EQ(sample.uncounted_cgroups, 0u);
  EXPECT_EQ(sample.lost.no_index, 0u);
  EXPECT_NEAR(Ratio(Sum(agent), CpuTruth(cgroups.Layout(), "") - before), 1.0, 0.0005);
  for (int i = 0; i < kPods; i += 20) {
    const std::string uid = "m" + std::to_string(i);
    EXPECT_NEAR(Ratio(agent.cpu_ns(uid), CpuTruth(cgroups.Layout(), "burstable/pod" + uid)), 1.0,
                0.0005)
        << uid;
  }
}

// The agent doesn't get to its ring while more cgroups come than it has room for: the loss is
// counted, and a walk makes it good, for those that exist and for those that went meanwhile.
TEST_F(StressTest, AFullEventRingIsCountedAndMadeGood) {
  constexpr int kPods = 700;  // two cgroups each, in one tree or two; the ring holds 900 events
  TestCgroups cgroups("ring");
  cgroups.Make("burstable");
  TestAgent agent(cgroups.Layout(),
                  {.max_cgroups = 8192, .walk_interval = std::chrono::seconds(1)});
  const size_t members = Members(agent);
  const auto pod = [](int i) { return "burstable/podr" + std::to_string(i); };
  for (int i = 0; i < kPods; ++i) cgroups.Make(pod(i) + "/c1");
  for (int i = 0; i < kPods; i += 50) {
    EXPECT_EQ(WaitFor(cgroups.Run(pod(i) + "/c1", [] { Spin(milliseconds(10)); })), 0);
  }
  LiveShortly(cgroups, "burstable/podgone");  // its name is lost; the node's sum has its time
  Sample sample = agent.Take();
  EXPECT_GT(sample.lost.events, 0u);
  EXPECT_EQ(sample.pods.size(), size_t{kPods});
  for (int i = 0; i < kPods; i += 50) {
    EXPECT_NEAR(Ratio(agent.cpu_ns("r" + std::to_string(i)), CpuTruth(cgroups.Layout(), pod(i))),
                1.0, 0.0005)
        << i;
  }
  for (int i = 0; i < kPods; ++i) cgroups.Remove(pod(i));
  for (int i = 0; i < 5; ++i) sample = agent.After(milliseconds(700));
  for (int i = 0; i < kPods; ++i) EXPECT_EQ(agent.finals("r" + std::to_string(i)), 1) << i;
  EXPECT_EQ(agent.collector().pods(), 0u);
  EXPECT_EQ(Members(agent), members);
  EXPECT_NEAR(Ratio(sample.node.pods.cpu_ns, CpuTruth(cgroups.Layout(), "")), 1.0, 0.0005);
}

// More cgroups than the maps hold: the loss is counted, no pod is said to have used more than it
// has, and when the crowd is gone the next pod is exact again.
TEST_F(StressTest, FullMapsNeverMakeAPodsNumberTooHigh) {
  constexpr int kPods = 100;
  TestCgroups cgroups("maps");
  cgroups.Make("burstable");
  TestAgent agent(cgroups.Layout(), {.max_cgroups = 64, .walk_interval = std::chrono::seconds(1)});
  const uint64_t before = CpuTruth(cgroups.Layout(), "");
  for (int i = 0; i < kPods; ++i) {
    const std::string path = "burstable/podx" + std::to_string(i) + "/c1";
    cgroups.Make(path);
    EXPECT_EQ(WaitFor(cgroups.Run(path, [] { Spin(milliseconds(5)); })), 0);
    if (i % 10 == 0) agent.Take();
  }
  Sample sample = agent.After(milliseconds(20));
  EXPECT_GT(sample.lost.no_index, 0u);
  const uint64_t truth = CpuTruth(cgroups.Layout(), "") - before;
  EXPECT_LE(sample.node.pods.cpu_ns, truth + 1000);  // cpu.stat is in microseconds
  for (const PodSample& pod : sample.pods) {
    EXPECT_LE(pod.usage.counters.cpu_ns,
              CpuTruth(cgroups.Layout(), "burstable/pod" + pod.uid) + 1000)
        << pod.uid;
  }
  for (int i = 0; i < kPods; ++i) cgroups.Remove("burstable/podx" + std::to_string(i));
  for (int i = 0; i < 5; ++i) agent.After(milliseconds(700));
  cgroups.Make("burstable/podafter/c1");
  const uint64_t lost = agent.host().Lost().no_index;
  EXPECT_EQ(WaitFor(cgroups.Run("burstable/podafter/c1", [] { Spin(milliseconds(50)); })), 0);
  agent.After(milliseconds(20));
  EXPECT_NEAR(Ratio(agent.cpu_ns("after"), CpuTruth(cgroups.Layout(), "burstable/podafter")), 1.0,
              0.0005);
  EXPECT_EQ(agent.host().Lost().no_index, lost);
}

// A pod that found no index is unknown, not idle; it is known again, in full, once there is one.
TEST_F(StressTest, APodWithoutAnIndexIsUnknownUntilThereIsOne) {
  TestCgroups cgroups("overflow");
  cgroups.Make("");
  TestAgent agent(cgroups.Layout(), {.max_cgroups = 16, .walk_interval = std::chrono::seconds(1)});
  for (int i = 0; i < 16; ++i) cgroups.Make("podfirst" + std::to_string(i));
  cgroups.Make("podlate/c1");
  const pid_t child = cgroups.Run("podlate/c1", [] {
    for (;;) Spin(milliseconds(1000));
  });
  Sample sample = agent.After(milliseconds(200));
  const auto known = [&] {
    return std::ranges::find(sample.pods, "late", &PodSample::uid) != sample.pods.end();
  };
  EXPECT_FALSE(known());
  EXPECT_GT(sample.unknown_pods, 0u);
  EXPECT_GT(sample.node.pods.cpu_ns, 0u) << "the node's sum has it";
  for (int i = 0; i < 16; ++i) cgroups.Remove("podfirst" + std::to_string(i));
  // Between its counters and the kernel's total, which it then begins with, lies at most the time
  // of taking that sample.
  std::chrono::nanoseconds taking{};
  for (int i = 0; i < 10 && !known(); ++i) {
    const auto began = std::chrono::steady_clock::now();
    sample = agent.After(milliseconds(500));
    taking = std::chrono::steady_clock::now() - began - milliseconds(500);
  }
  EXPECT_TRUE(known());
  EXPECT_EQ(sample.unknown_pods, 0u);
  EXPECT_LT(taking, milliseconds(250));
  ::kill(child, SIGKILL);
  WaitFor(child);
  agent.After(milliseconds(20));
  EXPECT_NEAR(static_cast<double>(agent.cpu_ns("late")),
              static_cast<double>(CpuTruth(cgroups.Layout(), "podlate")),
              5e6 + static_cast<double>(taking.count()));
}

// An agent in a process of its own that writes what it says of the pod each 20 ms, until it is
// killed.
pid_t AgentProcess(const CgroupLayout& layout, const std::string& uid, int out) {
  const pid_t child = ForkBound();
  if (child != 0) return child;
  TestAgent agent(layout);
  for (;;) {
    agent.After(milliseconds(20));
    const uint64_t cpu_ns = agent.cpu_ns(uid);
    if (::write(out, &cpu_ns, sizeof cpu_ns) != sizeof cpu_ns) ::_exit(1);
  }
}

// Killed in the middle, five times: the next one continues from the kernel's total, never goes
// back, and is never more than a tick beside it.
TEST_F(StressTest, AnAgentThatIsKilledUnderLoadIsContinuedByTheNext) {
  TestCgroups cgroups("killed");
  const Hogs hogs(cgroups, "podload/c1", 3);
  const CgroupLayout layout = cgroups.Layout();
  uint64_t last = 0;
  for (int life = 0; life < 5; ++life) {
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const pid_t agent = AgentProcess(layout, "load", out[1]);
    ::close(out[1]);
    for (int i = 0; i < 15; ++i) {
      const uint64_t before = CpuTruth(layout, "podload");
      uint64_t said = 0;
      ASSERT_EQ(::read(out[0], &said, sizeof said), ssize_t{sizeof said});
      EXPECT_GE(said, last);
      EXPECT_LE(said, CpuTruth(layout, "podload") + 20'000'000);
      // What was written before we looked may have waited in the pipe.
      if (i == 14) {
        EXPECT_GE(said + 150'000'000, before);
      }
      last = said;
    }
    ::kill(agent, SIGKILL);
    EXPECT_EQ(WaitFor(agent), 128 + SIGKILL);
    ::close(out[0]);
  }
}

// Two agents over the same pods, as when a DaemonSet is replaced: neither takes anything from the
// other.
TEST_F(StressTest, TwoAgentsOnANodeEachCountInFull) {
  constexpr int kPods = 60;
  TestCgroups cgroups("both");
  cgroups.Make("burstable");
  TestAgent first(cgroups.Layout()), second(cgroups.Layout());
  const uint64_t before = CpuTruth(cgroups.Layout(), "");
  Hogs hogs(cgroups, "podhogs/c1", 2);
  for (int i = 0; i < kPods; ++i) {
    LiveShortly(cgroups, "burstable/pods" + std::to_string(i));
    first.WaitUntil(Clock::Real().Monotonic());
    second.WaitUntil(Clock::Real().Monotonic() + milliseconds(20));
  }
  hogs.Stop();
  const uint64_t truth = CpuTruth(cgroups.Layout(), "") - before;
  for (TestAgent* agent : {&first, &second}) {
    for (int i = 0; i < 2; ++i) agent->After(milliseconds(400));
    for (int i = 0; i < kPods; ++i) EXPECT_EQ(agent->finals("s" + std::to_string(i)), 1) << i;
    EXPECT_NEAR(Ratio(Sum(*agent), truth), 1.0, 0.0005);
    EXPECT_EQ(agent->host().Lost().Total(), 0u);
  }
}

}  // namespace
}  // namespace longshore::nodeagent

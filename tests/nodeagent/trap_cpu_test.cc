// SPDX-License-Identifier: Apache-2.0
//
// The traps of measuring CPU time and waiting, one test each, against the kernel's own counters.
// The numbers are those of the research notes: each is a way in which a known tool is wrong.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/base/files.h"
#include "common/base/log.h"
#include "nodeagent/kernel_files.h"
#include "tests/nodeagent/kernel_agent.h"

namespace longshore::nodeagent {
namespace {

class TrapTest : public KernelSideTest {};

// A task that doesn't switch is seen by no switch hook.
TEST_F(TrapTest, T01_ARunningTaskIsCountedBeforeItLeavesTheCpu) {
  TestCgroups cgroups("hog");
  cgroups.Make("podhog/c1");
  const CgroupLayout layout = cgroups.Layout();
  KernelAgent agent(layout);
  const pid_t child = cgroups.Run("podhog/c1", [] {
    FifoOrExit();
    Spin(milliseconds(900));
  });
  ::usleep(250'000);
  const uint64_t before = CpuTruth(layout, "podhog");
  agent.After(milliseconds(0));
  const uint64_t after = CpuTruth(layout, "podhog");
  EXPECT_EQ(WaitFor(child), 0);
  const uint64_t counted = agent.Of("hog").cpu_ns;
  EXPECT_GT(counted, 100'000'000u);
  EXPECT_GE(counted + 10'000'000, before);  // the task's own counter is up to a tick old
  EXPECT_LE(counted, after + 10'000'000);
}

// Most of the time of a fork storm is in processes whose first slice is their only one.
TEST_F(TrapTest, T02_TheFirstSliceOfAProcessCounts) {
  TestCgroups cgroups("storm");
  cgroups.Make("podstorm/c1");
  KernelAgent agent(cgroups.Layout());
  EXPECT_EQ(WaitFor(cgroups.Run("podstorm/c1",
                                [] {
                                  for (int i = 0; i < 400; ++i) {
                                    const pid_t child = ::fork();
                                    if (child == 0) ::_exit(0);
                                    WaitFor(child);
                                  }
                                })),
            0);
  agent.After(milliseconds(50));
  const uint64_t truth = CpuTruth(cgroups.Layout(), "podstorm");
  EXPECT_GT(truth, 20'000'000u);
  EXPECT_NEAR(Ratio(agent.Of("storm").cpu_ns, truth), 1.0, 0.001);
  EXPECT_EQ(agent.host().Lost().Total(), 0u);
}

// A process is made outside, joins, and spins without leaving the CPU.
TEST_F(TrapTest, T03_ATaskThatWasMovedWhileRunningIsCountedWhereItIs) {
  TestCgroups cgroups("move");
  cgroups.Make("podmoved/c1");
  KernelAgent agent(cgroups.Layout());
  const pid_t child = ForkBound();
  if (child == 0) {
    for (;;) Spin(milliseconds(1000));
  }
  agent.After(milliseconds(200));
  cgroups.Move("podmoved/c1", child);
  agent.After(milliseconds(300));
  ::kill(child, SIGKILL);
  WaitFor(child);
  agent.After(milliseconds(20));
  const uint64_t truth = CpuTruth(cgroups.Layout(), "podmoved");
  const uint64_t counted = agent.Of("moved").cpu_ns;
  EXPECT_GT(truth, 10'000'000u);
  // Until the agent hears of the move, time goes to where the task was; a flush comes at the latest
  // with the next sample.
  EXPECT_LE(counted, truth + 1000);  // cpu.stat is in microseconds
  EXPECT_GE(counted + 100'000'000, truth);
}

// A process that moves itself splits its time at the move, though it doesn't leave the CPU.
TEST_F(TrapTest, T03_ATaskThatMovesItselfIsSplitAtTheMove) {
  TestCgroups cgroups("joins");
  cgroups.Make("podfrom/c1");
  cgroups.Make("podto/c1");
  const CgroupLayout layout = cgroups.Layout();
  KernelAgent agent(layout);
  const std::string procs = layout.cpu.directory + "/podto/c1/cgroup.procs";
  Worker worker(cgroups, "podfrom/c1", [&] {
    Spin(milliseconds(60));
    const int fd = ::open(procs.c_str(), O_WRONLY);
    if (::write(fd, "0", 1) != 1) ::_exit(92);
    ::close(fd);
    Spin(milliseconds(180));  // in all: 120 more
  });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  EXPECT_EQ(agent.Of("from").cpu_ns + agent.Of("to").cpu_ns, worker.Truth().cpu_ns);
  EXPECT_NEAR(static_cast<double>(agent.Of("from").cpu_ns), 60e6, 10e6);
}

// Interrupts, steal and our own programs lie within a slice of wall-clock time; the kernel's own
// counter decides what is the task's.
TEST_F(TrapTest, T04_BesideASoftirqLoadTimeFollowsTheKernelsCounter) {
  TestCgroups cgroups("softirq");
  cgroups.Make("podsoft/c1");
  KernelAgent agent(cgroups.Layout());
  const auto flood = [] {
    const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in self{};
    self.sin_family = AF_INET;
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof self;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&self), length) != 0) ::_exit(93);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&self), &length);
    const std::string data(1000, 'x');
    for (int i = 0; i < 60'000; ++i) {
      (void)::sendto(fd, data.data(), data.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&self),
                     length);
    }
  };
  const pid_t outside = ForkBound();
  if (outside == 0) {
    flood();
    ::_exit(0);
  }
  Worker worker(cgroups, "podsoft/c1", flood);
  ASSERT_TRUE(worker.Finish());
  EXPECT_EQ(WaitFor(outside), 0);
  agent.After(milliseconds(0));
  EXPECT_EQ(agent.Of("soft").cpu_ns, worker.Truth().cpu_ns);
  EXPECT_NEAR(Ratio(agent.Of("soft").cpu_ns, CpuTruth(cgroups.Layout(), "podsoft")), 1.0, 0.0005);
}

// Rounding each slice to microseconds would lose a good part of slices this short.
TEST_F(TrapTest, T05_ShortSlicesLoseNothing) {
  constexpr int kRounds = 50'000;
  TestCgroups cgroups("pingpong");
  cgroups.Make("podping/c1");
  KernelAgent agent(cgroups.Layout());
  int there[2], back[2];
  ASSERT_EQ(::pipe(there), 0);
  ASSERT_EQ(::pipe(back), 0);
  const auto bounce = [](int from, int to, bool first) {
    PinOrExit(0);
    char byte = 0;
    for (int i = 0; i < kRounds; ++i) {
      if (first && ::write(to, &byte, 1) != 1) ::_exit(94);
      if (::read(from, &byte, 1) != 1) ::_exit(94);
      if (!first && ::write(to, &byte, 1) != 1) ::_exit(94);
    }
  };
  Worker a(cgroups, "podping/c1", [&] { bounce(back[0], there[1], true); });
  Worker b(cgroups, "podping/c1", [&] { bounce(there[0], back[1], false); });
  ASSERT_TRUE(a.Finish());
  ASSERT_TRUE(b.Finish());
  agent.After(milliseconds(0));
  Counters truth = a.Truth();
  truth += b.Truth();
  EXPECT_GT(truth.voluntary_switches, uint64_t{kRounds});
  EXPECT_EQ(TaskPart(agent.Of("ping")), truth);
}

// Who wakes a task hasn't waited; who is woken onto a busy CPU has.
TEST_F(TrapTest, T06_WaitLandsWithTheWokenTaskNotItsWaker) {
  TestCgroups cgroups("waker");
  cgroups.Make("podwaker/c1");
  cgroups.Make("podwoken/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("run-queue-wait")) GTEST_SKIP() << "this kernel doesn't keep run_delay";
  int wake[2];
  ASSERT_EQ(::pipe(wake), 0);
  Worker woken(cgroups, "podwoken/c1", [&] {
    PinOrExit(0);
    char byte = 0;
    for (int i = 0; i < 5; ++i) {
      if (::read(wake[0], &byte, 1) != 1) ::_exit(95);
    }
  });
  Worker waker(cgroups, "podwaker/c1", [&] {
    PinOrExit(0);
    FifoOrExit();
    for (int i = 0; i < 5; ++i) {
      ::usleep(10'000);
      char byte = 0;
      if (::write(wake[1], &byte, 1) != 1) ::_exit(95);
      Spin(milliseconds(20 * (i + 1)));  // of the process's time in all
    }
  });
  ASSERT_TRUE(waker.Finish());
  ASSERT_TRUE(woken.Finish());
  agent.After(milliseconds(0));
  EXPECT_EQ(TaskPart(agent.Of("woken")), woken.Truth());
  EXPECT_EQ(TaskPart(agent.Of("waker")), waker.Truth());
  EXPECT_GT(agent.Of("woken").run_queue_wait_ns, 60'000'000u);
  // Five waits of about 20 ms; with other load some more, shorter ones.
  const auto slowest = agent.Of("woken").run_queue_wait.Quantile(1.0);
  ASSERT_TRUE(slowest.has_value());
  EXPECT_GE(*slowest, std::chrono::microseconds(16'384));
}

// A task that user code is preempted in leaves with `preempt` false: only the kernel's own count of
// involuntary switches tells.
TEST_F(TrapTest, T07_SwitchesAreVoluntaryOrNotAsTheKernelCountsThem) {
  TestCgroups cgroups("hogs");
  cgroups.Make("podhogs/c1");
  KernelAgent agent(cgroups.Layout());
  const auto hog = [] {
    PinOrExit(0);
    Spin(milliseconds(150));
    for (int i = 0; i < 20; ++i) ::usleep(100);
  };
  Worker a(cgroups, "podhogs/c1", hog), b(cgroups, "podhogs/c1", hog);
  ASSERT_TRUE(a.Finish());
  ASSERT_TRUE(b.Finish());
  agent.After(milliseconds(0));
  Counters truth = a.Truth();
  truth += b.Truth();
  EXPECT_GE(truth.voluntary_switches, 40u);
  EXPECT_GT(truth.involuntary_switches, 10u);
  EXPECT_EQ(TaskPart(agent.Of("hogs")), truth);
}

// Two hogs more than there are CPUs: the kernel moves them about while they wait.
TEST_F(TrapTest, T06_WaitsThatBeginOnOneCpuAndEndOnAnotherAreWhole) {
  TestCgroups cgroups("migrate");
  cgroups.Make("podmig/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("run-queue-wait")) GTEST_SKIP() << "this kernel doesn't keep run_delay";
  std::vector<std::unique_ptr<Worker>> workers;
  const long hogs = ::sysconf(_SC_NPROCESSORS_ONLN) + 2;
  for (long i = 0; i < hogs; ++i) {
    workers.push_back(std::make_unique<Worker>(cgroups, "podmig/c1", [] {
      for (int n = 1; n <= 40; ++n) {
        Spin(milliseconds(5 * n));
        ::usleep(500);
      }
    }));
  }
  Counters truth;
  for (const auto& worker : workers) {
    ASSERT_TRUE(worker->Finish());
    truth += worker->Truth();
  }
  agent.After(milliseconds(0));
  EXPECT_GT(truth.run_queue_wait_ns, 100'000'000u);
  EXPECT_EQ(TaskPart(agent.Of("mig")), truth);
}

// A pod that its own quota holds back waits, and nobody else is to blame: the wait is there in
// full, and the kernel's throttled time tells how much of it is its own.
TEST_F(TrapTest, T08_WaitingForOnesOwnQuotaIsToldByTheThrottledTime) {
  TestCgroups cgroups("quota", /*with_cpu=*/true);
  cgroups.Make("podquota/c1");
  const bool v1 = cgroups.Write("cpu", "podquota", "cpu.cfs_quota_us", "20000");
  if (!v1 && !cgroups.Write("", "podquota", "cpu.max", "20000 100000")) {
    GTEST_SKIP() << "the CPU controller is not handed down to " << cgroups.root();
  }
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("run-queue-wait")) GTEST_SKIP() << "this kernel doesn't keep run_delay";
  Worker worker(cgroups, "podquota/c1", [] { Spin(milliseconds(200)); });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  EXPECT_EQ(TaskPart(agent.Of("quota")), worker.Truth());
  const std::string stat = cgroups.Read(v1 ? "cpu" : "", "podquota", "cpu.stat");
  const std::string name = v1 ? "throttled_time " : "throttled_usec ";
  ASSERT_NE(stat.find(name), std::string::npos) << stat;
  const uint64_t throttled_ns =
      std::stoull(stat.substr(stat.find(name) + name.size())) * (v1 ? 1 : 1000);
  EXPECT_GT(throttled_ns, 50'000'000u) << "less, the busier the machine is";
  EXPECT_GE(Ratio(agent.Of("quota").run_queue_wait_ns, throttled_ns), 0.9);
}

// Whoever runs while a quota holds the pod back has not taken the CPU from it.
TEST_F(TrapTest, T08_WhoRunsWhileAQuotaHoldsAPodBackIsNotToBlame) {
  TestCgroups cgroups("blame", /*with_cpu=*/true);
  cgroups.Make("podquota/c1");
  cgroups.Make("podhog/c1");
  const bool v1 = cgroups.Write("cpu", "podhog", "cpu.shares", "2");
  if (!v1 && !cgroups.Write("", "podhog", "cpu.weight", "1")) {
    GTEST_SKIP() << "the CPU controller is not handed down to " << cgroups.root();
  }
  if (v1) {
    ASSERT_TRUE(cgroups.Write("cpu", "podquota", "cpu.cfs_period_us", "10000"));
    ASSERT_TRUE(cgroups.Write("cpu", "podquota", "cpu.cfs_quota_us", "2000"));
  } else {
    ASSERT_TRUE(cgroups.Write("", "podquota", "cpu.max", "2000 10000"));
  }
  KernelAgent agent(cgroups.Layout());
  agent.tree().Watch({"quota"});
  const auto spin = [](milliseconds time) {
    return [time] {
      PinOrExit(0);
      Spin(time);
    };
  };
  Worker quota(cgroups, "podquota/c1", spin(milliseconds(100)));
  Worker hog(cgroups, "podhog/c1", spin(milliseconds(300)));
  ASSERT_TRUE(quota.Finish());
  ASSERT_TRUE(hog.Finish());
  agent.After(milliseconds(0));
  const std::string stat = cgroups.Read(v1 ? "cpu" : "", "podquota", "cpu.stat");
  ASSERT_NE(stat.find("nr_throttled "), std::string::npos) << stat;
  const uint64_t throttled = std::stoull(stat.substr(stat.find("nr_throttled ") + 13));
  ASSERT_GE(throttled, 15u) << stat;
  uint64_t blamed = 0;
  for (const Preemption& row : agent.tree().Preemptions()) {
    if (row.offender == "hog") blamed += row.count;
  }
  EXPECT_LE(blamed, throttled / 4);
}

// Pods that live shorter than an interval: each is reported, in full, `final` once; what arrives
// after rmdir goes to no other.
TEST_F(TrapTest, T09_NothingOfShortLivedPodsIsLostOrGivenToOthers) {
  constexpr int kPods = 300;
  TestCgroups cgroups("short");
  cgroups.Make("burstable");
  const CgroupLayout layout = cgroups.Layout();
  KernelAgent agent(layout);
  const uint64_t before = CpuTruth(layout, "");
  std::atomic<bool> done = false;
  std::jthread maker([&] {
    for (int i = 0; i < kPods; ++i) {
      const std::string path = "burstable/pods" + std::to_string(i);
      cgroups.Make(path + "/c1");
      EXPECT_EQ(WaitFor(cgroups.Run(path + "/c1", [] { Spin(milliseconds(3)); })), 0);
      cgroups.Remove(path);
    }
    done = true;
  });
  while (!done) agent.After(milliseconds(100));
  const uint64_t truth = CpuTruth(layout, "") - before;
  agent.After(milliseconds(400));
  agent.After(milliseconds(400));
  uint64_t counted = 0;
  for (int i = 0; i < kPods; ++i) {
    const std::string uid = "s" + std::to_string(i);
    EXPECT_EQ(agent.Finals(uid), 1) << uid;
    EXPECT_GE(agent.Of(uid).cpu_ns, 2'900'000u) << uid;
    counted += agent.Of(uid).cpu_ns;
  }
  EXPECT_NEAR(Ratio(counted, truth), 1.0, 0.0005) << "counted " << counted << " of " << truth;
  EXPECT_EQ(agent.host().Lost().Total(), 0u);
}

// More cgroups than indices: the sum stays right, and the loss is counted.
TEST_F(TrapTest, T24_WithoutAFreeIndexTimeIsSummedAndCountedAsLost) {
  TestCgroups cgroups("full");
  const CgroupLayout layout = cgroups.Layout();
  BpfConfig config = ConfigFor(layout);
  config.max_cgroups = 64;
  KernelAgent agent(layout, config);
  const uint64_t before = CpuTruth(layout, "");
  for (int i = 0; i < 100; ++i) {
    const std::string path = "podf" + std::to_string(i) + "/c1";
    cgroups.Make(path);
    EXPECT_EQ(WaitFor(cgroups.Run(path, [] { Spin(milliseconds(3)); })), 0);
  }
  agent.After(milliseconds(20));
  EXPECT_NEAR(Ratio(agent.tree().sum().cpu_ns, CpuTruth(layout, "") - before), 1.0, 0.0005);
  EXPECT_GT(agent.host().Lost().no_index, 0u);
}

// Threads of one process on all CPUs add to one pod at the same time.
// Long enough that what one switch-in that was not shown to us costs (see adopt() in
// sched.bpf.h; some 15 us, about once in 30 runs) is less than what is allowed.
TEST_F(TrapTest, T25_ThreadsOnAllCpusLoseNoUpdates) {
  TestCgroups cgroups("threads");
  cgroups.Make("podthr/c1");
  KernelAgent agent(cgroups.Layout());
  const int cpus = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  EXPECT_EQ(WaitFor(cgroups.Run("podthr/c1",
                                [&] {
                                  std::vector<std::thread> threads;
                                  for (int cpu = 0; cpu < cpus; ++cpu) {
                                    threads.emplace_back([cpu] {
                                      PinOrExit(cpu);
                                      for (int i = 0; i < 20'000; ++i) {
                                        for (int n = 0; n < 20'000; ++n) asm volatile("");
                                        ::sched_yield();
                                      }
                                    });
                                  }
                                  for (std::thread& thread : threads) thread.join();
                                })),
            0);
  agent.After(milliseconds(50));
  EXPECT_NEAR(Ratio(agent.Of("thr").cpu_ns, CpuTruth(cgroups.Layout(), "podthr")), 1.0, 0.0005);
}

// A task's own counter may be a tick old when we look at it; the next look makes it good.
TEST_F(TrapTest, T26_WhatALookMissesTheNextOneCounts) {
  TestCgroups cgroups("tick");
  cgroups.Make("podtick/c1");
  const CgroupLayout layout = cgroups.Layout();
  KernelAgent agent(layout);
  Worker worker(cgroups, "podtick/c1", [] { Spin(milliseconds(300)); });
  uint64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    agent.After(milliseconds(50));
    EXPECT_GE(agent.Of("tick").cpu_ns, last);
    last = agent.Of("tick").cpu_ns;
    EXPECT_LE(last, CpuTruth(layout, "podtick") + 10'000'000);
  }
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  EXPECT_EQ(TaskPart(agent.Of("tick")), worker.Truth());
}

// A process with a given pid, in a cgroup; 0 when this kernel or this process may not.
pid_t RunWithPid(const std::string& cgroup, pid_t pid, milliseconds cpu_time) {
  const UniqueFd directory(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<__u64>(directory.get());
  arguments.set_tid = reinterpret_cast<__u64>(&pid);
  arguments.set_tid_size = 1;
  const long child = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) {
    Spin(cpu_time);
    ::_exit(0);
  }
  return child < 0 ? 0 : static_cast<pid_t>(child);
}

// What is remembered of a task must not be taken for that of another with its pid.
TEST_F(TrapTest, T28_AReusedPidBeginsWithNothing) {
  TestCgroups cgroups("pids");
  cgroups.Make("poda/c1");
  cgroups.Make("podb/c1");
  const CgroupLayout layout = cgroups.Layout();
  if (!layout.cpu.v2) GTEST_SKIP() << "no cgroup v2 tree to start a process in";
  KernelAgent agent(layout);
  const std::string a = layout.cpu.directory + "/poda/c1", b = layout.cpu.directory + "/podb/c1";
  const pid_t pid = cgroups.Run("poda/c1", [] { Spin(milliseconds(50)); });
  EXPECT_EQ(WaitFor(pid), 0);
  for (int i = 0; i < 20; ++i) {
    const pid_t again = RunWithPid(i % 2 == 0 ? b : a, pid, milliseconds(5));
    if (again == 0 && i == 0) GTEST_SKIP() << "the kernel gives no pid that is asked for";
    ASSERT_EQ(again, pid);
    EXPECT_EQ(WaitFor(again), 0);
  }
  agent.After(milliseconds(20));
  EXPECT_NEAR(Ratio(agent.Of("a").cpu_ns, CpuTruth(layout, "poda")), 1.0, 0.0005);
  EXPECT_NEAR(Ratio(agent.Of("b").cpu_ns, CpuTruth(layout, "podb")), 1.0, 0.0005);
  EXPECT_LT(agent.Of("b").run_queue_wait_ns, 100'000'000'000u) << "no difference below zero";
}

// What a container makes inside itself belongs to it.
TEST_F(TrapTest, T29_NestedCgroupsBelongToTheirPod) {
  TestCgroups cgroups("nested");
  KernelAgent agent(cgroups.Layout());
  const std::string id(64, 'c');
  const std::string path = "besteffort/podnest/" + id + "/init.scope/deeper/still";
  cgroups.Make(path);
  EXPECT_EQ(WaitFor(cgroups.Run(path, [] { Spin(milliseconds(200)); })), 0);
  agent.After(milliseconds(20));
  EXPECT_NEAR(Ratio(agent.Of("nest").cpu_ns, CpuTruth(cgroups.Layout(), "besteffort/podnest")), 1.0,
              0.0005);
  ASSERT_EQ(agent.Pod("nest").containers.size(), 1u);
  EXPECT_EQ(agent.Pod("nest").containers[0].id, id);
  EXPECT_EQ(agent.Pod("nest").containers[0].totals.counters.cpu_ns, agent.Of("nest").cpu_ns);
}

}  // namespace
}  // namespace longshore::nodeagent

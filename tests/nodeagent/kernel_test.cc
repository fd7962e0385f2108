// SPDX-License-Identifier: Apache-2.0
//
// The agent's BPF programs against the running kernel's own counters, in cgroups of the test's own.
// Skipped, with the reason, where BPF cannot be loaded.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <set>

#include "common/base/log.h"
#include "tests/nodeagent/kernel_side_test.h"
#include "tests/nodeagent/test_agent.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

class KernelTest : public KernelSideTest {};

// CPU time is the kernel's own, for processes that switch, fork and compete for the two CPUs.
TEST_F(KernelTest, CpuTimeEqualsTheKernelsCounter) {
  TestCgroups cgroups("cpu");
  cgroups.Make("burstable/podaaaa/c1");
  TestAgent agent(cgroups.Layout());
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(cgroups.Run("burstable/podaaaa/c1", [] { Spin(milliseconds(400)); }));
  }
  children.push_back(cgroups.Run("burstable/podaaaa/c1", [] {
    for (int i = 0; i < 200; ++i) {  // a fork storm: most of the time is in short processes
      const pid_t child = ::fork();
      if (child == 0) ::_exit(0);
      WaitFor(child);
    }
  }));
  for (const pid_t child : children) EXPECT_EQ(WaitFor(child), 0);
  agent.After(milliseconds(50));
  const uint64_t truth = CpuTruth(cgroups.Layout(), "burstable/podaaaa");
  EXPECT_GT(truth, 1'200'000'000u);
  EXPECT_NEAR(Ratio(agent.pod("aaaa").usage.counters.cpu_ns, truth), 1.0, 0.0005);
  const std::string cpuacct = cgroups.Read("cpuacct", "burstable/podaaaa", "cpuacct.usage");
  if (!cpuacct.empty()) {
    EXPECT_NEAR(Ratio(agent.pod("aaaa").usage.counters.cpu_ns, std::stoull(cpuacct)), 1.0, 0.005);
  }
}

// They come in batches, of which this takes three: each is there, and once.
TEST_F(KernelTest, AllMembersAreListed) {
  constexpr size_t kPods = 600;
  TestCgroups cgroups("members");
  for (size_t i = 0; i < kPods; ++i) cgroups.Make("podm" + std::to_string(i));
  TestAgent agent(cgroups.Layout());
  std::set<uint64_t> ids;
  std::set<uint32_t> indices;
  const auto members = agent.host().ListMembers(Tree::kCpu);
  for (const auto& [id, member] : members) {
    ids.insert(id);
    indices.insert(member.index);
  }
  EXPECT_EQ(members.size(), kPods + 1) << "and kubepods itself";
  EXPECT_EQ(ids.size(), members.size());
  EXPECT_EQ(indices.size(), members.size());
}

// A pod that was there before the agent starts from the kernel's total.
TEST_F(KernelTest, APodOlderThanTheAgentContinuesFromTheKernelsTotal) {
  TestCgroups cgroups("older");
  cgroups.Make("podolder/c1");
  const pid_t child = cgroups.Run("podolder/c1", [] { Spin(milliseconds(500)); });
  ::usleep(250'000);
  TestAgent agent(cgroups.Layout());
  EXPECT_EQ(WaitFor(child), 0);
  agent.After(milliseconds(20));
  const uint64_t truth = CpuTruth(cgroups.Layout(), "podolder");
  EXPECT_NEAR(static_cast<double>(agent.pod("older").usage.counters.cpu_ns),
              static_cast<double>(truth), 5e6);
}

// Two kubelets on one kernel: each agent sees its own pods only, and their ids never mix.
TEST_F(KernelTest, EachAgentReportsOnlyPodsBelowItsOwnRoot) {
  TestCgroups first("one"), second("two");
  first.Make("podone/c1");
  second.Make("podtwo/c1");
  TestAgent first_agent(first.Layout()), second_agent(second.Layout());
  const pid_t a = first.Run("podone/c1", [] { Spin(milliseconds(300)); });
  const pid_t b = second.Run("podtwo/c1", [] { Spin(milliseconds(150)); });
  EXPECT_EQ(WaitFor(a), 0);
  EXPECT_EQ(WaitFor(b), 0);
  const Sample one = first_agent.After(milliseconds(20));
  const Sample two = second_agent.After(milliseconds(20));
  ASSERT_EQ(one.pods.size(), 1u);
  ASSERT_EQ(two.pods.size(), 1u);
  EXPECT_EQ(one.pods[0].uid, "one");
  EXPECT_EQ(two.pods[0].uid, "two");
  EXPECT_NEAR(Ratio(one.node.pods.cpu_ns, CpuTruth(first.Layout(), "podone")), 1.0, 0.0005);
  EXPECT_NEAR(Ratio(two.node.pods.cpu_ns, CpuTruth(second.Layout(), "podtwo")), 1.0, 0.0005);
}

// What the kernel has accounted to this process: {read_bytes, write_bytes}.
using TaskIo = std::array<uint64_t, 2>;

TaskIo OwnTaskIo() {
  const auto text = ReadFile("/proc/self/io");
  if (!text.has_value()) ::_exit(97);
  const auto field = [&](const std::string& name) {
    return std::stoull(text->substr(text->find("\n" + name) + name.size() + 1));
  };
  return {field("read_bytes: "), field("write_bytes: ")};
}

void DirectIo(const std::string& file) {
  constexpr size_t kBlock = 64 * 1024;
  void* buffer = nullptr;
  if (::posix_memalign(&buffer, 4096, kBlock) != 0) ::_exit(92);
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) ::_exit(93);
  for (int i = 0; i < 128; ++i) {
    if (::pwrite(fd, buffer, kBlock, i * off_t{kBlock}) != ssize_t{kBlock}) ::_exit(94);
  }
  for (int i = 0; i < 32; ++i) {
    if (::pread(fd, buffer, kBlock, i * off_t{kBlock}) != ssize_t{kBlock}) ::_exit(95);
  }
}

// Bytes are exactly what was transferred, and read what the kernel accounted to the task; and to
// the cgroup, where blk-throttle counts (since 6.10 only once a limit was set on the device).
TEST_F(KernelTest, BlockIoBytesEqualTheKernelsCounter) {
  TestCgroups cgroups("block");
  cgroups.Make("podblock/c1");
  TestAgent agent(cgroups.Layout());
  const ScratchFile scratch("direct");
  const std::string& file = scratch.path;
  int out[2];
  ASSERT_EQ(::pipe(out), 0);
  const int status = WaitFor(cgroups.Run("podblock/c1", [&] {
    DirectIo(file);
    const TaskIo io = OwnTaskIo();
    if (::write(out[1], io.data(), sizeof io) != sizeof io) ::_exit(96);
  }));
  if (status == 93) GTEST_SKIP() << file << ": no direct I/O on this file system";
  ASSERT_EQ(status, 0);
  TaskIo truth{};
  ASSERT_EQ(::read(out[0], truth.data(), sizeof truth), ssize_t{sizeof truth});
  if (truth == TaskIo{}) GTEST_SKIP() << file << ": no block device below this file system";
  agent.After(milliseconds(50));
  const Counters& counted = agent.pod("block").usage.counters;
  // The task's own figure also has the metadata that it dirtied, which the journal writes later.
  EXPECT_EQ(counted.write_bytes, 8u << 20);
  EXPECT_GE(truth[1], counted.write_bytes);
  EXPECT_GE(truth[0], 2u << 20);
  EXPECT_EQ(counted.read_bytes, truth[0]);
  EXPECT_GE(counted.read_ops, 32u);
  EXPECT_GE(counted.write_ops, 1u);
  const CgroupLayout layout = cgroups.Layout();
  const Counters cgroup = ReadIoTotals(layout.io.directory + "/podblock", layout.io.v2);
  if (cgroup.write_bytes > 0) {
    EXPECT_EQ(counted.write_bytes, cgroup.write_bytes);
    EXPECT_EQ(counted.read_bytes, cgroup.read_bytes);
  }
}

TEST_F(KernelTest, MemoryIsWhatTheKernelCharges) {
  TestCgroups cgroups("memory");
  cgroups.Make("podmem/c1");
  OpenFiles open_files;
  MemoryFiles files(cgroups.Layout().memory.v2, open_files);
  if (!files.Read(cgroups.Layout().memory.directory + "/podmem"))
    GTEST_SKIP() << "the memory controller is not handed down to " << cgroups.root();
  TestAgent agent(cgroups.Layout());
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = cgroups.Run("podmem/c1", [&] {
    std::vector<char> anonymous(32u << 20, 'x');
    if (::write(ready[1], anonymous.data(), 1) != 1) ::_exit(96);
    ::pause();
  });
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  agent.After(milliseconds(20));
  ::kill(child, SIGKILL);
  WaitFor(child);
  const MemoryGauges& memory = agent.pod("mem").usage.memory;
  // Before 5.16 each CPU keeps up to 32 pages of memory.stat to itself.
  const uint64_t kept = static_cast<uint64_t>(::sysconf(_SC_NPROCESSORS_CONF)) * 32 * 4096;
  EXPECT_GE(memory.working_set_bytes + kept, 32u << 20);
  EXPECT_LE(memory.working_set_bytes, 40u << 20);
  EXPECT_GE(memory.usage_bytes, memory.working_set_bytes - (1u << 20));
}

// No cgroup v2 tree: tasks are looked up in v1's cpuacct instead.
TEST_F(KernelTest, CpuTimeIsRightThroughCpuacctAlone) {
  TestCgroups cgroups("cpuacct");
  cgroups.Make("podacct/c1");
  if (cgroups.Read("cpuacct", "podacct", "cpuacct.usage").empty()) {
    GTEST_SKIP() << "no cgroup v1 cpuacct here";
  }
  CgroupLayout layout = cgroups.Layout();
  const auto memberships = ReadFile("/proc/self/cgroup");
  ASSERT_TRUE(memberships.has_value());
  for (const CgroupMembership& line : ParseProcCgroup(*memberships)) {
    if (line.controllers.contains("cpuacct")) {
      layout.cpu = {"/sys/fs/cgroup/cpuacct" + cgroups.root() + "/kubepods", line.hierarchy, false};
    }
  }
  TestAgent agent(layout);
  const pid_t child = cgroups.Run("podacct/c1", [] { Spin(milliseconds(300)); });
  EXPECT_EQ(WaitFor(child), 0);
  agent.After(milliseconds(20));
  EXPECT_NEAR(Ratio(agent.pod("acct").usage.counters.cpu_ns,
                    std::stoull(cgroups.Read("cpuacct", "podacct", "cpuacct.usage"))),
              1.0, 0.0005);
}

}  // namespace
}  // namespace longshore::nodeagent

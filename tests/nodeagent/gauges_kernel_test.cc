// SPDX-License-Identifier: Apache-2.0
//
// The gauges on the running kernel, in cgroups of the test's own. Skipped, with the reason, where
// BPF cannot be loaded or the kernel does not count.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "nodeagent/memory_files.h"
#include "nodeagent/pressure_files.h"
#include "tests/nodeagent/kernel_agent.h"
#include "tests/nodeagent/kernel_side_test.h"
#include "tests/nodeagent/test_agent.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

class GaugesKernelTest : public KernelSideTest {};

// Without allocating: it runs in a child of a process with threads.
void WriteFileOf(const char* path, int megabytes) {
  static char block[1 << 20];
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) ::_exit(93);
  for (int i = 0; i < megabytes; ++i) {
    if (::pwrite(fd, block, sizeof block, i * off_t{sizeof block}) < 0) ::_exit(94);
  }
  ::close(fd);
}

// Through a mapping, page by page, twice: a kernel with two lists calls a page active at its second
// touch, one with generations when a fault brings it in.
void TouchTwice(const char* path, size_t bytes) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) ::_exit(93);
  // Only what is clean can be dropped, and only what was dropped comes in by a fault.
  if (::fsync(fd) != 0 || ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) ::_exit(95);
  for (int pass = 0; pass < 2; ++pass) {
    void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) ::_exit(96);
    const auto* const first = static_cast<const volatile char*>(mapped);
    for (size_t at = 0; at < bytes; at += page) static_cast<void>(first[at]);
    ::munmap(mapped, bytes);
  }
  ::close(fd);
}

// Three of these wait two thirds of the time.
[[noreturn]] void SpinOnTheFirstCpu() {
  PinOrExit(0);
  for (;;) Spin(milliseconds(1000));
}

// Trap 23: the number behind a pressure file is up to 2 s old until somebody reads the file, which
// we do. Three tasks that share a CPU wait two thirds of the time, and each step must show it.
TEST_F(GaugesKernelTest, T23_PressureIsUpToDateAtEveryStep) {
  TestCgroups cgroups("pressure");
  cgroups.Make("podpsi/c1");
  const CgroupLayout layout = cgroups.Layout();
  OpenFiles open_files;
  PressureFiles files(open_files);
  const std::string directory = layout.cpu.directory + "/podpsi";
  if (!layout.cpu.v2 || !files.Read(directory)) GTEST_SKIP() << "no pressure in " << directory;
  std::vector<pid_t> hogs;
  for (int i = 0; i < 3; ++i) {
    hogs.push_back(cgroups.Run("podpsi/c1", SpinOnTheFirstCpu));
  }
  ::usleep(200'000);
  Pressure last = *files.Read(directory);
  for (int step = 0; step < 5; ++step) {
    ::usleep(300'000);
    const Pressure now = *files.Read(directory);
    EXPECT_GE(now.cpu_some_us - last.cpu_some_us, 150'000u) << "step " << step;
    last = now;
  }
  for (const pid_t hog : hogs) {
    ::kill(hog, SIGKILL);
    WaitFor(hog);
  }
}

// Which of a database pod's containers it is that waits.
TEST_F(GaugesKernelTest, ContainersOfAWatchedPodHaveAPressureOfTheirOwn) {
  TestCgroups cgroups("inside");
  const std::string busy = ContainerName(1), idle = ContainerName(2);
  cgroups.Make("podinside/" + busy);
  cgroups.Make("podinside/" + idle);
  const CgroupLayout layout = cgroups.Layout();
  if (!layout.cpu.v2 || !ReadPressure(layout.cpu.directory + "/podinside", "/proc")) {
    GTEST_SKIP() << "no pressure in " << layout.cpu.directory;
  }
  TestAgent agent(layout);
  agent.collector().Watch({"inside"});
  std::vector<pid_t> hogs;
  for (int i = 0; i < 3; ++i) {
    hogs.push_back(cgroups.Run("podinside/" + busy, SpinOnTheFirstCpu));
  }
  agent.After(milliseconds(600));
  for (const pid_t hog : hogs) {
    ::kill(hog, SIGKILL);
    WaitFor(hog);
  }
  const auto waited_us = [&](const std::string& id) {
    const auto& containers = agent.pod("inside").containers;
    const auto found = std::ranges::find(containers, id, &ContainerSample::id);
    return found == containers.end() || !found->usage.pressure ? UINT64_MAX
                                                               : found->usage.pressure->cpu_some_us;
  };
  EXPECT_GE(waited_us(busy), 150'000u);
  EXPECT_LT(waited_us(busy), 1'000'000u);
  EXPECT_EQ(waited_us(idle), 0u);
}

// Trap 27: a backup reads a large file. The kubelet's working set grows by its active pages; ours,
// which scaling goes by, stays.
TEST_F(GaugesKernelTest, T27_ReadingAFileIsNotDemandForMemory) {
  constexpr uint64_t kMegabyte = 1 << 20;
  TestCgroups cgroups("cache");
  cgroups.Make("podcache/c1");
  const CgroupLayout layout = cgroups.Layout();
  OpenFiles open_files;
  MemoryFiles files(layout.memory.v2, open_files);
  const std::string directory = layout.memory.directory + "/podcache";
  if (layout.memory.directory.empty() || !files.Read(directory)) {
    GTEST_SKIP() << "no memory controller in " << cgroups.root();
  }
  const MemoryGauges before = *files.Read(directory);
  const ScratchFile scratch("gauges");
  const std::string& file = scratch.path;
  EXPECT_EQ(WaitFor(cgroups.Run("podcache/c1",
                                [&] {
                                  WriteFileOf(file.c_str(), 64);
                                  TouchTwice(file.c_str(), 64 * kMegabyte);
                                })),
            0);
  const MemoryGauges after = *files.Read(directory);
  EXPECT_GE(after.file_bytes, before.file_bytes + 60 * kMegabyte);
  EXPECT_GE(after.kubelet_working_set_bytes, before.kubelet_working_set_bytes + 30 * kMegabyte);
  EXPECT_LE(after.working_set_bytes, before.working_set_bytes + 4 * kMegabyte);
}

// Uses more memory than the cgroup may have, all at once, until it is killed.
[[noreturn]] void UseTooMuch() {
  constexpr size_t kBytes = 64u << 20;
  void* const memory =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) ::_exit(97);
  for (size_t at = 0; at < kBytes; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
  ::_exit(98);
}

// The container's cgroup, and on v1 its count, is gone before the agent looks.
TEST_F(GaugesKernelTest, AnOomKillIsCountedThoughItsContainerIsGone) {
  TestCgroups cgroups("oom");
  cgroups.Make("podoom");
  TestAgent agent(cgroups.Layout());
  const auto& degraded = agent.host().degraded();
  if (std::ranges::find(degraded, "oom-kills") != degraded.end()) {
    GTEST_SKIP() << "this kernel doesn't tell whom it kills";
  }
  for (uint64_t kill = 1; kill <= 3; ++kill) {
    const std::string container = "podoom/" + ContainerName(static_cast<int>(kill));
    cgroups.Make(container);
    if (!cgroups.Write("memory", container, "memory.limit_in_bytes", "8388608") &&
        !cgroups.Write("", container, "memory.max", "8388608")) {
      GTEST_SKIP() << "the memory controller is not handed down to " << cgroups.root();
    }
    cgroups.Write("memory", container, "memory.memsw.limit_in_bytes", "8388608");
    cgroups.Write("", container, "memory.swap.max", "0");
    EXPECT_EQ(WaitFor(cgroups.Run(container, UseTooMuch)), 128 + SIGKILL);
    cgroups.Remove(container);
    agent.After(milliseconds(20));
    EXPECT_EQ(agent.pod("oom").usage.oom_kills, kill);
  }
  agent.After(milliseconds(400));
  EXPECT_TRUE(agent.pod("oom").containers.empty());
  EXPECT_EQ(agent.pod("oom").usage.oom_kills, 3u);
  cgroups.Remove("podoom");
  agent.After(milliseconds(20));
  agent.After(milliseconds(400));
  EXPECT_EQ(agent.finals("oom"), 1);
  EXPECT_EQ(agent.pod("oom").usage.oom_kills, 3u);
}

}  // namespace
}  // namespace longshore::nodeagent

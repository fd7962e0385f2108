// SPDX-License-Identifier: Apache-2.0
//
// What the agent counts ÷ what the kernel's own counters say, under the loads that are hardest to
// follow. A ratio above 1 is as wrong as one below, so the smaller of it and its inverse is
// printed.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "common/base/files.h"
#include "common/base/log.h"
#include "tests/bench/nodeagent_bench.h"
#include "tests/nodeagent/test_agent.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

double Accuracy(uint64_t counted, uint64_t truth) {
  if (counted == 0 || truth == 0) return counted == truth ? 1 : 0;
  const double ratio = static_cast<double>(counted) / static_cast<double>(truth);
  return std::min(ratio, 1 / ratio);
}

uint64_t CpuTruth(const CgroupLayout& layout, const std::string& path) {
  return ReadCpuTotalNs(layout.cpu.directory + "/" + path, layout.cpu.v2);
}

void ForkStorm(int forks) {
  for (int i = 0; i < forks; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    if (child < 0 || WaitFor(child) != 0) ::_exit(1);
  }
}

void MeasureCpu(TestCgroups& cgroups) {
  const CgroupLayout layout = cgroups.Layout();
  for (const char* pod : {"podstorm/c1", "podpipe/c1", "podhogs/c1"}) cgroups.Make(pod);
  TestAgent agent(layout);
  LS_CHECK(WaitFor(cgroups.Run("podstorm/c1", [] { ForkStorm(3000); })) == 0);
  (void)PingPong(cgroups, "podpipe/c1", 100'000);
  std::vector<pid_t> hogs;
  for (int i = 0; i < 5; ++i) {
    hogs.push_back(cgroups.Run("podhogs/c1", [] { Spin(milliseconds(600)); }));
  }
  for (const pid_t hog : hogs) LS_CHECK(WaitFor(hog) == 0);
  agent.After(milliseconds(50));
  double worst = 1;
  for (const std::string pod : {"storm", "pipe", "hogs"}) {
    const double accuracy = Accuracy(agent.cpu_ns(pod), CpuTruth(layout, "pod" + pod));
    Print("cpu_accuracy_ratio_" + pod, accuracy, "ratio");
    worst = std::min(worst, accuracy);
  }
  Print("cpu_accuracy_ratio_min", worst, "ratio");
  for (const char* pod : {"podstorm", "podpipe", "podhogs"}) cgroups.Remove(pod);
}

// What the kernel accounts to this process as {read, written}.
using TaskIo = std::array<uint64_t, 2>;

TaskIo OwnTaskIo() {
  const auto text = ReadFile("/proc/self/io");
  if (!text.has_value()) ::_exit(97);
  const auto field = [&](const std::string& name) {
    return std::stoull(text->substr(text->find("\n" + name) + name.size() + 1));
  };
  return {field("read_bytes: "), field("write_bytes: ")};
}

constexpr size_t kBlock = 64 * 1024;
constexpr int kBlocks = 128;

// Direct writes and reads; and, where the kernel charges writeback to cgroups, buffered ones that
// reach the device.
void BlockLoad(const std::string& file, bool buffered) {
  void* buffer = nullptr;
  if (::posix_memalign(&buffer, 4096, kBlock) != 0) ::_exit(92);
  const int direct = ::open(file.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
  if (direct < 0) ::_exit(93);
  for (int i = 0; i < kBlocks; ++i) {
    if (::pwrite(direct, buffer, kBlock, i * off_t{kBlock}) != ssize_t{kBlock}) ::_exit(94);
  }
  for (int i = 0; i < kBlocks / 2; ++i) {
    if (::pread(direct, buffer, kBlock, i * off_t{kBlock}) != ssize_t{kBlock}) ::_exit(95);
  }
  if (!buffered) return;
  const int cached = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  for (int i = 0; i < kBlocks / 2; ++i) {
    if (::pwrite(cached, buffer, kBlock, i * off_t{kBlock}) != ssize_t{kBlock}) ::_exit(96);
  }
  if (::fsync(cached) != 0) ::_exit(96);
}

// The truth is io.stat where blkio is in v2. In v1 buffered writes are nobody's, and blk-throttle's
// counters stand still without a limit: there it is what was written directly, and what the kernel
// accounts to the task as read.
void MeasureBlock(TestCgroups& cgroups) {
  const CgroupLayout layout = cgroups.Layout();
  const BenchFile file;
  cgroups.Make("podblock/c1");
  const bool stat =
      layout.io.v2 && ::access((layout.io.directory + "/podblock/io.stat").c_str(), R_OK) == 0;
  TestAgent agent(layout);
  int out[2];
  LS_CHECK(::pipe(out) == 0);
  const pid_t child = cgroups.Run("podblock/c1", [&] {
    BlockLoad(file.path(), stat);
    const TaskIo io = OwnTaskIo();
    if (::write(out[1], io.data(), sizeof io) != sizeof io) ::_exit(98);
  });
  LS_CHECK(WaitFor(child) == 0);
  TaskIo truth{};
  LS_CHECK(::read(out[0], truth.data(), sizeof truth) == sizeof truth);
  truth[1] = kBlock * kBlocks;
  agent.After(milliseconds(200));
  if (stat) {
    const Counters cgroup = ReadIoTotals(layout.io.directory + "/podblock", true);
    truth = {cgroup.read_bytes, cgroup.write_bytes};
  }
  const Counters& counted = agent.pod("block").usage.counters;
  Print("io_bytes_ratio",
        std::min(Accuracy(counted.read_bytes, truth[0]), Accuracy(counted.write_bytes, truth[1])),
        "ratio");
  for (const int fd : out) ::close(fd);
  cgroups.Remove("podblock");
}

// Pods that live 3 ms. Lost is one that is not reported as final once, or with less than its CPU
// time.
void MeasureShortLived(TestCgroups& cgroups) {
  constexpr int kPods = 300;
  const CgroupLayout layout = cgroups.Layout();
  cgroups.Make("burstable");
  TestAgent agent(layout);
  const uint64_t before = CpuTruth(layout, "burstable");
  std::array<uint64_t, kPods> truth{};
  std::atomic<bool> done = false;
  std::jthread maker([&] {
    for (int i = 0; i < kPods; ++i) {
      const std::string path = "burstable/pods" + std::to_string(i);
      cgroups.Make(path + "/c1");
      LS_CHECK(WaitFor(cgroups.Run(path + "/c1", [] { Spin(milliseconds(3)); })) == 0);
      truth[i] = CpuTruth(layout, path);
      cgroups.Remove(path);
    }
    done = true;
  });
  while (!done) agent.After(milliseconds(100));
  for (int i = 0; i < 2; ++i) agent.After(milliseconds(400));
  int lost = 0;
  uint64_t counted = 0;
  for (int i = 0; i < kPods; ++i) {
    const std::string uid = "s" + std::to_string(i);
    const uint64_t cpu = agent.cpu_ns(uid);
    if (agent.finals(uid) != 1 || static_cast<double>(cpu) < 0.9995 * static_cast<double>(truth[i]))
      ++lost;
    counted += cpu;
  }
  Print("short_lived_lost", lost, "pods");
  Print("short_lived_cpu_ratio", Accuracy(counted, CpuTruth(layout, "burstable") - before),
        "ratio");
}

}  // namespace

void MeasureAccuracy(TestCgroups& cgroups) {
  MeasureCpu(cgroups);
  MeasureBlock(cgroups);
  MeasureShortLived(cgroups);
}

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// The traps of measuring file, block and network I/O, one test each, against the kernel's own
// counters. The numbers are those of the research notes.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "common/base/files.h"
#include "nodeagent/kernel_files.h"
#include "tests/nodeagent/kernel_agent.h"

namespace longshore::nodeagent {
namespace {

constexpr size_t kMiB = 1 << 20;

// What runs in the child processes ends them when the kernel refuses something.
int OpenOrExit(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) ::_exit(93);
  return fd;
}

void WriteOrExit(int fd, size_t bytes, size_t step = kMiB) {
  static const std::vector<char> data(kMiB, 'x');
  for (size_t done = 0; done < bytes; done += step) {
    if (::write(fd, data.data(), step) != static_cast<ssize_t>(step)) ::_exit(94);
  }
}

// Writes, then reads, with O_DIRECT: each call is a request of its own.
void DirectIoOrExit(const std::string& path, size_t block, int writes, int reads) {
  const int fd = OpenOrExit(path, O_RDWR | O_CREAT | O_DIRECT);
  void* buffer = nullptr;
  if (::posix_memalign(&buffer, 4096, block) != 0) ::_exit(95);
  const auto size = static_cast<ssize_t>(block);
  for (int i = 0; i < writes; ++i) {
    if (::pwrite(fd, buffer, block, i * off_t{size}) != size) ::_exit(96);
  }
  for (int i = 0; i < reads; ++i) {
    if (::pread(fd, buffer, block, i * off_t{size}) != size) ::_exit(97);
  }
  ::close(fd);
}

class TrapIoTest : public KernelSideTest {
 protected:
  void SetUp() override {
    KernelSideTest::SetUp();
    if (IsSkipped()) return;
    const UniqueFd made(::open(file_.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(made.get(), "made", 4), 4);
    ASSERT_EQ(::fsync(made.get()), 0) << "else the first to use it pays for this page";
    struct stat status{};
    ASSERT_EQ(::stat(file_.path.c_str(), &status), 0);
    device_ = {major(status.st_dev), minor(status.st_dev)};
    if (device_.major == 0) GTEST_SKIP() << file_.path << ": no block device below it";
    // A partition's I/O is counted with its disk.
    const std::string sysfs = "/sys/dev/block/" + device_.ToString();
    if (::access((sysfs + "/partition").c_str(), F_OK) == 0) {
      const auto disk = ReadFile(sysfs + "/../dev");
      ASSERT_TRUE(disk.has_value());
      char colon = 0;
      std::istringstream(*disk) >> device_.major >> colon >> device_.minor;
    }
  }
  DeviceCounters OnDevice(KernelAgent& agent, const std::string& uid) {
    const auto& devices = agent.Pod(uid).totals.devices;
    const auto found = devices.find(device_);
    return found == devices.end() ? DeviceCounters{} : found->second;
  }

  ScratchFile file_{"traps"};
  DeviceId device_;
};

// Background writeback is issued by nobody's task: only the bio knows who pays. Where the block
// controller is a hierarchy of its own nobody can know (T12).
TEST_F(TrapIoTest, T11_WritebackIsPaidByWhoDirtiedNotByWhoSyncs) {
  TestCgroups cgroups("writeback");
  cgroups.Make("podwriter/c1");
  cgroups.Make("podsyncer/c1");
  if (!cgroups.Layout().io.v2) GTEST_SKIP() << "the I/O controller is not on cgroup v2";
  if (cgroups.Read("", "podwriter", "io.stat").empty() &&
      cgroups.Read("", "podwriter", "memory.stat").empty()) {
    GTEST_SKIP() << "memory and io are not handed down to " << cgroups.root();
  }
  KernelAgent agent(cgroups.Layout());
  // A file of its own: one that another has dirtied before is that other's for some seconds (T20).
  const ScratchFile fresh("traps-fresh");
  Worker writer(cgroups, "podwriter/c1", [&] {
    WriteOrExit(OpenOrExit(fresh.path, O_WRONLY | O_CREAT | O_EXCL), 8 * kMiB);
  });
  ASSERT_TRUE(writer.Finish());
  Worker syncer(cgroups, "podsyncer/c1", [&] { ::fdatasync(OpenOrExit(fresh.path, O_RDONLY)); });
  ASSERT_TRUE(syncer.Finish());
  agent.After(milliseconds(50));
  EXPECT_EQ(agent.Of("writer").write_bytes, 8 * kMiB);
  EXPECT_EQ(OnDevice(agent, "writer").write_bytes, 8 * kMiB);
  EXPECT_EQ(agent.Of("syncer").write_bytes, 0u);
}

// With the block controller on a v1 hierarchy, writeback is charged to its root: the device's bytes
// are nobody's, and what the pod has dirtied stands beside them.
TEST_F(TrapIoTest, T12_OnHybridADirtyingPodHasNoDeviceBytes) {
  TestCgroups cgroups("hybrid");
  cgroups.Make("poddirty/c1");
  if (cgroups.Layout().io.v2 || cgroups.Layout().io.directory.empty()) {
    GTEST_SKIP() << "the block controller is not on cgroup v1";
  }
  KernelAgent agent(cgroups.Layout());
  Worker worker(cgroups, "poddirty/c1", [&] {
    const int fd = OpenOrExit(file_.path, O_WRONLY | O_TRUNC);
    WriteOrExit(fd, 8 * kMiB);
  });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  const uint64_t before = agent.tree().NodeDevices()[device_].write_bytes;
  const int fd = ::open(file_.path.c_str(), O_RDONLY);
  ASSERT_EQ(::fdatasync(fd), 0);
  ::close(fd);
  agent.After(milliseconds(50));
  EXPECT_EQ(TaskPart(agent.Of("dirty")), worker.Truth());
  EXPECT_GE(agent.Of("dirty").dirtied_bytes, 8 * kMiB);
  EXPECT_EQ(agent.Of("dirty").write_bytes, 0u);
  EXPECT_GE(agent.tree().NodeDevices()[device_].write_bytes, before + 8 * kMiB);
}

// Bytes are what went to the device, operations are requests; the kernel's io.stat counts other
// "operations" on each version, so only bytes are compared with it.
TEST_F(TrapIoTest, T13_OperationsAreRequestsAndBytesAreExact) {
  TestCgroups cgroups("ops");
  cgroups.Make("podops/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("block-io")) GTEST_SKIP() << "block I/O is not measured here";
  Worker worker(cgroups, "podops/c1", [&] { DirectIoOrExit(file_.path, 4096, 128, 64); });
  ASSERT_TRUE(worker.Finish()) << "no direct I/O here";
  agent.After(milliseconds(0));
  const Counters& counted = agent.Of("ops");
  EXPECT_EQ(counted.write_bytes, 128u * 4096);
  EXPECT_EQ(counted.read_bytes, worker.Truth().fetched_bytes);
  EXPECT_GE(counted.read_bytes, 64u * 4096);
  EXPECT_EQ(counted.write_ops, 128u);
  EXPECT_GE(counted.read_ops, 64u);
  const DeviceCounters device = OnDevice(agent, "ops");
  EXPECT_EQ(device.write_bytes, counted.write_bytes);
  EXPECT_EQ(device.write_ops, counted.write_ops);
  EXPECT_EQ(device.read_bytes, counted.read_bytes);
  EXPECT_EQ(device.read_ops, counted.read_ops);
  EXPECT_EQ(agent.host().Lost().Total(), 0u);
}

// Each completed operation is in the histogram once. Completions over tasks that hide them (see
// block.bpf.h) have no latency, but never one twice.
TEST_F(TrapIoTest, LatencyIsThatOfCompletedOperations) {
  TestCgroups cgroups("latency");
  cgroups.Make("podfirst/c1");
  cgroups.Make("podlat/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("block-latency")) GTEST_SKIP() << "completions are not measured here";
  // The first may come back without the time of their issue, where the kernel doesn't note it.
  Worker first(cgroups, "podfirst/c1", [&] { DirectIoOrExit(file_.path, 4096, 8, 0); });
  ASSERT_TRUE(first.Finish()) << "no direct I/O here";
  const auto began = std::chrono::steady_clock::now();
  DeviceCounters device;
  for (int round = 0; round < 20 && (!device.write.Count() || !device.read.Count()); ++round) {
    Worker worker(cgroups, "podlat/c1", [&] { DirectIoOrExit(file_.path, 4096, 100, 100); });
    ASSERT_TRUE(worker.Finish());
    agent.After(milliseconds(20));
    device = OnDevice(agent, "lat");
  }
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_LE(device.write.Count(), device.write_ops);
  EXPECT_LE(device.read.Count(), device.read_ops);
  EXPECT_GE(device.write.Count(), 1u);
  EXPECT_GE(device.read.Count(), 1u);
  EXPECT_LE(device.queue.Count(), device.write.Count() + device.read.Count());
  EXPECT_GT(device.device_ns, 0u);
  EXPECT_LE(device.device_ns + device.queue_ns, static_cast<uint64_t>(took.count()))
      << "one at a time, so the sum cannot be longer than it all took";
  RecordProperty("completions_seen_percent",
                 static_cast<int>(100 * (device.write.Count() + device.read.Count()) /
                                  (device.write_ops + device.read_ops)));
}

// Sectors of /proc/diskstats of a whole disk: read and written.
std::pair<uint64_t, uint64_t> DiskBytes(DeviceId device) {
  std::ifstream stats("/proc/diskstats");
  for (std::string line; std::getline(stats, line);) {
    std::istringstream fields(line);
    DeviceId found;
    std::string name;
    uint64_t reads, read_merges, read_sectors, read_ms, writes, write_merges, write_sectors;
    fields >> found.major >> found.minor >> name >> reads >> read_merges >> read_sectors >>
        read_ms >> writes >> write_merges >> write_sectors;
    if (found == device) return {read_sectors * 512, write_sectors * 512};
  }
  return {0, 0};
}

// Pods and everybody else together are what the kernel counts for the disk.
TEST_F(TrapIoTest, T14_AllThatUsedADeviceAddUpToTheDevice) {
  constexpr uint64_t kInFlight = 4 * kMiB;
  TestCgroups cgroups("disk");
  cgroups.Make("poddisk/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("block-io")) GTEST_SKIP() << "block I/O is not measured here";
  const auto outer_before = DiskBytes(device_);
  agent.After(milliseconds(0));
  const DeviceCounters before = agent.tree().NodeDevices()[device_];
  const auto inner_before = DiskBytes(device_);
  Worker worker(cgroups, "poddisk/c1", [&] { DirectIoOrExit(file_.path, kMiB, 32, 32); });
  ASSERT_TRUE(worker.Finish()) << "no direct I/O here";
  const auto inner_after = DiskBytes(device_);
  agent.After(milliseconds(0));
  const DeviceCounters after = agent.tree().NodeDevices()[device_];
  const auto outer_after = DiskBytes(device_);
  const uint64_t read = after.read_bytes - before.read_bytes;
  const uint64_t written = after.write_bytes - before.write_bytes;
  EXPECT_GE(read, 32 * kMiB);
  EXPECT_GE(written, 32 * kMiB);
  // The kernel counts at completion, we at issue.
  EXPECT_GE(read + kInFlight, inner_after.first - inner_before.first);
  EXPECT_LE(read, outer_after.first - outer_before.first + kInFlight);
  EXPECT_GE(written + kInFlight, inner_after.second - inner_before.second);
  EXPECT_LE(written, outer_after.second - outer_before.second + kInFlight);
}

// What was deleted before it was written back was dirtied for nothing.
TEST_F(TrapIoTest, T15_WhatIsDeletedBeforeWritebackIsTakenBack) {
  TestCgroups cgroups("cancel");
  cgroups.Make("podcancel/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("file-io")) GTEST_SKIP() << "this kernel has no task I/O accounting";
  Worker worker(cgroups, "podcancel/c1", [&] {
    const int fd = OpenOrExit(file_.path, O_WRONLY | O_TRUNC);
    WriteOrExit(fd, 16 * kMiB);
    if (::ftruncate(fd, 0) != 0) ::_exit(98);
  });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  const Counters truth = worker.Truth();
  EXPECT_EQ(truth.file_write_bytes, 16 * kMiB);
  EXPECT_LT(truth.dirtied_bytes, 8 * kMiB) << "unless writeback was faster";
  EXPECT_EQ(TaskPart(agent.Of("cancel")), truth);
}

// Bytes are what calls returned, not what they asked for, whatever the call.
TEST_F(TrapIoTest, T16_BytesAreThoseReturnedByEveryKindOfCall) {
  TestCgroups cgroups("calls");
  cgroups.Make("podcalls/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("file-io")) GTEST_SKIP() << "this kernel has no task I/O accounting";
  const ScratchFile other("traps-other");
  Worker worker(cgroups, "podcalls/c1", [&] {
    const int from = OpenOrExit(file_.path, O_RDWR | O_TRUNC);
    const int to = OpenOrExit(other.path, O_RDWR | O_CREAT);
    std::vector<char> buffer(kMiB);
    if (::write(from, buffer.data(), 300'000) != 300'000) ::_exit(94);
    if (::pread(from, buffer.data(), kMiB, 200'000) != 100'000) ::_exit(94);  // a short read
    iovec parts[2] = {{buffer.data(), 1000}, {buffer.data() + 5000, 2000}};
    if (::preadv(from, parts, 2, 0) != 3000 || ::pwritev(to, parts, 2, 0) != 3000) ::_exit(94);
    off_t at = 0;
    if (::sendfile(to, from, &at, kMiB) != 300'000) ::_exit(94);
    at = 0;
    off_t end = 400'000;
    if (::copy_file_range(from, &at, to, &end, 50'000, 0) != 50'000) ::_exit(94);
  });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  const Counters truth = worker.Truth();
  EXPECT_GE(truth.file_read_bytes, 100'000u + 3000 + 300'000 + 50'000);
  EXPECT_LT(truth.file_read_bytes, kMiB);
  EXPECT_EQ(TaskPart(agent.Of("calls")), truth);
}

// Pipes are in the calls' bytes but on no disk; a mapped file is on the disk but in no call.
TEST_F(TrapIoTest, T17_PipesAreNoDiskBytesAndMappedFilesAre) {
  TestCgroups cgroups("pipes");
  cgroups.Make("podpipe/c1");
  cgroups.Make("podmap/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("file-io")) GTEST_SKIP() << "this kernel has no task I/O accounting";
  {
    const int fd = ::open(file_.path.c_str(), O_WRONLY);
    const std::string data(8 * kMiB, 'm');
    ASSERT_EQ(::write(fd, data.data(), data.size()), static_cast<ssize_t>(data.size()));
    ASSERT_EQ(::fsync(fd), 0);
    ASSERT_EQ(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    ::close(fd);
  }
  Worker pipes(cgroups, "podpipe/c1", [] {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(94);
    static char buffer[32 * 1024];
    for (int i = 0; i < 512; ++i) {
      if (::write(ends[1], buffer, sizeof buffer) != sizeof buffer) ::_exit(94);
      if (::read(ends[0], buffer, sizeof buffer) != sizeof buffer) ::_exit(94);
    }
  });
  Worker maps(cgroups, "podmap/c1", [&] {
    const int fd = OpenOrExit(file_.path, O_RDONLY);
    const auto* data =
        static_cast<const volatile char*>(::mmap(nullptr, 8 * kMiB, PROT_READ, MAP_SHARED, fd, 0));
    if (data == MAP_FAILED) ::_exit(94);
    for (size_t i = 0; i < 8 * kMiB; i += 4096) (void)data[i];
  });
  ASSERT_TRUE(pipes.Finish());
  ASSERT_TRUE(maps.Finish());
  agent.After(milliseconds(0));
  EXPECT_GE(agent.Of("pipe").file_read_bytes, 16 * kMiB);
  EXPECT_EQ(agent.Of("pipe").fetched_bytes, 0u);
  EXPECT_EQ(agent.Of("pipe").dirtied_bytes, 0u);
  EXPECT_EQ(agent.Of("pipe").read_bytes + agent.Of("pipe").write_bytes, 0u);
  EXPECT_EQ(TaskPart(agent.Of("pipe")), pipes.Truth());
  EXPECT_GE(agent.Of("map").fetched_bytes, 8 * kMiB);
  EXPECT_LT(agent.Of("map").file_read_bytes, kMiB);
  EXPECT_GT(agent.Of("map").major_faults, 0u);
  EXPECT_GE(agent.Of("map").read_bytes, 8 * kMiB);
  EXPECT_EQ(TaskPart(agent.Of("map")), maps.Truth());
}

// A page that is dirty already isn't dirtied again: known, and asserted so that it stays known.
TEST_F(TrapIoTest, T18_OverwritingDirtyPagesDirtiesNothing) {
  TestCgroups cgroups("over");
  cgroups.Make("podover/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("file-io")) GTEST_SKIP() << "this kernel has no task I/O accounting";
  Worker worker(cgroups, "podover/c1", [&] {
    const int fd = OpenOrExit(file_.path, O_WRONLY | O_TRUNC);
    for (int i = 0; i < 10; ++i) {
      WriteOrExit(fd, kMiB);
      if (::lseek(fd, 0, SEEK_SET) != 0) ::_exit(94);
    }
  });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  EXPECT_EQ(agent.Of("over").file_write_bytes, 10 * kMiB);
  EXPECT_GE(agent.Of("over").dirtied_bytes, kMiB);
  EXPECT_LT(agent.Of("over").dirtied_bytes, 5 * kMiB) << "unless writeback came in between";
  EXPECT_EQ(TaskPart(agent.Of("over")), worker.Truth());
}

// More pairs of cgroup and device than cells: sums stay right, and the loss is counted.
TEST_F(TrapIoTest, T24_WithoutAFreeCellBytesAreSummedAndCountedAsLost) {
  TestCgroups cgroups("cells");
  const CgroupLayout layout = cgroups.Layout();
  BpfConfig config = ConfigFor(layout);
  config.max_device_cells = 4;
  KernelAgent agent(layout, config);
  if (!agent.Measures("block-io")) GTEST_SKIP() << "block I/O is not measured here";
  uint64_t by_pod = 0, by_device = 0;
  for (int i = 0; i < 6; ++i) {
    const std::string uid = "cell" + std::to_string(i);
    cgroups.Make("pod" + uid + "/c1");
    Worker worker(cgroups, "pod" + uid + "/c1", [&] { DirectIoOrExit(file_.path, 4096, 16, 0); });
    ASSERT_TRUE(worker.Finish()) << "no direct I/O here";
    agent.After(milliseconds(0));
    EXPECT_EQ(agent.Of(uid).write_bytes, 16u * 4096) << "a pod's own sum needs no cell";
    by_pod += agent.Of(uid).write_bytes;
  }
  for (const DeviceRow& row : agent.host().ReadDevices()) {
    if (row.index != 0) by_device += row.counters.write_bytes;
  }
  EXPECT_EQ(by_device, by_pod);
  EXPECT_GT(agent.host().Lost().devices, 0u);
}

// What a pod's process waits for its data to be safe.
TEST_F(TrapIoTest, FsyncIsTimedWhereTheFileSystemTells) {
  TestCgroups cgroups("fsync");
  cgroups.Make("podfsync/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("fsync")) GTEST_SKIP() << "no ext4 here";
  const auto began = std::chrono::steady_clock::now();
  Worker worker(cgroups, "podfsync/c1", [&] {
    const int fd = OpenOrExit(file_.path, O_WRONLY | O_TRUNC);
    for (int i = 0; i < 20; ++i) {
      WriteOrExit(fd, 4096, 4096);
      if ((i % 2 == 0 ? ::fsync(fd) : ::fdatasync(fd)) != 0) ::_exit(98);
    }
  });
  ASSERT_TRUE(worker.Finish());
  const auto took = std::chrono::steady_clock::now() - began;
  agent.After(milliseconds(0));
  const Counters& counted = agent.Of("fsync");
  if (counted.fsyncs == 0) GTEST_SKIP() << file_.path << " is not on ext4";
  EXPECT_EQ(counted.fsyncs, 20u);
  EXPECT_EQ(counted.fsync.Count(), 20u);
  EXPECT_GT(counted.fsync_ns, 0u);
  EXPECT_LE(counted.fsync_ns, static_cast<uint64_t>(took.count()));
}

// A pod at its memory limit pays for making room itself.
TEST_F(TrapIoTest, ReclaimAtThePodsOwnLimitIsItsStall) {
  TestCgroups cgroups("reclaim");
  cgroups.Make("podreclaim/c1");
  const bool v1 = cgroups.Write("memory", "podreclaim", "memory.limit_in_bytes", "16777216");
  if (!v1 && !cgroups.Write("", "podreclaim", "memory.max", "16777216")) {
    GTEST_SKIP() << "the memory controller is not handed down to " << cgroups.root();
  }
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("reclaim")) GTEST_SKIP() << "this kernel doesn't tell of reclaim";
  Worker worker(cgroups, "podreclaim/c1", [&] {
    const int fd = OpenOrExit(file_.path, O_RDWR | O_TRUNC);
    WriteOrExit(fd, 64 * kMiB);
  });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  EXPECT_GT(agent.Of("reclaim").reclaim_stall_ns, 0u);
  EXPECT_LT(agent.Of("reclaim").reclaim_stall_ns, 60'000'000'000u);
}

// Loopback TCP, to the byte; looking at data first isn't receiving it, and Unix sockets are no
// network.
TEST_F(TrapIoTest, NetworkBytesAreThoseOfInternetSockets) {
  TestCgroups cgroups("net");
  cgroups.Make("podnet/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("network")) GTEST_SKIP() << "this kernel doesn't tell what sockets carry";
  Worker worker(cgroups, "podnet/c1", [] {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0),
              client = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* self = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener, self, length) != 0 || ::listen(listener, 1) != 0) ::_exit(94);
    ::getsockname(listener, self, &length);
    if (::connect(client, self, length) != 0) ::_exit(94);
    const int server = ::accept(listener, nullptr, nullptr);
    int unix_pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair) != 0) ::_exit(94);
    static char data[10'000];
    for (int i = 0; i < 100; ++i) {
      if (::send(client, data, sizeof data, 0) != sizeof data) ::_exit(94);
      if (::recv(server, data, sizeof data, MSG_PEEK) <= 0) ::_exit(94);
      if (::recv(server, data, sizeof data, MSG_WAITALL) != sizeof data) ::_exit(94);
      if (::write(unix_pair[0], data, 500) != 500 || ::read(unix_pair[1], data, 500) != 500) {
        ::_exit(94);
      }
    }
    if (::write(server, data, 77) != 77 || ::read(client, data, sizeof data) != 77) ::_exit(94);
  });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(0));
  EXPECT_EQ(agent.Of("net").network_send_bytes, 1'000'077u);
  EXPECT_EQ(agent.Of("net").network_receive_bytes, 1'000'077u);
}

}  // namespace
}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// The traps of measuring block I/O, one test each, against the kernel's own counters. The numbers
// are those of the research notes.
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <fstream>
#include <utility>

#include "nodeagent/kernel_files.h"
#include "nodeagent/sysfs.h"
#include "tests/nodeagent/trap_io.h"

namespace longshore::nodeagent {
namespace {

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
  if (cgroups.Read("", "podwriter", "io.stat").empty()) return;  // not handed down
  const std::string kubepods = cgroups.Layout().io.directory;
  EXPECT_EQ(ReadIoTotals(kubepods + "/podwriter", true).write_bytes, 8 * kMiB);
  EXPECT_EQ(ReadIoTotals(kubepods + "/podsyncer", true).write_bytes, 0u);
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

// A block device over a file, without a partition table; gone with its last user.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& file) {
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const int number = control.get() < 0 ? -1 : ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return;
    path_ = "/dev/loop" + std::to_string(number);
    device_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    const UniqueFd backing(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    loop_config config{};
    config.fd = static_cast<uint32_t>(backing.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    if (device_.get() < 0 || ::ioctl(device_.get(), LOOP_CONFIGURE, &config) != 0) path_.clear();
  }
  bool made() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  DeviceId id() const {
    struct stat status{};
    ::stat(path_.c_str(), &status);
    return {major(status.st_rdev), minor(status.st_rdev)};
  }

 private:
  std::string path_;
  UniqueFd device_;
};

// What goes through a loop device is seen twice, there and on the disk below: two rows, of which
// only the disk's is not tagged.
TEST_F(TrapIoTest, T14_AStackedDeviceIsARowOfItsOwnAndTagged) {
  TestCgroups cgroups("loop");
  cgroups.Make("podloop/c1");
  const ScratchFile image("traps-loop");
  {
    const UniqueFd made(OpenOrExit(image.path, O_WRONLY | O_CREAT));
    WriteOrExit(made.get(), 16 * kMiB);
    ASSERT_EQ(::fsync(made.get()), 0);
  }
  const LoopDevice loop(image.path);
  if (!loop.made()) GTEST_SKIP() << "no loop device to be had here";
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("block-io")) GTEST_SKIP() << "block I/O is not measured here";
  agent.After(milliseconds(0));
  auto before = agent.tree().NodeDevices();
  Worker worker(cgroups, "podloop/c1", [&] { DirectIoOrExit(loop.path(), kMiB, 8, 0); });
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(50));
  auto after = agent.tree().NodeDevices();
  EXPECT_EQ(after[loop.id()].write_bytes - before[loop.id()].write_bytes, 8 * kMiB);
  EXPECT_GE(after[device_].write_bytes - before[device_].write_bytes, 8 * kMiB);
  EXPECT_EQ(agent.Pod("loop").totals.devices.at(loop.id()).write_bytes, 8 * kMiB);
  BlockDevices devices("/sys");
  EXPECT_TRUE(devices.Get(loop.id(), MonotonicTime{}).stacked);
  EXPECT_FALSE(devices.Get(device_, MonotonicTime{}).stacked);
}

// We count at issue, histograms and io.stat at completion: while requests are under way the first
// is ahead, and nobody may compare them before all is quiet.
TEST_F(TrapIoTest, T19_RequestsUnderWayAreIssuedAndNotYetCompleted) {
  TestCgroups cgroups("flight");
  cgroups.Make("podflight/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("block-latency")) GTEST_SKIP() << "completions are not measured here";
  // Over the same blocks again and again, until there was time for some looks.
  constexpr uint64_t kWrites = 2000;
  Worker worker(cgroups, "podflight/c1", [&] {
    const int fd = OpenOrExit(file_.path, O_RDWR | O_DIRECT);
    void* buffer = nullptr;
    if (::posix_memalign(&buffer, 4096, 65536) != 0) ::_exit(95);
    for (uint64_t i = 0; i < kWrites; ++i) {
      if (::pwrite(fd, buffer, 65536, static_cast<off_t>(i % 16) * 65536) != 65536) ::_exit(96);
    }
  });
  // A row is read while requests are added to it, so each look is compared with the one before.
  uint64_t looks = 0;
  for (DeviceCounters before, now; now.write_bytes < kWrites * 65536 && looks < 10'000; ++looks) {
    ASSERT_FALSE(worker.ended());
    agent.After(milliseconds(2));
    before = std::exchange(now, OnDevice(agent, "flight"));
    ASSERT_LE(before.write.Count(), now.write_ops);
    ASSERT_LE(before.write_bytes, now.write_ops * 65536) << "a write is one request, or several";
    ASSERT_LE(before.write_bytes, now.write_bytes);
  }
  EXPECT_GT(looks, 1u) << "all was done before the first look";
  ASSERT_TRUE(worker.Finish());
  agent.After(milliseconds(20));
  const DeviceCounters quiet = OnDevice(agent, "flight");
  EXPECT_EQ(quiet.write_bytes, kWrites * 65536);
  if (!cgroups.Layout().io.v2) return;
  EXPECT_NE(
      cgroups.Read("", "podflight", "io.stat").find(" wbytes=" + std::to_string(kWrites * 65536)),
      std::string::npos)
      << cgroups.Read("", "podflight", "io.stat");
}

// On cgroup v2 writeback is paid by who owns the inode, which is its first writer until the kernel
// has seen another one for some seconds. So device bytes of a shared file may be the other's, but
// none is lost or doubled, and what each dirtied is its own at once.
TEST_F(TrapIoTest, T20_OfASharedFileTheDeviceBytesMayBeTheOthers) {
  TestCgroups cgroups("shared");
  cgroups.Make("podowner/c1");
  cgroups.Make("podguest/c1");
  KernelAgent agent(cgroups.Layout());
  const ScratchFile shared("traps-shared");
  const auto write = [&] {
    const int fd = OpenOrExit(shared.path, O_WRONLY | O_CREAT);
    WriteOrExit(fd, 4 * kMiB);
    if (::fdatasync(fd) != 0) ::_exit(98);
  };
  Worker owner(cgroups, "podowner/c1", write);
  ASSERT_TRUE(owner.Finish());
  Worker guest(cgroups, "podguest/c1", write);
  ASSERT_TRUE(guest.Finish());
  agent.After(milliseconds(50));
  // A new file may dirty some pages of the file system's own.
  EXPECT_GE(agent.Of("owner").dirtied_bytes, 4 * kMiB);
  EXPECT_EQ(agent.Of("owner").dirtied_bytes, owner.Truth().dirtied_bytes);
  EXPECT_EQ(agent.Of("guest").dirtied_bytes, 4 * kMiB);
  const uint64_t of_owner = agent.Of("owner").write_bytes, of_guest = agent.Of("guest").write_bytes;
  EXPECT_LE(of_owner + of_guest, 9 * kMiB) << "metadata aside";
  // Who pays is known where both controllers are on v2.
  if (!cgroups.Layout().io.v2 || cgroups.Read("", "podowner", "memory.stat").empty()) return;
  EXPECT_GE(of_owner, 4 * kMiB) << "what it wrote first";
  EXPECT_GE(of_owner + of_guest, 8 * kMiB);
}

}  // namespace
}  // namespace longshore::nodeagent

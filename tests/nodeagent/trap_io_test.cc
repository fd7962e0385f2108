// SPDX-License-Identifier: Apache-2.0
//
// The traps of measuring file and network I/O, one test each, against the kernel's own counters.
// The numbers are those of the research notes.
#include "tests/nodeagent/trap_io.h"

#include <arpa/inet.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "nodeagent/kernel_files.h"

namespace longshore::nodeagent {
namespace {

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
  EXPECT_GE(truth.dirtied_bytes, 16 * kMiB);
  EXPECT_GT(truth.cancelled_bytes, 8 * kMiB) << "unless writeback was faster";
  EXPECT_EQ(TaskPart(agent.Of("cancel")), truth);
}

// Deleting what another has dirtied takes nothing from either sum: counters never fall.
TEST_F(TrapIoTest, T15_WhatAnotherDeletesIsTakenFromNobodysSum) {
  TestCgroups cgroups("deleted");
  cgroups.Make("podwriter/c1");
  cgroups.Make("poddeleter/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("file-io")) GTEST_SKIP() << "this kernel has no task I/O accounting";
  Worker writer(cgroups, "podwriter/c1",
                [&] { WriteOrExit(OpenOrExit(file_.path, O_WRONLY | O_TRUNC), 16 * kMiB); });
  ASSERT_TRUE(writer.Finish());
  agent.After(milliseconds(0));
  const uint64_t dirtied = agent.Of("writer").dirtied_bytes;
  EXPECT_GE(dirtied, 16 * kMiB);
  Worker deleter(cgroups, "poddeleter/c1", [&] { OpenOrExit(file_.path, O_WRONLY | O_TRUNC); });
  ASSERT_TRUE(deleter.Finish());
  agent.After(milliseconds(0));
  EXPECT_GE(agent.Of("writer").dirtied_bytes, dirtied);
  EXPECT_LT(agent.Of("deleter").dirtied_bytes, kMiB);
  EXPECT_GT(agent.Of("deleter").cancelled_bytes, 8 * kMiB) << "unless writeback was faster";
  EXPECT_EQ(TaskPart(agent.Of("deleter")), deleter.Truth());
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
  DirectIoOrExit(file_.path, 4096, 1, 0);  // so that what others do meanwhile has a cell
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

// fork(), with a pid that has the same last twelve bits as ours.
pid_t ForkAlike() {
  for (pid_t pid = ::getpid() % 4096 + 4096; pid < 32768; pid += 4096) {
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    arguments.set_tid = reinterpret_cast<__u64>(&pid);
    arguments.set_tid_size = 1;
    const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
    if (child >= 0 || errno != EEXIST) return child;
  }
  return -1;
}

// However many tasks are in fsync at a time, whatever their pids: none is taken for another.
TEST_F(TrapIoTest, FsyncsAtTheSameTimeAreToldApart) {
  constexpr int kEach = 300;
  TestCgroups cgroups("alike");
  cgroups.Make("podalike/c1");
  KernelAgent agent(cgroups.Layout());
  if (!agent.Measures("fsync")) GTEST_SKIP() << "no ext4 here";
  Worker worker(cgroups, "podalike/c1", [&] {
    const pid_t other = ForkAlike();
    if (other < 0) ::_exit(91);
    const int fd = OpenOrExit(file_.path, O_WRONLY);
    for (int i = 0; i < kEach; ++i) {
      if (::pwrite(fd, &i, sizeof i, other == 0 ? 0 : 4096) != sizeof i) ::_exit(94);
      if (::fsync(fd) != 0) ::_exit(98);
    }
    if (other == 0) ::_exit(0);
    if (WaitFor(other) != 0) ::_exit(92);
  });
  ASSERT_TRUE(worker.Finish()) << "no child with a chosen pid here";
  agent.After(milliseconds(0));
  const Counters& counted = agent.Of("alike");
  if (counted.fsyncs == 0) GTEST_SKIP() << file_.path << " is not on ext4";
  EXPECT_EQ(counted.fsyncs, 2u * kEach);
  EXPECT_EQ(agent.host().Lost().stalls, 0u);
  EXPECT_EQ(agent.host().Lost().internal, 0u);
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

// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the I/O traps share: a file on a real block device, and work on it for child
// processes.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "tests/nodeagent/kernel_agent.h"

namespace longshore::nodeagent {

inline constexpr size_t kMiB = 1 << 20;

// What runs in the child processes ends them when the kernel refuses something.
inline int OpenOrExit(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) ::_exit(93);
  return fd;
}

inline void WriteOrExit(int fd, size_t bytes, size_t step = kMiB) {
  static const std::vector<char> data(kMiB, 'x');
  for (size_t done = 0; done < bytes; done += step) {
    if (::write(fd, data.data(), step) != static_cast<ssize_t>(step)) ::_exit(94);
  }
}

// Writes, then reads, with O_DIRECT: each call is a request of its own.
inline void DirectIoOrExit(const std::string& path, size_t block, int writes, int reads) {
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

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/startup_pages.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>

#include "common/base/files.h"

namespace longshore::nodeagent {
namespace {

std::string Mapping(const std::string& line, int anonymous_kib) {
  return line + "\nRss:    8 kB\nAnonymous:    " + std::to_string(anonymous_kib) +
         " kB\nAnonHugePages:         0 kB\nVmFlags: rd ex mr\n";
}

TEST(StartupPagesTest, OnlyFilesThatWereNeverWrittenToAreDropped) {
  const std::string smaps =
      Mapping("1000-3000 r-xp 00001000 fe:00 7   /usr/bin/longshore-nodeagent", 0) +
      Mapping("3000-4000 r--p 00003000 fe:00 7   /usr/bin/longshore-nodeagent", 0) +
      Mapping("4000-5000 r--p 00003000 fe:00 7   /usr/lib/relocated.so", 4) +
      Mapping("5000-6000 rw-p 00004000 fe:00 7   /usr/bin/longshore-nodeagent", 0) +
      Mapping("6000-7000 r--s 00000000 fe:00 8   /usr/share/shared", 0) +
      Mapping("7000-8000 r--p 00000000 00:0e 9   anon_inode:bpf-map", 0) +
      Mapping("8000-9000 r--p 00000000 00:00 0", 0) +
      Mapping("7ffc0000-7ffc1000 r-xp 00000000 00:00 0   [vdso]", 0) +
      Mapping("a000-b000 r-xp 00000000 fe:00 7   /a name/with spaces (deleted)", 0);
  EXPECT_EQ(UnwrittenFileRanges(smaps),
            (std::vector<AddressRange>{{0x1000, 0x3000}, {0x3000, 0x4000}, {0xa000, 0xb000}}));
}

TEST(StartupPagesTest, ReadsNothingIntoOddText) {
  EXPECT_TRUE(UnwrittenFileRanges("").empty());
  EXPECT_TRUE(UnwrittenFileRanges("1000-2000").empty());
  EXPECT_TRUE(UnwrittenFileRanges("1000-2000 r-xp").empty());
  EXPECT_TRUE(UnwrittenFileRanges("Anonymous: 0 kB\n/x\n").empty());
  EXPECT_TRUE(UnwrittenFileRanges("1000-2000 r-xp 0 fe:00 7   /usr/bin/x\nAnonymous:").empty());
}

// In this very process: its text and a mapped file go, and come back unchanged.
TEST(StartupPagesTest, DroppedPagesComeBack) {
  constexpr size_t kSize = size_t{1} << 20;
  const std::string path = ::testing::TempDir() + "startup_pages";
  std::ofstream(path) << std::string(kSize, 'x');
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  void* const mapped = ::mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const auto resident = [&] {
    const std::string smaps = *ReadFile("/proc/self/smaps");
    const size_t rss = smaps.find("Rss:", smaps.find(path));
    return std::stoul(smaps.substr(rss + std::strlen("Rss:")));
  };
  EXPECT_EQ(resident(), kSize / 1024);
  ASSERT_TRUE(ReleaseStartupPages().has_value());
  EXPECT_EQ(resident(), 0u);
  EXPECT_EQ(std::string_view(static_cast<const char*>(mapped), kSize), std::string(kSize, 'x'));
  ::munmap(mapped, kSize);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace longshore::nodeagent

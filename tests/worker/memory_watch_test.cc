// SPDX-License-Identifier: Apache-2.0
#include "worker/memory_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/common/tls/certificates.h"

namespace longshore::worker {
namespace {

using ::testing::HasSubstr;

class MemoryWatchTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string root() const { return folder_.path(); }

  const Failure seen_{kRepository, "copy shop.dump: it said nothing (signal 9 (Killed))", true};

 private:
  test::TemporaryFolder folder_;
};

TEST_F(MemoryWatchTest, ExplainsWhatFailedAfterTheKernelKilledATask) {
  Write("/memory.events", "max 3\noom 1\noom_kill 1\n");  // of an operation before
  Write("/memory.max", "50331648\n");
  EXPECT_EQ(MemoryLimit(root()), 50331648);
  const MemoryWatch watch(root());
  EXPECT_FALSE(watch.Explain(seen_));
  Write("/memory.events", "max 9\noom 2\noom_kill 2\n");
  const auto killed = watch.Explain(seen_);
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->error_class, "OutOfMemory");
  EXPECT_TRUE(killed->retryable);
  EXPECT_THAT(killed->message, HasSubstr("of which the pod may use 48.0 MiB"));
  EXPECT_THAT(killed->message, HasSubstr(seen_.message));
}

TEST_F(MemoryWatchTest, ReadsCgroupVersionOneToo) {
  Write("/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  Write("/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(MemoryLimit(root()));
  const MemoryWatch watch(root());
  Write("/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  const auto killed = watch.Explain({kDumpFailed, "pg_dump: signal 9", false});
  ASSERT_TRUE(killed);
  EXPECT_TRUE(killed->retryable);
  EXPECT_THAT(killed->message, HasSubstr("of which its node had none left"));
}

TEST_F(MemoryWatchTest, SaysNothingWhereTheCgroupCannotBeRead) {
  EXPECT_FALSE(MemoryWatch(root() + "/nowhere").Explain(seen_));
  EXPECT_FALSE(MemoryLimit(root() + "/nowhere"));
  Write("/memory.max", "max\n");
  EXPECT_FALSE(MemoryLimit(root()));
}

}  // namespace
}  // namespace longshore::worker

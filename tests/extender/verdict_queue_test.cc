// SPDX-License-Identifier: Apache-2.0
#include "extender/verdict_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace longshore::extender {
namespace {

using ::testing::ElementsAre;

VerdictSink::Write VerdictOn(const std::string& pod) {
  return [pod] {
    messages::PlacementVerdict verdict;
    verdict.set_pod_name(pod);
    return verdict;
  };
}

// Remembers what was delivered; `gate` is held while nothing shall be.
struct Reader {
  VerdictQueue::Deliver Deliver() {
    return [this](const messages::PlacementVerdict& verdict) {
      MutexLock open(gate);
      MutexLock lock(mutex);
      pods.push_back(verdict.pod_name());
      thread = std::this_thread::get_id();
    };
  }
  Mutex gate, mutex;
  std::vector<std::string> pods;
  std::thread::id thread;
};

TEST(VerdictQueueTest, DeliversInOrderOnAThreadOfItsOwn) {
  metrics::Registry registry;
  Reader reader;
  VerdictQueue queue(reader.Deliver(), registry);
  for (const char* pod : {"a", "b", "c"}) queue.Record(VerdictOn(pod));
  queue.Flush();
  EXPECT_THAT(reader.pods, ElementsAre("a", "b", "c"));
  EXPECT_NE(reader.thread, std::this_thread::get_id());
  queue.Flush();  // nothing to wait for
}

TEST(VerdictQueueTest, DropsTheOldestUnwrittenAndCountsIt) {
  metrics::Registry registry;
  Reader reader;
  VerdictQueue queue(reader.Deliver(), registry, 2);
  {
    MutexLock closed(reader.gate);
    // The first may be in delivery already or still be queued: either way four do not fit.
    for (const char* pod : {"a", "b", "c", "d"}) queue.Record(VerdictOn(pod));
  }
  queue.Flush();
  EXPECT_GE(reader.pods.size(), 2u);
  EXPECT_LE(reader.pods.size(), 3u);
  EXPECT_EQ(reader.pods.back(), "d");
  EXPECT_NE(registry.Text().find("longshore_extender_verdicts_dropped_total " +
                                 std::to_string(4 - reader.pods.size())),
            std::string::npos);
}

TEST(VerdictQueueTest, DeliversTheRestBeforeItEnds) {
  metrics::Registry registry;
  Reader reader;
  {
    VerdictQueue queue(reader.Deliver(), registry);
    for (int i = 0; i < 100; ++i) queue.Record(VerdictOn(std::to_string(i)));
  }
  EXPECT_EQ(reader.pods.size(), 100u);
}

}  // namespace
}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
#include "common/kube/work_queue.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/common/base/fake_clock.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WorkQueueTest : public testing::Test {
 protected:
  std::string Next() { return queue_.Get(milliseconds(0)).value_or("nothing"); }
  FakeClock clock_;
  WorkQueue queue_{clock_, milliseconds(100), seconds(10)};
};

TEST_F(WorkQueueTest, AKeyIsInItOnceAndTheOldestComesFirst) {
  queue_.Add("b");
  clock_.Advance(milliseconds(1));
  queue_.Add("a");
  queue_.Add("b");
  EXPECT_EQ(queue_.size(), 2u);
  EXPECT_EQ(Next(), "b");
  EXPECT_EQ(Next(), "a");
  EXPECT_EQ(Next(), "nothing");
}

TEST_F(WorkQueueTest, DepthTellsWhatIsDueAndHowLongTheFirstHasWaited) {
  EXPECT_EQ(queue_.depth().late, seconds(0));
  queue_.AddAfter("later", seconds(10));
  queue_.Add("a");
  clock_.Advance(seconds(2));
  queue_.Add("b");
  clock_.Advance(seconds(1));
  const WorkQueue::Depth depth = queue_.depth();
  EXPECT_EQ(depth.keys, 3u);
  EXPECT_EQ(depth.due, 2u);
  EXPECT_EQ(depth.late, seconds(3));
  EXPECT_EQ(Next(), "a");
  EXPECT_EQ(queue_.depth().late, seconds(1));
  EXPECT_EQ(Next(), "b");
  EXPECT_EQ(queue_.depth().late, seconds(0)) << "later is not due";
}

// Two workers never hold one key; what changed meanwhile is not forgotten.
TEST_F(WorkQueueTest, AKeyInWorkComesBackOnlyAfterDone) {
  queue_.Add("a");
  EXPECT_EQ(Next(), "a");
  queue_.Add("a");
  queue_.AddAfter("a", seconds(5));
  EXPECT_EQ(Next(), "nothing");
  queue_.Done("a");
  EXPECT_EQ(Next(), "a");
  queue_.Done("a");
  EXPECT_EQ(Next(), "nothing");
}

TEST_F(WorkQueueTest, DelayedKeysWaitAndAnEarlierTimeWins) {
  queue_.AddAfter("a", seconds(10));
  queue_.AddAfter("a", seconds(2));
  queue_.AddAfter("a", seconds(20));
  EXPECT_EQ(Next(), "nothing");
  clock_.Advance(seconds(2));
  EXPECT_EQ(Next(), "a");
  queue_.Done("a");
  clock_.Advance(seconds(60));
  EXPECT_EQ(Next(), "nothing");
}

TEST_F(WorkQueueTest, BackoffDoublesWithJitterUntilForget) {
  milliseconds most(100);
  for (int failure = 0; failure < 70; ++failure) {
    queue_.AddRateLimited("a");
    clock_.Advance(most / 2 - milliseconds(1));
    EXPECT_EQ(Next(), "nothing") << "failure " << failure;
    clock_.Advance(most / 2 + milliseconds(1));
    EXPECT_EQ(Next(), "a") << "failure " << failure;
    queue_.Done("a");
    most = std::min(most * 2, milliseconds(10000));
  }
  queue_.Forget("a");
  queue_.AddRateLimited("a");
  clock_.Advance(milliseconds(100));
  EXPECT_EQ(Next(), "a");
}

TEST_F(WorkQueueTest, BackoffOfOneKeyDelaysNoOther) {
  for (int i = 0; i < 10; ++i) queue_.AddRateLimited("bad");
  queue_.Add("good");
  EXPECT_EQ(Next(), "good");
}

TEST_F(WorkQueueTest, ShutDownWakesWaitersAndTakesNothingMore) {
  WorkQueue queue;
  std::optional<std::string> got = "x";
  std::thread waiter([&] { got = queue.Get(seconds(60)); });
  queue.ShutDown();
  waiter.join();
  EXPECT_FALSE(got.has_value());
  queue.Add("a");
  EXPECT_FALSE(queue.Get(milliseconds(0)).has_value());
  EXPECT_EQ(queue.size(), 0u);
}

TEST(WorkQueueThreadsTest, EachKeyIsHeldByOneWorkerAndNoneIsLost) {
  WorkQueue queue;
  constexpr int kKeys = 20, kRounds = 2000;
  std::atomic<int> held[kKeys] = {};
  std::atomic<int> last_seen[kKeys] = {}, version[kKeys] = {};
  std::atomic<bool> overlap{false};
  std::vector<std::thread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      while (const auto key = queue.Get(milliseconds(500))) {
        const int i = std::stoi(*key);
        if (held[i].fetch_add(1) != 0) overlap = true;
        last_seen[i] = version[i].load();
        held[i].fetch_sub(1);
        queue.Done(*key);
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    ++version[round % kKeys];
    queue.Add(std::to_string(round % kKeys));
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_FALSE(overlap);
  for (int i = 0; i < kKeys; ++i) EXPECT_EQ(last_seen[i], version[i]) << i;
}

}  // namespace
}  // namespace longshore::kube

// SPDX-License-Identifier: Apache-2.0
#include "worker/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/base/fake_clock.h"

namespace longshore::worker {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(WatchdogTest, ProgressIsAChangeOfPhaseBytesOrItems) {
  FakeClock clock;
  ProgressBoard board(clock);
  board.Enter("Copying", 100);
  const OperationLimits limits{seconds(60), seconds(0)};
  const auto idle_after = [&](auto&& change) {
    clock.Advance(seconds(59));
    EXPECT_FALSE(Overdue(limits, board.Stand()));
    change();
    clock.Advance(seconds(59));
    return !Overdue(limits, board.Stand()).has_value();
  };
  EXPECT_TRUE(idle_after([&] { board.SetBytes(1); }));
  board.SetBytes(2);
  EXPECT_TRUE(idle_after([&] { board.SetItems(1, 9); }));
  board.SetBytes(3);
  EXPECT_TRUE(idle_after([&] { board.Enter("Committing"); }));
  board.Enter("Copying");
  // The same again is none, however often it is said.
  EXPECT_FALSE(idle_after([&] {
    board.SetBytes(0);
    board.Report();
  }));
}

TEST(WatchdogTest, SaysWhatStoodStillAndThatItIsWorthARetry) {
  FakeClock clock;
  ProgressBoard board(clock);
  board.Enter("Copying", 100);
  board.SetBytes(42);
  clock.Advance(seconds(90));
  const auto overdue = Overdue({seconds(90), seconds(0)}, board.Stand());
  ASSERT_TRUE(overdue);
  EXPECT_EQ(overdue->error_class, "Stalled");
  EXPECT_TRUE(overdue->retryable);
  EXPECT_THAT(overdue->message, HasSubstr("no progress for 90 s in phase Copying (after 42 bytes"));
  EXPECT_THAT(overdue->message, HasSubstr("noProgressSeconds"));
}

TEST(WatchdogTest, ASnapshotAgesThroughPhasesAndProgress) {
  FakeClock clock;
  ProgressBoard board(clock);
  const OperationLimits limits{seconds(0), seconds(100)};
  clock.Advance(seconds(500));
  EXPECT_FALSE(Overdue(limits, board.Stand()));  // none is held
  board.HoldSnapshot(true);
  for (int i = 0; i < 99; ++i) {
    board.Enter(i % 2 == 0 ? "Snapshot" : "Copying");
    board.SetBytes(static_cast<uint64_t>(i));
    clock.Advance(seconds(1));
  }
  EXPECT_FALSE(Overdue(limits, board.Stand()));
  clock.Advance(seconds(1));
  const auto overdue = Overdue(limits, board.Stand());
  ASSERT_TRUE(overdue);
  EXPECT_EQ(overdue->error_class, "SnapshotExpired");
  EXPECT_FALSE(overdue->retryable);
  board.HoldSnapshot(false);
  EXPECT_FALSE(Overdue(limits, board.Stand()));
}

TEST(WatchdogTest, NoLimitIsNoLimit) {
  FakeClock clock;
  ProgressBoard board(clock);
  board.HoldSnapshot(true);
  clock.Advance(std::chrono::hours(1000));
  EXPECT_FALSE(Overdue({}, board.Stand()));
}

TEST(WatchdogTest, CancelsTheScopeOnceAndKeepsWhy) {
  ProgressBoard board(Clock::Real());
  Cancellation operation;
  Cancellation scope(&operation);
  board.Enter("Copying");
  const Watchdog watchdog({seconds(1), seconds(0)}, board, scope);
  for (int i = 0; i < 1000 && !scope.cancelled(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(scope.cancelled());
  EXPECT_FALSE(operation.cancelled());  // nobody cancelled the operation itself
  ASSERT_TRUE(watchdog.verdict());
  EXPECT_EQ(watchdog.verdict()->error_class, "Stalled");
}

}  // namespace
}  // namespace longshore::worker

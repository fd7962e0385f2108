// SPDX-License-Identifier: Apache-2.0
#include "common/base/log_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/common/base/fake_clock.h"

namespace longshore {
namespace {

using std::chrono::seconds;

TEST(LogLimitTest, EqualLinesAreCountedAndToldOnceInTenSeconds) {
  FakeClock clock;
  LogLimit limit(clock);
  EXPECT_TRUE(limit.Admit("no token"));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(limit.Admit("no token"));
  EXPECT_TRUE(limit.Admit("wrong audience")) << "another reason is told at once";
  EXPECT_TRUE(limit.TakeDue().empty());
  clock.Advance(seconds(10));
  const auto due = limit.TakeDue();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].kind, "no token");
  EXPECT_EQ(due[0].times, 1000u);

  EXPECT_FALSE(limit.Admit("no token")) << "ten more seconds begin when it was told";
  EXPECT_TRUE(limit.TakeDue().empty());
  clock.Advance(seconds(10));
  EXPECT_EQ(limit.TakeDue().at(0).times, 1u);
  clock.Advance(seconds(10));
  EXPECT_TRUE(limit.TakeDue().empty());
  EXPECT_TRUE(limit.Admit("no token")) << "after ten quiet seconds it is the first again";
}

// Whoever makes up a new reason each time must not get a line, or a place in memory, for each.
TEST(LogLimitTest, WhatIsOfTooManyKindsIsOneKind) {
  FakeClock clock;
  LogLimit limit(clock, seconds(10), 3);
  int told = 0;
  for (int i = 0; i < 100; ++i) told += limit.Admit("reason " + std::to_string(i)) ? 1 : 0;
  EXPECT_EQ(told, 4);
  clock.Advance(seconds(10));
  const auto due = limit.TakeDue();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].kind, "");
  EXPECT_EQ(due[0].times, 96u);
}

TEST(LogRateTest, AFewAtOnceThenOneInAWhileWhichTellsHowManyWereLeftOut) {
  FakeClock clock;
  LogRate rate(clock, 3, seconds(10));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rate.Admit(), 0u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(rate.Admit(), std::nullopt);
  clock.Advance(seconds(9));
  EXPECT_EQ(rate.Admit(), std::nullopt);
  clock.Advance(seconds(1));
  EXPECT_EQ(rate.Admit(), 1001u);
  EXPECT_EQ(rate.Admit(), std::nullopt);
  clock.Advance(seconds(20));
  EXPECT_EQ(rate.Admit(), 1u);
  EXPECT_EQ(rate.Admit(), 0u);
  EXPECT_EQ(rate.Admit(), std::nullopt);
  clock.Advance(std::chrono::hours(1));
  EXPECT_EQ(rate.Admit(), 1u);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(rate.Admit(), 0u) << "quiet times save up no more than 3";
  EXPECT_EQ(rate.Admit(), std::nullopt);
}

// Whoever asks, and however many at once.
TEST(LogRateTest, ThreadsShareIt) {
  FakeClock clock;
  LogRate rate(clock, 5);
  std::atomic<int> told = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 1000; ++j) told += rate.Admit() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(told, 5);
  clock.Advance(seconds(10));
  EXPECT_EQ(rate.Admit(), 3995u);
}

}  // namespace
}  // namespace longshore

// SPDX-License-Identifier: Apache-2.0
#include "worker/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/base/fake_clock.h"

namespace longshore::worker {
namespace {

TEST(ProgressTest, TellsRateOfTheLastSecondsAndRemainingTime) {
  FakeClock clock;
  ProgressBoard board(clock);
  board.Enter("Copying", 1000);
  EXPECT_EQ(board.Report().eta_seconds(), -1);
  for (int second = 1; second <= 20; ++second) {
    clock.Advance(std::chrono::seconds(1));
    board.SetBytes(static_cast<uint64_t>(second <= 10 ? second : 10 + (second - 10) * 20));
    board.Report();
  }
  const messages::Progress report = board.Report();
  EXPECT_EQ(report.bytes_done(), 210u);
  EXPECT_EQ(report.bytes_per_second(), 20u);  // not the slow start
  EXPECT_EQ(report.eta_seconds(), 39);
}

TEST(ProgressTest, TotalIsAnEstimateThatGrowsWithWhatIsDone) {
  FakeClock clock;
  ProgressBoard board(clock);
  board.Enter("Copying", 100);
  clock.Advance(std::chrono::seconds(1));
  board.SetBytes(150);
  EXPECT_EQ(board.Report().bytes_total(), 150u);
  EXPECT_EQ(board.Report().eta_seconds(), 0);
  board.Enter("Committing");
  EXPECT_EQ(board.Report().bytes_done(), 0u);
}

}  // namespace
}  // namespace longshore::worker

// SPDX-License-Identifier: Apache-2.0
#include "controller/report_order.h"

#include <gtest/gtest.h>

#include "tests/controller/agent_reports.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Order = ReportOrder::Verdict;

class ReportOrderTest : public testing::Test {
 protected:
  Order Take(uint64_t sequence, double second, const std::string& epoch = "e", uint64_t id = 1) {
    return Take(ReportAt(sequence, second), epoch, id);
  }
  Order Take(const messages::UsageReport& report, const std::string& epoch = "e", uint64_t id = 1) {
    return order.Take({"n", epoch, id}, report, now += seconds(1));
  }
  ReportOrder order;
  MonotonicTime now{std::chrono::hours(1)};
};

TEST_F(ReportOrderTest, TheNextOfOneStreamFollows) {
  EXPECT_EQ(Take(1, 10), Order::kBegin);
  EXPECT_EQ(Take(2, 11.5), Order::kFollows);
  EXPECT_EQ(order.length(), milliseconds(1500));
}

TEST_F(ReportOrderTest, AGapInTheSequenceIsABeginning) {
  Take(1, 10);
  EXPECT_EQ(Take(3, 12), Order::kBegin);
  EXPECT_EQ(Take(4, 13), Order::kFollows);
}

TEST_F(ReportOrderTest, RepeatedAndBackwardReportsAreStale) {
  Take(5, 10);
  EXPECT_EQ(Take(5, 10), Order::kStale);
  EXPECT_EQ(Take(4, 9), Order::kStale);
  EXPECT_EQ(Take(6, 11), Order::kFollows);
}

// The agent's monotonic clock begins anew with the machine, so an epoch's times say nothing about
// another's.
TEST_F(ReportOrderTest, ANewStreamAndANewEpochAreBeginnings) {
  Take(7, 1000);
  EXPECT_EQ(Take(8, 1001, "e", 2), Order::kBegin);
  EXPECT_EQ(Take(1, 3, "restarted", 3), Order::kBegin);
  EXPECT_EQ(Take(2, 4, "restarted", 3), Order::kFollows);
}

// Of two agents that claim one node, the one that connected last is heard, the other never.
TEST_F(ReportOrderTest, AnEarlierStreamIsStaleOnceALaterOneWasHeard) {
  Take(1, 10, "first", 1);
  EXPECT_EQ(Take(1, 500, "second", 2), Order::kBegin);
  EXPECT_EQ(Take(2, 11, "first", 1), Order::kStale);
  EXPECT_EQ(Take(2, 501, "second", 2), Order::kFollows);
}

TEST_F(ReportOrderTest, NoRateOverALongSilence) {
  Take(1, 10);
  EXPECT_EQ(Take(2, 20), Order::kFollows);
  EXPECT_EQ(Take(3, 30.1), Order::kNoRate);
  EXPECT_EQ(Take(4, 31), Order::kFollows);
}

// Trap 28: the agent's wall clock is stepped, forwards or back. One interval is left out.
TEST_F(ReportOrderTest, NoRateOverAClockStep) {
  Take(1, 10);
  for (const int64_t step : {3600 * kSecondNs, -3600 * kSecondNs}) {
    ReportOrder fresh;
    auto report = ReportAt(1, 10);
    fresh.Take({"n", "e", 1}, report, now);
    report = ReportAt(2, 11);
    report.set_wall_end_ns(report.wall_end_ns() + step);
    EXPECT_EQ(fresh.Take({"n", "e", 1}, report, now), Order::kNoRate);
    report = ReportAt(3, 12);
    report.set_wall_end_ns(report.wall_end_ns() + step);
    EXPECT_EQ(fresh.Take({"n", "e", 1}, report, now), Order::kFollows);
  }
}

// Reports that were held up on their way and come in a burst are as old as they are.
TEST_F(ReportOrderTest, AReportThatWasHeldUpIsNotNew) {
  Take(1, 10);
  EXPECT_EQ(order.made(), now);
  Take(2, 11);
  now += seconds(20);  // nothing comes, then all of it
  Take(3, 12);
  EXPECT_GE(now - order.made(), seconds(19));
  for (int i = 4; i <= 22; ++i) order.Take({"n", "e", 1}, ReportAt(i, 9 + i), now);
  EXPECT_LE(now - order.made(), seconds(2));
}

// Two clocks that drift apart by 0.05 % for a day don't make fresh reports look old.
TEST_F(ReportOrderTest, ClocksThatDriftApartDoNotAgeReports) {
  for (int i = 1; i <= 86'400; ++i) {
    order.Take({"n", "e", 1}, ReportAt(i, i), now += std::chrono::microseconds(1'000'500));
  }
  EXPECT_LE(now - order.made(), milliseconds(10));
}

}  // namespace
}  // namespace longshore::controller

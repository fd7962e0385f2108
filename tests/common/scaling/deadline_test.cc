// SPDX-License-Identifier: Apache-2.0
//
// Will it be done in time, and what would help: a quarter of the time is kept in reserve.
#include "common/scaling/deadline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::scaling {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

const WallTime kWall = WallTime(seconds(1'790'000'000));

Work Running(double left, std::optional<double> rate) { return {"runs", true, left, rate}; }
Work Queued(std::optional<double> left) { return {"waits", false, left, std::nullopt}; }

TEST(NextDailyTest, IsTheNextTimeThatTheClockShowsIt) {
  const auto next = [](const char* time, const char* after) {
    const auto at = NextDaily(time, *ParseTime(after));
    return at ? FormatTimeSeconds(*at) : std::string("never");
  };
  EXPECT_EQ(next("06:00Z", "2026-01-31T05:59:59Z"), "2026-01-31T06:00:00Z");
  EXPECT_EQ(next("06:00Z", "2026-01-31T06:00:00Z"), "2026-02-01T06:00:00Z");
  EXPECT_EQ(next("00:00Z", "2026-12-31T12:00:00Z"), "2027-01-01T00:00:00Z");
  EXPECT_EQ(next("06:00+02:00", "2026-01-31T03:00:00Z"), "2026-01-31T04:00:00Z");
  EXPECT_EQ(next("01:00+14:00", "2026-01-31T12:00:00Z"), "2026-02-01T11:00:00Z");
  EXPECT_EQ(next("23:00-12:00", "2026-01-31T10:00:00Z"), "2026-01-31T11:00:00Z");
  for (const char* none : {"", "06:00", "6:00Z", "25:00Z", "at six"}) {
    EXPECT_EQ(next(none, "2026-01-31T12:00:00Z"), "never") << none;
  }
}

// One pod at 100 bytes a second, 1000 s to go.
DeadlineInput Estimated(std::vector<Work> work) {
  DeadlineInput in;
  in.now = kWall;
  in.deadline = kWall + seconds(1000);
  in.work = std::move(work);
  in.pods = 1;
  in.limit = 4;
  in.limit_message = "spec.pods.max is 4";
  return in;
}

struct DeadlineCase {
  const char* name;
  DeadlineInput in;
  const char* reason;
  int wanted;
  const char* says;
};
DeadlineInput Changed(DeadlineInput in, const std::function<void(DeadlineInput&)>& change) {
  change(in);
  return in;
}

class DeadlineTest : public testing::TestWithParam<DeadlineCase> {};

TEST_P(DeadlineTest, Estimates) {
  const auto estimate = EstimateDeadline(GetParam().in);
  EXPECT_EQ(estimate.reason, GetParam().reason) << estimate.message;
  EXPECT_EQ(estimate.wanted, GetParam().wanted);
  EXPECT_THAT(estimate.message, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    , DeadlineTest,
    testing::Values(
        DeadlineCase{"NothingLeft", Estimated({}), kOnTrack, 0, "no operation"},
        DeadlineCase{"InTime", Estimated({Running(79'000, 100)}), kOnTrack, 0, "1 pod makes"},
        DeadlineCase{"InTimeWithThePodsThatWork",
                     Changed(Estimated({Running(70'000, 100), Running(70'000, 100)}),
                             [](auto& in) { in.pods = 2; }),
                     kOnTrack, 0, ""},
        DeadlineCase{"OneMorePodWouldDo", Estimated({Running(50'000, 100), Queued(50'000)}),
                     kPredictedLate, 2, "2 pods would make it"},
        DeadlineCase{"ThreeOfManyWouldDo",
                     Estimated({Running(40'000, 100), Queued(40'000), Queued(40'000),
                                Queued(40'000), Queued(40'000)}),
                     kPredictedLate, 3, "3 pods"},
        DeadlineCase{"TheCapIsInTheWay",
                     Changed(Estimated({Running(50'000, 100), Queued(50'000)}),
                             [](auto& in) { in.limit = 1; }),
                     kInfeasible, 2, "spec.pods.max is 4"},
        DeadlineCase{"OneOperationAloneIsTooLong",
                     Estimated({Running(90'000, 100), Queued(50'000)}), kInfeasible, 2,
                     "runs alone takes longer"},
        DeadlineCase{"Over",
                     Changed(Estimated({Queued(1)}), [](auto& in) { in.deadline = in.now; }),
                     kInfeasible, 0, "is over"},
        DeadlineCase{"NoRateYet", Estimated({Running(50'000, std::nullopt)}), kNoEstimate, 0,
                     "no operation"},
        DeadlineCase{"RateOfEarlierOperations",
                     Changed(Estimated({Queued(50'000), Queued(50'000)}),
                             [](auto& in) { in.past_rate = 100; }),
                     kPredictedLate, 2, ""},
        DeadlineCase{"UnknownSize", Estimated({Running(10'000, 100), Queued(std::nullopt)}),
                     kNoEstimate, 0, "waits is not known"},
        DeadlineCase{"LateEvenWithoutWhatIsUnknown",
                     Estimated({Running(79'000, 100), Queued(79'000), Queued(std::nullopt)}),
                     kPredictedLate, 2, "at least 2 pods"}),
    [](const auto& info) { return info.param.name; });

TEST(DeadlineEstimateTest, FinishHasAQuarterInReserve) {
  EXPECT_EQ(EstimateDeadline(Estimated({Running(40'000, 100)})).finish, kWall + seconds(500));
  auto two = Estimated({Running(40'000, 100), Running(40'000, 100), Queued(40'000)});
  two.pods = 2;
  EXPECT_EQ(EstimateDeadline(two).finish, kWall + seconds(750)) << "shared by two";
}

TEST(DeadlineEstimateTest, AStandstillIsNoRate) {
  EXPECT_EQ(EstimateDeadline(Estimated({Running(40'000, 0)})).reason, kNoEstimate);
}

}  // namespace
}  // namespace longshore::scaling

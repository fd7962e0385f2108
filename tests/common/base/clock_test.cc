// SPDX-License-Identifier: Apache-2.0
// Times as Kubernetes writes them, and everything that is nearly one.
#include "common/base/clock.h"

#include <gtest/gtest.h>

namespace longshore {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

int64_t Micros(WallTime time) {
  return std::chrono::floor<microseconds>(time.time_since_epoch()).count();
}

struct TimeCase {
  const char* name;
  const char* text;
  int64_t micros;
};
class ParseTimeTest : public testing::TestWithParam<TimeCase> {};

TEST_P(ParseTimeTest, GivesTheInstant) {
  const auto time = ParseTime(GetParam().text);
  ASSERT_TRUE(time.has_value()) << time.error().ToString();
  EXPECT_EQ(Micros(*time), GetParam().micros);
}

INSTANTIATE_TEST_SUITE_P(
    Times, ParseTimeTest,
    testing::Values(TimeCase{"Epoch", "1970-01-01T00:00:00Z", 0},
                    TimeCase{"WholeSeconds", "2026-11-23T01:02:03Z", 1795395723000000},
                    TimeCase{"Micros", "2026-11-23T01:02:03.000004Z", 1795395723000004},
                    TimeCase{"NanosAreCut", "2026-11-23T01:02:03.123456789012Z", 1795395723123456},
                    TimeCase{"OneDigit", "2026-11-23T01:02:03.5Z", 1795395723500000},
                    TimeCase{"LowerCase", "2026-11-23t01:02:03z", 1795395723000000},
                    TimeCase{"East", "2026-11-23T03:32:03+02:30", 1795395723000000},
                    TimeCase{"West", "2026-11-22T23:02:03-02:00", 1795395723000000},
                    TimeCase{"LeapDay", "2024-02-29T00:00:00Z", 1709164800000000},
                    TimeCase{"LeapSecond", "2016-12-31T23:59:60Z", 1483228800000000},
                    TimeCase{"BeforeTheEpoch", "1969-12-31T23:59:59Z", -1000000}),
    [](const auto& info) { return info.param.name; });

class RefuseTimeTest : public testing::TestWithParam<const char*> {};

TEST_P(RefuseTimeTest, IsAnInvalidArgument) {
  const auto time = ParseTime(GetParam());
  ASSERT_FALSE(time.has_value()) << FormatTime(*time);
  EXPECT_EQ(time.error().code, Code::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, RefuseTimeTest,
    testing::Values("", "now", "2026-11-23", "2026-11-23T01:02:03", "2026-11-23 01:02:03Z",
                    " 2026-11-23T01:02:03Z", "2026-11-23T01:02:03Z ", "2026-11-23T01:02:03ZZ",
                    "2026-11-23T01:02:03.Z", "2026-13-23T01:02:03Z", "2026-11-31T01:02:03Z",
                    "2025-02-29T01:02:03Z", "2026-11-23T24:02:03Z", "2026-11-23T01:60:03Z",
                    "2026-11-23T01:02:61Z", "2026-11-23T01:02:03+24:00", "2026-11-23T01:02:03+2:00",
                    "2026-11-23T01:02:03+02:0x", "+026-11-23T01:02:03Z", "2026-11- 3T01:02:03Z",
                    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"));

// What we write, we read: to the microsecond, also before 1970.
TEST(FormatTimeTest, RoundTrips) {
  for (const int64_t micros : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1795395723000004},
                               int64_t{-62135596}, int64_t{9223372035000000}}) {
    const WallTime time{microseconds(micros)};
    const auto parsed = ParseTime(FormatTime(time));
    ASSERT_TRUE(parsed.has_value()) << FormatTime(time);
    EXPECT_EQ(Micros(*parsed), micros);
  }
}

TEST(FormatTimeTest, WritesWhatKubernetesExpects) {
  const WallTime time{microseconds(1795395723000004)};
  EXPECT_EQ(FormatTime(time), "2026-11-23T01:02:03.000004Z");
  EXPECT_EQ(FormatTimeSeconds(time), "2026-11-23T01:02:03Z");
}

TEST(FormatDurationTest, IsForPeople) {
  EXPECT_EQ(FormatDuration(std::chrono::milliseconds(1230)), "1.23s");
  EXPECT_EQ(FormatDuration(seconds(42)), "42.0s");
  EXPECT_EQ(FormatDuration(seconds(185)), "3m05s");
  EXPECT_EQ(FormatDuration(seconds(7800)), "2h10m");
}

}  // namespace
}  // namespace longshore

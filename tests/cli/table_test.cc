// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <gtest/gtest.h>

namespace longshore::cli {
namespace {

TEST(FormatTest, Durations) {
  EXPECT_EQ(FormatSeconds(-1), "");
  EXPECT_EQ(FormatSeconds(0), "0s");
  EXPECT_EQ(FormatSeconds(59), "59s");
  EXPECT_EQ(FormatSeconds(185), "3m05s");
  EXPECT_EQ(FormatSeconds(7800), "2h10m");
  EXPECT_EQ(FormatSeconds(273600), "3d4h");
}

TEST(FormatTest, AgesNeverAreNegativeAndNeverMadeUp) {
  const WallTime now = *ParseTime("2026-01-01T00:01:00Z");
  EXPECT_EQ(FormatAge("2026-01-01T00:00:00Z", now), "1m00s");
  EXPECT_EQ(FormatAge("2026-01-01T00:01:03Z", now), "0s");
  EXPECT_EQ(FormatAge("", now), "");
}

TEST(FormatTest, DoneSaysWhatIsKnown) {
  EXPECT_EQ(FormatDone(0, 0), "");
  EXPECT_EQ(FormatDone(120 << 20, 0), "120 MiB");
  EXPECT_EQ(FormatDone(120 << 20, 300 << 20), "120 MiB of 300 MiB (40%)");
  // The total is an estimate; more than it is not "done".
  EXPECT_EQ(FormatDone(310 << 20, 300 << 20), "310 MiB of 300 MiB (99%)");
  EXPECT_EQ(FormatRate(0), "");
}

TEST(FormatTest, ParsesDurations) {
  EXPECT_EQ(*ParseSeconds("90"), 90);
  EXPECT_EQ(*ParseSeconds("90s"), 90);
  EXPECT_EQ(*ParseSeconds("5m"), 300);
  EXPECT_EQ(*ParseSeconds("2h"), 7200);
  for (const char* bad : {"", "s", "-1", "1d", "1.5m", "99999999999"}) {
    EXPECT_FALSE(ParseSeconds(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace longshore::cli

// SPDX-License-Identifier: Apache-2.0
#include "common/base/oom_kills.h"

#include <gtest/gtest.h>

namespace longshore {
namespace {

TEST(OomKillsTest, AreThoseOfTasksNotOfEvents) {
  EXPECT_EQ(ParseOomKills("low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n"), 5u);
  EXPECT_EQ(ParseOomKills("oom_kill_disable 0\nunder_oom 1\noom_kill 2\n"), 2u);
  EXPECT_EQ(ParseOomKills("oom_kill 7"), 7u);
}

TEST(OomKillsTest, AreNoneWhereTheKernelDoesNotSay) {
  EXPECT_EQ(ParseOomKills(""), 0u);
  EXPECT_EQ(ParseOomKills("oom_kill_disable 0\nunder_oom 0\n"), 0u);
  EXPECT_EQ(ParseOomKills("oom_kill \n"), 0u);
}

}  // namespace
}  // namespace longshore

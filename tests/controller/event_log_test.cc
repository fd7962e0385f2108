// SPDX-License-Identifier: Apache-2.0
//
// The bell: cursors that resume, one that is too old, and waiting.
#include "controller/event_log.h"

#include <gtest/gtest.h>

#include <thread>

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

void Append(EventLog& log, const std::string& type) { log.Append(type, "ns", "r", "s", {}); }

TEST(EventLogTest, CursorResumesWhereItLeftOff) {
  EventLog log;
  Append(log, "a");
  const auto first = log.Read("", milliseconds(0));
  ASSERT_TRUE(first.has_value());
  ASSERT_EQ(first->announcements.size(), 1u);
  Append(log, "b");
  Append(log, "c");
  const auto second = log.Read(first->cursor, milliseconds(0));
  ASSERT_EQ(second->announcements.size(), 2u);
  EXPECT_EQ(second->announcements[0].type, "b");
  EXPECT_EQ(second->announcements[1].revision, 3u);
  EXPECT_TRUE(log.Read(second->cursor, milliseconds(0))->announcements.empty());
}

TEST(EventLogTest, NowSkipsWhatWasBefore) {
  EventLog log;
  Append(log, "a");
  const auto page = log.Read("now", milliseconds(0));
  EXPECT_TRUE(page->announcements.empty());
  Append(log, "b");
  EXPECT_EQ(log.Read(page->cursor, milliseconds(0))->announcements.size(), 1u);
}

TEST(EventLogTest, OldAndForeignCursorsAreGone) {
  EventLog log(Clock::Real(), 3), other;
  Append(log, "a");
  const std::string cursor = log.Read("", milliseconds(0))->cursor;
  for (int i = 0; i < 3; ++i) Append(log, "b");
  EXPECT_TRUE(log.Read(cursor, milliseconds(0)).has_value());  // nothing was missed yet
  Append(log, "c");
  EXPECT_EQ(log.Read(cursor, milliseconds(0)).error().code, Code::kGone);
  EXPECT_EQ(other.Read(cursor, milliseconds(0)).error().code, Code::kGone);
  EXPECT_EQ(log.Read("", milliseconds(0))->announcements.size(), 3u);
}

TEST(EventLogTest, NonsenseIsInvalid) {
  EventLog log;
  for (const char* cursor : {"x", "-", "abc-x", "abc--1"}) {
    EXPECT_EQ(log.Read(cursor, milliseconds(0)).error().code, Code::kInvalidArgument) << cursor;
  }
}

TEST(EventLogTest, ReaderWaitsForTheNextAnnouncement) {
  EventLog log;
  const std::string cursor = log.Read("now", milliseconds(0))->cursor;
  std::jthread writer([&] { Append(log, "late"); });
  const auto page = log.Read(cursor, std::chrono::seconds(30));
  ASSERT_EQ(page->announcements.size(), 1u);
  EXPECT_EQ(page->announcements[0].type, "late");
}

TEST(EventLogTest, WaitingEndsWhenTheServerStops) {
  EventLog log;
  const auto page = log.Read("now", std::chrono::hours(1), [] { return true; });
  EXPECT_TRUE(page->announcements.empty());
}

}  // namespace
}  // namespace longshore::controller

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

TEST(EventLogTest, CountsByTypeAlsoWhatIsNoLongerKept) {
  EventLog log(Clock::Real(), 2);
  for (int i = 0; i < 5; ++i) Append(log, "a");
  log.AppendLatest("op", "b", "ns", "r", "s", {{"bytes", 1}});
  log.AppendLatest("op", "b", "ns", "r", "s", {{"bytes", 1}});  // says the same
  log.AppendLatest("op", "b", "ns", "r", "s", {{"bytes", 2}});
  EXPECT_EQ(log.appended(), (std::map<std::string, uint64_t>{{"a", 5}, {"b", 2}}));
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

// A manager that has seen 500 of one leader must not take the next one's 1..499 for old.
TEST(EventLogTest, RevisionsGrowFromLeaderToLeader) {
  EventLog first, second;
  first.BeginTerm(3);
  second.BeginTerm(4);
  for (int i = 0; i < 500; ++i) Append(first, "a");
  const std::string start = second.Read("", milliseconds(0))->cursor;
  Append(second, "b");
  const auto old = first.Read("", milliseconds(0)), fresh = second.Read(start, milliseconds(0));
  ASSERT_EQ(old->announcements.size(), 500u);
  ASSERT_EQ(fresh->announcements.size(), 1u);
  EXPECT_EQ(old->announcements[0].revision, (uint64_t{3} << 34) + 1);
  EXPECT_GT(fresh->announcements[0].revision, old->announcements.back().revision);
  EXPECT_EQ(second.Read(old->cursor, milliseconds(0)).error().code, Code::kGone);
}

// Beyond, readers that keep numbers as doubles would see equal ones.
TEST(EventLogTest, RevisionsStayBelowWhatJsonReadersTellApart) {
  for (const int64_t epoch : {int64_t{-1}, (int64_t{1} << 19) - 1, int64_t{1} << 19, INT64_MAX}) {
    EventLog log;
    log.BeginTerm(epoch);
    Append(log, "a");
    const uint64_t revision = log.Read("", milliseconds(0))->announcements.at(0).revision;
    EXPECT_GE(revision, 1u);
    EXPECT_LT(revision, (uint64_t{1} << 53) - (uint64_t{500} * 3600 * 24 * 365)) << epoch;
  }
}

TEST(EventLogTest, AReaderOfANewLogWaitsForItsFirst) {
  EventLog log;
  log.BeginTerm(7);
  std::jthread writer([&] { Append(log, "late"); });
  EXPECT_EQ(log.Read("", std::chrono::seconds(30))->announcements.size(), 1u);
}

void Progress(EventLog& log, const std::string& operation, int bytes) {
  log.AppendLatest(operation, "progress", "busy", "r", "s", {{"bytes", bytes}});
}

// One namespace's long backups must not push another's announcements out.
TEST(EventLogTest, OnlyTheLatestOfAKeyIsKept) {
  EventLog log(Clock::Real(), 4);
  Append(log, "PodsAvailable");
  const std::string cursor = log.Read("", milliseconds(0))->cursor;
  for (int i = 0; i < 1000; ++i) {
    Progress(log, "a", i);
    Progress(log, "b", 2 * i);
  }
  const auto page = log.Read("", milliseconds(0));
  ASSERT_EQ(page->announcements.size(), 3u);
  EXPECT_EQ(page->announcements[0].type, "PodsAvailable");
  EXPECT_EQ(page->announcements[1].data["bytes"], 999);
  EXPECT_EQ(page->announcements[2].data["bytes"], 1998);
  EXPECT_EQ(page->announcements[2].revision, 2001u);
  ASSERT_TRUE(log.Read(cursor, milliseconds(0)).has_value()) << "nothing that counts was missed";
  EXPECT_EQ(log.Read(cursor, milliseconds(0))->announcements.size(), 2u);

  Progress(log, "b", 1998);  // as reconcilers do that look again before there is news
  EXPECT_TRUE(log.Read(page->cursor, milliseconds(0))->announcements.empty());
}

TEST(EventLogTest, ProgressThatWasPushedOutBeginsAnew) {
  EventLog log(Clock::Real(), 2);
  Progress(log, "a", 1);
  const std::string cursor = log.Read("", milliseconds(0))->cursor;
  Append(log, "b");
  Append(log, "c");
  EXPECT_TRUE(log.Read(cursor, milliseconds(0)).has_value());
  Progress(log, "a", 1);
  EXPECT_EQ(log.Read(cursor, milliseconds(0)).error().code, Code::kGone);
  const auto page = log.Read("", milliseconds(0));
  ASSERT_EQ(page->announcements.size(), 2u);
  EXPECT_EQ(page->announcements[1].type, "progress");
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

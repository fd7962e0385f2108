// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "nodeagent/top/json.h"
#include "tests/nodeagent/top/top_fixture.h"

namespace longshore::nodeagent::top {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ScreenTest : public ::testing::Test {
 protected:
  std::string Draw(Size size = {200, 24}) {
    lines_ = screen_.Draw(world_.before, world_.now, size);
    return Join(lines_, "\n");
  }
  void Type(std::string_view bytes) {
    for (const Press& press : DecodeKeys(bytes)) ASSERT_TRUE(screen_.Handle(press));
  }
  // The first row below the title.
  std::string FirstRow() {
    Draw();
    for (size_t i = 0; i + 1 < lines_.size(); ++i) {
      if (lines_[i].find("DEV99") != std::string::npos) return lines_[i + 1];
    }
    return "";
  }

  SharedDisk world_;
  Screen screen_{TableOptions{}, "/no/such/folder"};
  std::vector<std::string> lines_;
};

// All kinds of terminals: both forms of the arrows, and what we don't know says nothing.
TEST(DecodeKeysTest, KnowsArrowsAndSkipsUnknownSequences) {
  EXPECT_THAT(DecodeKeys("\x1b[A\x1bOBq\x1b[1;5C\r"),
              ElementsAre(Press{Key::kUp, 0}, Press{Key::kDown, 0}, Press{Key::kOther, 'q'},
                          Press{Key::kEnter, 0}));
  EXPECT_THAT(DecodeKeys("\x1b"), ElementsAre(Press{Key::kEscape, 0}));
}

// The busiest first; the keys move the column that sorts and turn the order round.
TEST_F(ScreenTest, SortsByTheKeys) {
  EXPECT_THAT(FirstRow(), StartsWith("backup-uid"));
  Type("r");
  EXPECT_THAT(FirstRow(), StartsWith("db-uid"));
  Type("r>>>");  // read
  EXPECT_THAT(FirstRow(), StartsWith("backup-uid"));
  EXPECT_THAT(Draw(), HasSubstr("[READ/S]"));
  Type("\x1b[D\x1b[D\x1b[D<");  // round to the last
  EXPECT_THAT(Draw(), HasSubstr("[DIRTY]"));
}

// A chosen row stays chosen when another pod overtakes it, and opens the right pod.
TEST_F(ScreenTest, TheSelectionFollowsItsPod) {
  Type("\x1b[B");  // db-uid
  EXPECT_THAT(Draw(), HasSubstr("\x1b[7mdb-uid"));
  world_.now.pods[0].usage.counters.cpu_ns = 900'000'000;
  EXPECT_THAT(FirstRow(), HasSubstr("\x1b[7mdb-uid"));
  Type("\r");
  EXPECT_EQ(screen_.open(), "db-uid");
  EXPECT_THAT(Draw(), StartsWith("pod db-uid"));
  Type("\x1b");
  EXPECT_THAT(Draw(), HasSubstr("backup-uid"));
}

// What makes `top --pod` worth it: the device, who shares it, and who took the CPU.
TEST_F(ScreenTest, OnePodShowsWhoDisturbsIt) {
  screen_.Open("db-uid");
  const std::string text = Draw();
  EXPECT_THAT(text, HasSubstr("device vda: read 4.0K/s"));
  EXPECT_THAT(text, HasSubstr("p99 read <16us"));
  EXPECT_THAT(text, HasSubstr("shared with backup-uid: read 1.0M/s"));
  EXPECT_THAT(text, HasSubstr("preempted by backup-uid: 25/s, which then ran 200m"));
  EXPECT_THAT(text, HasSubstr("preempted by the system"));
}

// Who takes the CPU from a pod is noticed once it is watched: until then it isn't denied.
TEST_F(ScreenTest, WhatIsNotWatchedYetIsNotDenied) {
  world_.before.pods[0].watched = false;
  world_.now.pods[0].containers = {{.id = "c1", .relative_path = "", .usage = {}}};
  screen_.Open("db-uid");
  const std::string text = Draw();
  EXPECT_THAT(text, HasSubstr("preemptions: from the next interval on"));
  EXPECT_THAT(text, Not(HasSubstr("preempted")));
  EXPECT_THAT(text, HasSubstr("container c1"));
  world_.before.pods[0].watched = true;
  EXPECT_THAT(Draw(), Not(HasSubstr("from the next interval on")));
}

// An ended pod must not look like an idle one, nor pods without a place in the tables like none.
TEST_F(ScreenTest, WhatIsGoneOrUnknownIsSaidInANarrowTerminal) {
  world_.now.pods[1].final = true;
  world_.now.unknown_pods = 3;
  const std::string text = Draw({80, 24});
  EXPECT_THAT(text, HasSubstr("gone backup-uid"));
  EXPECT_THAT(text, HasSubstr("(--max-cgroups): 3"));
  EXPECT_THAT(text, HasSubstr("enter open")) << "the keys";
}

// In a terminal of 80 columns nothing of a pod is cut off.
TEST_F(ScreenTest, OnePodIsWrappedNotCut) {
  screen_.Open("db-uid");
  const auto words = [](const std::string& text) {
    std::vector<std::string> out;
    for (const std::string& line : Split(text, '\n')) {
      for (std::string& word : Split(line, ' ')) {
        if (!word.empty()) out.push_back(std::move(word));
      }
    }
    return out;
  };
  const auto wide = words(Draw({400, 100}));
  EXPECT_EQ(words(Draw({80, 100})), wide);
  for (const std::string& line : lines_) EXPECT_LE(line.size(), 80u) << line;
}

// However small: never more lines or longer ones than the terminal has, and the sort column stays.
TEST_F(ScreenTest, FitsEveryTerminal) {
  Type("<");  // the last column
  for (const Size size : {Size{20, 3}, Size{80, 24}, Size{40, 8}, Size{200, 60}, Size{1, 1}}) {
    Draw(size);
    EXPECT_LE(lines_.size(), static_cast<size_t>(std::max(2, size.rows))) << size.rows;
    for (const std::string& line : lines_) {
      EXPECT_LE(line.size(), static_cast<size_t>(size.columns)) << line;
    }
  }
  EXPECT_THAT(Draw({80, 24}), HasSubstr("[DIRTY]"));
}

// Pods of one deployment differ in the end of their names.
TEST(TableTest, ANarrowTableKeepsTheEndOfAName) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "pod-logs-narrow";
  std::filesystem::create_directories(folder / "longshore-system_longshore-nodeagent-x7k2p_11-22");
  PodNames names(folder.string());
  const Sample sample = MakeSample(0, {MakePod("11-22", 0)});
  const Table table = MakeTable(sample, sample, {.width = 40}, names);
  EXPECT_THAT(table.lines[0], ::testing::ContainsRegex("^~[^ ]*nodeagent-x7k2p "));
}

// More pods than lines: the selection scrolls.
TEST_F(ScreenTest, ScrollsToTheSelection) {
  for (int i = 0; i < 50; ++i) world_.now.pods.push_back(MakePod("p" + std::to_string(100 + i), 0));
  EXPECT_THAT(Draw({120, 20}), Not(HasSubstr("p149")));
  for (int i = 0; i < 60; ++i) Type("\x1b[B");
  EXPECT_THAT(Draw({120, 20}), HasSubstr("\x1b[7mp149"));
  EXPECT_THAT(Draw({120, 20}), Not(HasSubstr("backup-uid")));
}

TEST_F(ScreenTest, EndsWithQ) { EXPECT_FALSE(screen_.Handle({Key::kOther, 'q'})); }

// A signal that isn't there is a dash, never a zero.
TEST_F(ScreenTest, UnknownIsNotZero) {
  EXPECT_EQ(ShortLatency(std::nullopt), "-");
  EXPECT_THAT(Draw(), HasSubstr("unknown (the kernel does not count it)"));
}

// The widths of the table hold for every size of number.
TEST(ColumnsTest, NumbersAreShort) {
  for (double value = 0.001; value < 1e15; value *= 1.7) {
    EXPECT_LE(ShortBytes(value).size(), 6u) << value;
  }
  for (double value = 0.001; value < 1e6; value *= 1.7) {
    EXPECT_LE(ShortCores(value).size(), 6u) << value;
    EXPECT_LE(ShortCount(value * 1e6).size(), 6u) << value;
  }
  EXPECT_EQ(ShortCores(0.25), "250m");
  EXPECT_EQ(ShortBytes(1536 * 1024), "1.5M");
  EXPECT_EQ(ShortLatency(std::chrono::microseconds(16384)), "<16ms");
  EXPECT_EQ(ShortLatency(Histogram::kUnbounded), ">512ms");
}

// The last bucket has no end: an fsync of half a minute must not look like one of a second.
TEST(JsonTest, WhatIsLongerThanTheHistogramTellsHasNoUpperBound) {
  SharedDisk world;
  world.now.pods[0].usage.counters.fsync.buckets[Histogram::kBuckets - 1] = 1;
  PodNames names("/no/such/folder");
  const auto json = nlohmann::json::parse(RenderJson(world.before, world.now, {}, names, "db-uid"));
  const auto& pod = json["pods"][0];
  EXPECT_TRUE(pod["fsyncP99Microseconds"].is_null());
  EXPECT_EQ(pod["fsyncP99OverMicroseconds"], 524'288);
  EXPECT_FALSE(pod.contains("deviceP99OverMicroseconds"));
}

TEST(ColumnsTest, EveryNameIsFound) {
  for (size_t i = 0; i < Columns().size(); ++i) {
    EXPECT_EQ(FindColumn(Columns()[i].name), static_cast<int>(i));
  }
  EXPECT_EQ(FindColumn("nothing"), -1);
}

// Names come from the kubelet's log folders where they can be seen, and a new pod's too.
TEST(PodNamesTest, ComeFromTheKubeletsFolders) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "pod-logs";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "db_orders-0_11-22");
  PodNames names(folder.string());
  EXPECT_EQ(names.NameOf("11-22"), "db/orders-0");
  EXPECT_EQ(names.NameOf("33-44"), "33-44");
  std::filesystem::create_directories(folder / "db_load_33-44");
  names.Refresh();
  EXPECT_EQ(names.NameOf("33-44"), "db/load");
  const Sample now = MakeSample(0, {MakePod("11-22", 0), MakePod("11-33", 0)});
  EXPECT_EQ(FindPod("db/orders-0", now, names), "11-22");
  EXPECT_EQ(FindPod("11-3", now, names), "11-33");
  EXPECT_THAT(FindPod("11-", now, names).error().message, HasSubstr("11-22, 11-33"));
  EXPECT_EQ(FindPod("99", now, names).error().code, Code::kNotFound);
}

// Programs read totals, rates, and null for what isn't known.
TEST(JsonTest, HoldsTotalsRatesAndNulls) {
  const SharedDisk world;
  PodNames names("/no/such/folder");
  const auto json = nlohmann::json::parse(RenderJson(world.before, world.now, {}, names, "db-uid"));
  ASSERT_EQ(json["pods"].size(), 1u);
  const auto& pod = json["pods"][0];
  EXPECT_EQ(pod["uid"], "db-uid");
  EXPECT_TRUE(pod["name"].is_null());
  EXPECT_DOUBLE_EQ(pod["cpuCores"].get<double>(), 0.1);
  EXPECT_EQ(pod["totals"]["cpuNanoseconds"], 100'000'000u);
  EXPECT_EQ(pod["devices"]["8:0"]["readP99Microseconds"], 16);
  EXPECT_TRUE(pod["devices"]["8:0"]["writeP99Microseconds"].is_null());
  EXPECT_TRUE(pod["pressure"].is_null());
  EXPECT_EQ(pod["preemptedBy"][0]["offender"], "backup-uid");
  const auto& sharer = pod["devices"]["8:0"]["sharedWith"][0];
  EXPECT_EQ(sharer["uid"], "backup-uid");
  EXPECT_DOUBLE_EQ(sharer["readBytesPerSecond"].get<double>(), 1 << 20);
  EXPECT_FALSE(pod["devices"]["8:0"].contains("flushesPerSecond")) << "they are nobody's";
  EXPECT_TRUE(json["node"]["devices"][0].contains("flushesPerSecond"));
  EXPECT_EQ(json["node"]["devices"][0]["name"], "vda");
  EXPECT_EQ(json["node"]["unknownPods"], 0);
}

TEST(JsonTest, WhoPreemptsAPodThatIsNotWatchedYetIsNotKnown) {
  SharedDisk world;
  world.before.pods[0].watched = false;
  PodNames names("/no/such/folder");
  const auto json = nlohmann::json::parse(RenderJson(world.before, world.now, {}, names, "db-uid"));
  EXPECT_TRUE(json["pods"][0]["preemptedBy"].is_null());
}

TEST(JsonTest, PodsComeInTheOrderThatIsAskedFor) {
  const SharedDisk world;
  PodNames names("/no/such/folder");
  for (const bool reverse : {false, true}) {
    const auto json =
        nlohmann::json::parse(RenderJson(world.before, world.now, {.reverse = reverse}, names));
    EXPECT_EQ(json["pods"][0]["uid"], reverse ? "db-uid" : "backup-uid");
  }
}

}  // namespace
}  // namespace longshore::nodeagent::top

// SPDX-License-Identifier: Apache-2.0
// The informer on the API server's bad days (research: faults of watches): it never loses an
// object, never invents one, and never hammers the server.
#include "common/kube/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/api/request.h"
#include "common/base/files.h"
#include "common/base/strings.h"
#include "tests/common/kube/fake_api.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

class InformerTest : public testing::Test {
 protected:
  void Start() { StartWith(api_.config()); }
  void StartWith(const Config& config) {
    client_ = *Client::Create(config, "longshore-test");
    InformerOptions options{.ns = "n", .prune = prune_};
    options.timing = {.silence = milliseconds(2000),
                      .first_backoff = milliseconds(10),
                      .max_backoff = milliseconds(40),
                      .backoff_reset = milliseconds(60000)};
    options.timing.silence = silence_;
    informer_ = std::make_unique<Informer>(*client_, kConfigMaps, options);
    informer_->OnChange(
        [this](const ObjectPtr& before, const ObjectPtr& after) { Note(before, after); });
    informer_->Start();
  }
  void Note(const ObjectPtr& before, const ObjectPtr& after) {
    std::string line;
    if (before != nullptr) line += Describe(*before);
    line += ">";
    if (after != nullptr) line += Describe(*after);
    MutexLock lock(mutex_);
    told_.push_back(line);
  }
  static std::string Describe(const Json& object) {
    return std::string(NameOf(object)) + std::string(StringAt(object, "/metadata/resourceVersion"));
  }
  // Changes in order: ">a1" added, "a1>a2" updated, "a2>" deleted.
  std::vector<std::string> told() {
    MutexLock lock(mutex_);
    return told_;
  }
  bool Told(size_t changes) {
    return Soon([&] { return told().size() >= changes; });
  }

  FakeApi api_;
  milliseconds silence_{20000};
  std::function<void(Json&)> prune_;
  std::unique_ptr<Client> client_;
  Mutex mutex_;
  std::vector<std::string> told_ LS_GUARDED_BY(mutex_);
  std::unique_ptr<Informer> informer_;  // first to go
};

TEST_F(InformerTest, ListsPagesThenWatchesFromThere) {
  api_.OnList(ListOf({Map("a", 1)}, 7, "c1"));
  api_.OnList(ListOf({Map("b", 2)}, 7));
  api_.OnWatch(WatchThatStays(Event("ADDED", Map("c", 8)) + Event("MODIFIED", Map("a", 9)) +
                              Event("DELETED", Map("b", 10))));
  Start();
  ASSERT_TRUE(Told(5));
  EXPECT_THAT(told(), ElementsAre(">a1", ">b2", ">c8", "a1>a9", "b2>"));
  EXPECT_THAT(api_.asked(), ElementsAre("list", "list continue=c1", "watch 7"));
  EXPECT_EQ(informer_->List().size(), 2u);
}

// Each object once, before anybody sees it, wherever it comes from.
TEST_F(InformerTest, WhatNobodyReadsIsTakenOutOfListsAndEvents) {
  std::map<std::string, int> pruned;
  prune_ = [&](Json& object) {
    ++pruned[Describe(object)];
    object["metadata"]["labels"] = {{"pruned", "yes"}};
  };
  Json managed = Map("a", 1);
  managed["metadata"]["managedFields"] = Json::array({1});
  api_.OnList(ListOf({managed}, 7, "c1"));
  api_.OnList(ListOf({Map("b", 2)}, 7));
  api_.OnWatch(WatchThatStays(Event("ADDED", Map("c", 8))));
  Start();
  ASSERT_TRUE(Told(3));
  for (const char* name : {"a", "b", "c"}) {
    const ObjectPtr object = informer_->Get("n", name);
    ASSERT_NE(object, nullptr) << name;
    EXPECT_EQ(LabelOf(*object, "pruned"), "yes") << name;
    EXPECT_FALSE((*object)["metadata"].contains("managedFields")) << name;
  }
  informer_.reset();
  EXPECT_EQ(pruned, (std::map<std::string, int>{{"a1", 1}, {"b2", 1}, {"c8", 1}}));
}

// Kept as their type. One that is none is as good as absent until it is put right.
TEST_F(InformerTest, RowsAreHeldAsTheirType) {
  const auto row = [](const char* name, int version, Json slot) {
    Json object = Map(name, version);
    object["kind"] = "BackupPod";
    object["spec"] = {{"requestRef", {{"name", "r"}}}, {"slot", std::move(slot)}};
    return object;
  };
  api_.OnList(ListOf({row("a", 1, 4), row("b", 2, "four")}, 7));
  api_.OnWatch(
      WatchThatStays(Event("MODIFIED", row("a", 8, "five")) + Event("MODIFIED", row("b", 9, 6)) +
                     Event("DELETED", row("b", 10, 6)) + Event("MODIFIED", row("a", 11, 7))));
  client_ = *Client::Create(api_.config(), "longshore-test");
  BasicInformer<api::BackupPod> rows(*client_, kConfigMaps, {.ns = "n"});
  rows.AddIndex("request", [](const api::BackupPod& row) {
    return std::vector<std::string>{row.spec.request_ref.name};
  });
  rows.OnChange([this](const api::BackupPodPtr& before, const api::BackupPodPtr& after) {
    const auto slot = [](const api::BackupPodPtr& row) {
      return row ? row->metadata.name + std::to_string(row->spec.slot) : "";
    };
    MutexLock lock(mutex_);
    told_.push_back(slot(before) + ">" + slot(after));
  });
  rows.Start();
  ASSERT_TRUE(Told(5));
  EXPECT_THAT(told(), ElementsAre(">a4", "a4>", ">b6", "b6>", ">a7"));
  ASSERT_EQ(rows.ListByIndex("request", "r").size(), 1u);
  EXPECT_EQ(rows.Get("n", "a")->spec.slot, 7);
  rows.Observe(row("a", 12, 8));
  EXPECT_EQ(rows.Get("n", "a")->spec.slot, 8);
  rows.Observe(row("a", 13, "nine"));
  EXPECT_EQ(rows.Get("n", "a")->spec.slot, 8);
}

TEST_F(InformerTest, ExpiredContinueTokenStartsTheListAgain) {
  api_.OnList(ListOf({Map("a", 1)}, 7, "c1"));
  api_.OnList(Refusal(410, "Expired"));
  api_.OnList(ListOf({Map("a", 1)}, 8, "c2"));
  api_.OnList(Refusal(410, "Expired"));
  api_.OnList(ListOf({Map("a", 1), Map("b", 2)}, 9));
  Start();
  ASSERT_TRUE(api_.Wait(6));
  EXPECT_THAT(told(), ElementsAre(">a1", ">b2"));
  EXPECT_THAT(api_.asked(), ElementsAre("list", "list continue=c1", "list", "list continue=c2",
                                        "list all", "watch 9"));
}

// F4: everything that happened while the version was compacted away is found by comparing.
TEST_F(InformerTest, GoneListsAgainAndSynthesisesWhatWasMissed) {
  for (const bool as_event : {false, true}) {
    SCOPED_TRACE(as_event ? "ERROR event" : "HTTP status");
    api_.OnList(ListOf({Map("a", 1), Map("b", 2), Map("c", 3)}, 7));
    api_.OnWatch(as_event ? WatchThatStays(ErrorEvent(410, "Expired")) : Refusal(410, "Expired"));
    api_.OnList(ListOf({Map("b", 2), Map("c", 20, "another"), Map("d", 21)}, 30));
    Start();
    ASSERT_TRUE(Told(7));
    EXPECT_THAT(told(), ElementsAre(">a1", ">b2", ">c3", "c3>", ">c20", ">d21", "a1>"));
    EXPECT_EQ(informer_->Get("n", "a"), nullptr);
    ASSERT_TRUE(Soon([&] { return api_.asked().back() == "watch 30"; }));
    informer_.reset();
    MutexLock lock(mutex_);
    told_.clear();
  }
}

TEST_F(InformerTest, OtherErrorEventsGoOnFromTheLastVersion) {
  api_.OnList(ListOf({}, 7));
  api_.OnWatch(WatchThatStays(Event("ADDED", Map("a", 8)) + ErrorEvent(500, "InternalError")));
  api_.OnWatch(WatchThatStays(Event("ADDED", Map("b", 9))));
  Start();
  ASSERT_TRUE(Told(2));
  EXPECT_THAT(api_.asked(), ElementsAre("list", "watch 7", "watch 8"));
}

// A peer that died without a word: bookmarks would have come.
TEST_F(InformerTest, SilentWatchIsGivenUpAndGoesOnFromTheBookmark) {
  silence_ = milliseconds(150);
  api_.OnList(ListOf({Map("a", 1)}, 7));
  api_.OnWatch(WatchThatStays(Bookmark(55)));
  api_.OnWatch(WatchThatStays(Event("MODIFIED", Map("a", 56))));
  Start();
  ASSERT_TRUE(Told(2));
  EXPECT_THAT(told(), ElementsAre(">a1", "a1>a56"));
  const auto asked = api_.asked();
  ASSERT_GE(asked.size(), 3u);
  EXPECT_THAT(std::vector(asked.begin(), asked.begin() + 3),
              ElementsAre("list", "watch 7", "watch 55"));
}

TEST_F(InformerTest, GarbageListsAgain) {
  size_t calls = 0;
  for (const char* garbage : {"<html>bad gateway</html>\n", "{\"type\":\"ADDED\"}\n", "[]\n",
                              "{\"type\":\"ADDED\",\"object\":{}}\n", "\xFF\xFE\n"}) {
    api_.OnList(ListOf({Map("a", 1)}, 7));
    api_.OnWatch(WatchThatStays(garbage));
    api_.OnList(ListOf({Map("a", 1), Map("b", 2)}, 8));
    Start();
    ASSERT_TRUE(Told(2)) << garbage;
    EXPECT_THAT(told(), ElementsAre(">a1", ">b2"));
    // Its last watch, too, must have come, or it would take what is queued for the next informer.
    ASSERT_TRUE(api_.Wait(calls += 4)) << "list, watch, list, watch";
    informer_.reset();
    MutexLock lock(mutex_);
    told_.clear();
  }
}

TEST_F(InformerTest, UnknownEventTypesAreSkipped) {
  api_.OnList(ListOf({}, 7));
  api_.OnWatch(WatchThatStays(Event("NOVELTY", Map("x", 8)) + Event("ADDED", Map("a", 9))));
  Start();
  ASSERT_TRUE(Told(1));
  EXPECT_THAT(told(), ElementsAre(">a9"));
}

TEST_F(InformerTest, LineCutOffByTheEndIsNoEvent) {
  const std::string line = Event("ADDED", Map("a", 8));
  api_.OnList(ListOf({}, 7));
  api_.OnWatch(WatchThatEnds(line.substr(0, line.size() / 2)));
  api_.OnWatch(WatchThatStays(line));
  Start();
  ASSERT_TRUE(Told(1));
  EXPECT_THAT(told(), ElementsAre(">a8"));
  EXPECT_THAT(api_.asked(), ElementsAre("list", "watch 7", "watch 7"));
}

// F5: an error, or an answer that is no list, is not "no objects".
TEST_F(InformerTest, SickListsDeleteNothing) {
  api_.OnList(ListOf({Map("a", 1)}, 7));
  api_.OnWatch(Refusal(410, "Expired"));
  api_.OnList({.body = "{}"});
  api_.OnList({.body = R"({"items": [], "metadata": {}})"});
  api_.OnList({.body = R"({"items": [7], "metadata": {"resourceVersion": "8"}})"});
  api_.OnList({.body = "null"});
  api_.OnList(Refusal(500, "InternalError"));
  api_.OnList({.status = 503, .body = "<html>"});
  Start();
  ASSERT_TRUE(api_.Wait(9));
  EXPECT_THAT(told(), ElementsAre(">a1"));
  EXPECT_NE(informer_->Get("n", "a"), nullptr);
  api_.OnList(ListOf({Map("b", 9)}, 9));
  ASSERT_TRUE(Told(3));
  EXPECT_THAT(told(), ElementsAre(">a1", ">b9", "a1>"));
}

// Whoever can do without must not wait for ever; and a right may be given later.
TEST_F(InformerTest, DenialIsToldUntilTheRightIsGiven) {
  for (int i = 0; i < 2; ++i) api_.OnList(Refusal(403, "Forbidden", "user x cannot list"));
  api_.OnList(Refusal(500, "InternalError"));
  Start();
  EXPECT_EQ(WhyUnsynced(*informer_).find("configmaps"), 0u);
  ASSERT_TRUE(api_.Wait(4));  // the last failure says nothing about rights
  EXPECT_EQ(informer_->denial()->code, Code::kPermissionDenied);
  EXPECT_EQ(WhyUnsynced(*informer_),
            "configmaps may not be listed: list configmaps: user x cannot list");
  EXPECT_FALSE(informer_->synced());
  api_.OnList(ListOf({Map("a", 1)}, 7));
  ASSERT_TRUE(informer_->WaitForSync(std::chrono::seconds(10)));
  EXPECT_FALSE(informer_->denial().has_value());
  EXPECT_EQ(WhyUnsynced(*informer_), "");
}

// A server that has just started may not know the rights yet.
TEST_F(InformerTest, OneRefusedListIsNoDenial) {
  api_.OnList(Refusal(403, "Forbidden", "user x cannot list"));
  Start();
  ASSERT_TRUE(api_.Wait(3));
  EXPECT_FALSE(informer_->denial().has_value());
}

TEST_F(InformerTest, DenialIsToldAlsoOfARightThatIsWithdrawn) {
  api_.OnList(ListOf({Map("a", 1)}, 7));
  api_.OnWatch(WatchThatEnds(ErrorEvent(410, "Expired")));
  for (int i = 0; i < 2; ++i) api_.OnList(Refusal(403, "Forbidden", "user x cannot list"));
  Start();
  ASSERT_TRUE(Soon([&] { return informer_->denial().has_value(); }));
  EXPECT_TRUE(informer_->synced());
  api_.OnList(ListOf({Map("a", 1)}, 8));
  EXPECT_TRUE(Soon([&] { return !informer_->denial().has_value(); }));
}

TEST_F(InformerTest, ThrottledWatchHonoursRetryAfter) {
  api_.OnList(ListOf({}, 7));
  api_.OnWatch(RetryLater(429, 1));
  api_.OnWatch(WatchThatStays(Event("ADDED", Map("a", 8))));
  Start();
  ASSERT_TRUE(api_.Wait(2));
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(Told(1));
  // max_backoff caps what a server may ask for: 40 ms here.
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(30));
  EXPECT_THAT(api_.asked(), ElementsAre("list", "watch 7", "watch 7"));
}

TEST_F(InformerTest, WatchesThatEndAtOnceAreNoBusyLoop) {
  api_.OnList(ListOf({}, 7));
  for (int i = 0; i < 1000; ++i) api_.OnWatch(WatchThatEnds(""));
  for (int i = 0; i < 1000; ++i) api_.OnList(ListOf({}, 7));
  const auto began = std::chrono::steady_clock::now();
  Start();
  EXPECT_TRUE(api_.Wait(20));
  const auto took = std::chrono::steady_clock::now() - began;
  // 40 ms with full jitter: about 400 ms for so many, and longer where others need the machine.
  EXPECT_GT(took, milliseconds(80));
}

TEST_F(InformerTest, RotatedTokenIsReadAgainAfter401) {
  const std::string file = testing::TempDir() + "longshore-token-" + RandomId(8);
  ASSERT_TRUE(WriteFileAtomically(file, "old").has_value());
  api_.Require("new");
  api_.OnList(ListOf({Map("a", 1)}, 7));
  Config config = api_.config();
  config.token_file = file;
  StartWith(config);
  ASSERT_TRUE(api_.Wait(1));
  EXPECT_FALSE(informer_->synced());
  ASSERT_TRUE(WriteFileAtomically(file, "new\n").has_value());
  EXPECT_TRUE(informer_->WaitForSync(milliseconds(10000)));
  std::filesystem::remove(file);
}

// A watch that begins anew may repeat what is known.
TEST_F(InformerTest, RepeatedVersionsAreToldOnce) {
  api_.OnList(ListOf({Map("a", 5)}, 7));
  api_.OnWatch(WatchThatStays(Event("ADDED", Map("a", 5)) + Event("MODIFIED", Map("a", 4)) +
                              Event("MODIFIED", Map("a", 8))));
  Start();
  ASSERT_TRUE(Told(2));
  EXPECT_THAT(told(), ElementsAre(">a5", "a5>a8"));
}

TEST_F(InformerTest, SyncedOnlyAfterTheHandlersHaveRun) {
  api_.OnList(ListOf({Map("a", 1), Map("b", 2)}, 7));
  Start();
  ASSERT_TRUE(informer_->WaitForSync(milliseconds(10000)));
  EXPECT_THAT(told(), UnorderedElementsAre(">a1", ">b2"));
}

TEST_F(InformerTest, StopsWhileTheServerIsAway) {
  Config nowhere = api_.config();
  nowhere.server = "http://127.0.0.1:1";
  StartWith(nowhere);
  EXPECT_FALSE(informer_->WaitForSync(milliseconds(100)));
  EXPECT_GT(informer_->staleness(), milliseconds(50));
  const auto began = std::chrono::steady_clock::now();
  informer_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(1000));
}

}  // namespace
}  // namespace longshore::kube

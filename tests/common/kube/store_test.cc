// SPDX-License-Identifier: Apache-2.0
// Three sources, one truth: LIST, WATCH and our own writes in every order that happens.
#include "common/kube/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::kube {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ObjectPtr Make(const std::string& name, const std::string& version, const std::string& uid = "u",
               const std::string& color = "") {
  return std::make_shared<const Json>(
      Json{{"metadata",
            {{"name", name}, {"namespace", "n"}, {"uid", uid}, {"resourceVersion", version}}},
           {"color", color}});
}

std::vector<std::string> Lines(const std::vector<Store::Change>& changes) {
  std::vector<std::string> lines;
  for (const auto& [before, after] : changes) {
    std::string line;
    if (before != nullptr) line += StringAt(*before, "/metadata/resourceVersion");
    line += ">";
    if (after != nullptr) line += StringAt(*after, "/metadata/resourceVersion");
    lines.push_back(line);
  }
  return lines;
}

class StoreTest : public testing::Test {
 protected:
  std::string Current(const std::string& name = "a") {
    const ObjectPtr object = store_.Get("n", name);
    return object == nullptr ? "none" : std::string(StringAt(*object, "/metadata/resourceVersion"));
  }
  Store store_;
};

TEST_F(StoreTest, ObservedWriteIsCurrentAndToldWhenTheWatchBringsIt) {
  store_.Apply(Make("a", "5"));
  store_.Observe(Make("a", "8"));
  EXPECT_EQ(Current(), "8");
  EXPECT_THAT(Lines(store_.Apply(Make("a", "7"))), ElementsAre("5>7"));  // somebody else's, before
  EXPECT_EQ(Current(), "8");
  EXPECT_THAT(Lines(store_.Apply(Make("a", "8"))), ElementsAre("7>8"));
  EXPECT_THAT(Lines(store_.Apply(Make("a", "9"))), ElementsAre("8>9"));
  EXPECT_EQ(Current(), "9");
}

TEST_F(StoreTest, VersionsAreComparedAsNumbers) {
  store_.Apply(Make("a", "99"));
  store_.Observe(Make("a", "100"));
  EXPECT_EQ(Current(), "100");
  store_.Observe(Make("a", "99"));
  EXPECT_EQ(Current(), "100");
}

TEST_F(StoreTest, ObservedCreateIsNotRefutedByAnOlderList) {
  store_.Observe(Make("a", "8"));
  EXPECT_THAT(store_.Replace({}, "7"), IsEmpty());
  EXPECT_EQ(Current(), "8");
  EXPECT_THAT(store_.Replace({}, "9"), IsEmpty());  // created and deleted before we saw either
  EXPECT_EQ(Current(), "none");
}

TEST_F(StoreTest, AWriteOfOursIsUnseenUntilTheWatchHasComeSoFar) {
  const MonotonicTime start;
  const auto at = [&](int second) { return start + std::chrono::seconds(second); };
  EXPECT_EQ(store_.OldestUnseen(), std::nullopt);
  store_.Observe(Make("a", "8"), at(1));
  store_.Observe(Make("b", "9"), at(2));
  EXPECT_EQ(store_.OldestUnseen(), at(1));
  store_.Apply(Make("a", "8"));
  EXPECT_EQ(store_.OldestUnseen(), at(2));
  store_.Observe(Make("b", "9"), at(3));  // the same once more
  EXPECT_EQ(store_.OldestUnseen(), at(2));
  store_.Apply(Make("b", "12"));  // somebody else's, and ours with it
  EXPECT_EQ(store_.OldestUnseen(), std::nullopt);
  store_.Observe(Make("a", "7"), at(4));  // long past
  EXPECT_EQ(store_.OldestUnseen(), std::nullopt);
}

TEST_F(StoreTest, AnObjectThatIsWrittenAgainAndAgainAgesOnlyWhileTheWatchIsSilent) {
  const MonotonicTime start;
  const auto at = [&](int second) { return start + std::chrono::seconds(second); };
  for (int i = 0; i < 5; ++i) store_.Observe(Make("a", std::to_string(10 + i)), at(i));
  EXPECT_EQ(store_.OldestUnseen(), at(0));
  store_.Apply(Make("a", "12"));
  EXPECT_EQ(store_.OldestUnseen(), at(4))
      << "one of ours is still to come, made then at the latest";
  store_.Apply(Make("a", "14"));
  EXPECT_EQ(store_.OldestUnseen(), std::nullopt);
}

TEST_F(StoreTest, WhatWasDeletedOrListedIsNoLongerUnseen) {
  const MonotonicTime start;
  store_.Observe(Make("a", "8"), start);
  store_.Remove(IdentityOf(*Make("a", "9")));
  EXPECT_EQ(store_.OldestUnseen(), std::nullopt);
  store_.Observe(Make("b", "10"), start);
  store_.Replace({}, "9");
  EXPECT_EQ(store_.OldestUnseen(), start) << "the list is older";
  store_.Replace({}, "11");
  EXPECT_EQ(store_.OldestUnseen(), std::nullopt);
}

TEST_F(StoreTest, LateObserveDoesNotBringBackTheDead) {
  store_.Apply(Make("a", "5"));
  EXPECT_THAT(Lines(store_.Remove(IdentityOf(*Make("a", "9")))), ElementsAre("5>"));
  store_.Observe(Make("a", "8"));
  EXPECT_EQ(Current(), "none");
  store_.Observe(Make("a", "12", "new uid"));  // another object of the same name
  EXPECT_EQ(Current(), "12");
}

TEST_F(StoreTest, LateObserveDoesNotBringBackWhatARelistMissed) {
  store_.Apply(Make("a", "5"));
  EXPECT_THAT(Lines(store_.Replace({}, "20")), ElementsAre("5>"));
  store_.Observe(Make("a", "8"));
  EXPECT_EQ(Current(), "none");
}

// We deleted and created again; the watch still brings the first one's end.
TEST_F(StoreTest, DeleteOfTheOldUidLeavesTheNewObject) {
  store_.Apply(Make("a", "5", "old"));
  store_.Observe(Make("a", "9", "new"));
  EXPECT_THAT(Lines(store_.Remove(IdentityOf(*Make("a", "8", "old")))), ElementsAre("5>"));
  EXPECT_EQ(Current(), "9");
  EXPECT_THAT(Lines(store_.Apply(Make("a", "9", "new"))), ElementsAre(">9"));
  EXPECT_THAT(Lines(store_.Remove(IdentityOf(*Make("a", "8", "old")))), IsEmpty());
  EXPECT_EQ(Current(), "9");
}

TEST_F(StoreTest, NewUidUnderTheSameNameIsADeleteAndAnAdd) {
  store_.Apply(Make("a", "5", "old"));
  EXPECT_THAT(Lines(store_.Apply(Make("a", "9", "new"))), ElementsAre("5>", ">9"));
  store_.Observe(Make("a", "7", "old"));
  EXPECT_EQ(Current(), "9");
}

TEST_F(StoreTest, RelistTellsOnlyWhatChanged) {
  store_.Apply(Make("a", "5"));
  store_.Apply(Make("b", "6"));
  EXPECT_THAT(Lines(store_.Replace({Make("a", "5"), Make("b", "8"), Make("c", "7")}, "9")),
              ElementsAre("6>8", ">7"));
  EXPECT_EQ(store_.List().size(), 3u);
}

TEST_F(StoreTest, RemoveOfTheUnknownIsNothing) {
  EXPECT_THAT(store_.Remove(IdentityOf(*Make("a", "5"))), IsEmpty());
  EXPECT_TRUE(store_.List().empty());
}

// Without numbers there is no order to be had: the watch decides, as it does for everybody.
TEST_F(StoreTest, OpaqueVersionsStillWork) {
  store_.Apply(Make("a", "x1"));
  store_.Observe(Make("a", "x2"));
  EXPECT_EQ(Current(), "x2");
  EXPECT_THAT(Lines(store_.Apply(Make("a", "x3"))), ElementsAre("x1>x3"));
  EXPECT_EQ(Current(), "x3");
  EXPECT_THAT(Lines(store_.Replace({}, "x4")), ElementsAre("x3>"));
  EXPECT_EQ(Current(), "none");
}

TEST_F(StoreTest, IndexesFollow) {
  store_.AddIndex("color", [](const Json& object) {
    const std::string_view color = StringAt(object, "/color");
    return color.empty() ? std::vector<std::string>{}
                         : std::vector<std::string>{std::string(color)};
  });
  store_.Apply(Make("a", "1", "u1", "red"));
  store_.Apply(Make("b", "2", "u2", "red"));
  store_.Apply(Make("c", "3", "u3"));
  EXPECT_EQ(store_.ListByIndex("color", "red").size(), 2u);
  store_.Observe(Make("a", "4", "u1", "blue"));
  EXPECT_EQ(store_.ListByIndex("color", "red").size(), 1u);
  EXPECT_EQ(store_.ListByIndex("color", "blue").size(), 1u);
  store_.Remove(IdentityOf(*Make("b", "5", "u2")));
  EXPECT_TRUE(store_.ListByIndex("color", "red").empty());
  store_.Replace({}, "9");
  EXPECT_TRUE(store_.ListByIndex("color", "blue").empty());
}

}  // namespace
}  // namespace longshore::kube

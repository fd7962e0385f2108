// SPDX-License-Identifier: Apache-2.0
#include "extender/offered_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "common/api/meta.h"
#include "extender/protocol.h"

namespace longshore::extender {
namespace {

using ::testing::ElementsAreArray;

std::vector<std::string> NodeNames(const std::string& prefix, int count = 300) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

std::string Request(const std::vector<std::string>& names, const std::string& behind = "") {
  return R"({"Pod":{"metadata":{"name":"p","uid":"u"}},"NodeNames": )" + api::Json(names).dump() +
         behind + "}";
}

// What comes twice is kept.
void Keep(OfferedLists& lists, const std::string& body) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(ReadArguments(body, &lists).has_value());
}

TEST(OfferedListTest, AListThatComesAgainIsKept) {
  OfferedLists lists;
  const auto names = NodeNames("node-");
  const std::string body = Request(names);
  EXPECT_EQ(ReadArguments(body, &lists)->known, nullptr);
  EXPECT_EQ(ReadArguments(body, &lists)->known, nullptr);  // now it is
  const std::string other_body = Request(names, R"(,"Nodes":null)");
  const auto known = ReadArguments(other_body, &lists);
  ASSERT_NE(known->known, nullptr);
  const auto read = ReadArguments(other_body);
  EXPECT_THAT(known->names, ElementsAreArray(names));
  EXPECT_EQ(known->list, read->list);
  EXPECT_EQ(FilterReply(*known, {}), FilterReply(*read, {}));
  EXPECT_EQ(FilterReply(other_body, *known, {}, 0), FilterReply(*read, {}));
  const std::vector<int> scores(names.size(), 7);
  EXPECT_EQ(PrioritizeReply(*known, scores), PrioritizeReply(*read, scores));
}

TEST(OfferedListTest, OneNameMoreOrLessIsAnotherList) {
  OfferedLists lists;
  auto names = NodeNames("node-");
  const std::string body = Request(names);
  Keep(lists, body);
  const std::string last = std::exchange(names.back(), "node-299x");
  EXPECT_THAT(ReadArguments(Request(names), &lists)->names, ElementsAreArray(names));
  names.pop_back();
  EXPECT_THAT(ReadArguments(Request(names), &lists)->names, ElementsAreArray(names));
  names.push_back(last);
  names.push_back("one-more");
  EXPECT_THAT(ReadArguments(Request(names), &lists)->names, ElementsAreArray(names));
}

// What is behind a known list is read as ever.
TEST(OfferedListTest, WhatFollowsIsChecked) {
  OfferedLists lists;
  const auto names = NodeNames("node-");
  const std::string body = Request(names);
  Keep(lists, body);
  const auto text = [&](const std::string& behind) {
    return ReadArguments(Request(names, behind), &lists);
  };
  EXPECT_FALSE(text("]").has_value());
  EXPECT_FALSE(text(R"("x":1)").has_value());
  const auto last_wins = text(R"(,"NodeNames":["n1"])");
  ASSERT_TRUE(last_wins.has_value());
  EXPECT_EQ(last_wins->known, nullptr);
  EXPECT_EQ(last_wins->names.size(), 1u);
  EXPECT_FALSE(ReadArguments(body.substr(0, body.size() - 1), &lists).has_value());
}

TEST(OfferedListTest, NamesThatAreNotPlainOrRepeatAreReadEachTime) {
  OfferedLists lists;
  auto names = NodeNames("node-");
  names.push_back("node-0");
  const std::string twice = Request(names);
  std::string escaped = Request(NodeNames("node-"));
  escaped.replace(escaped.find("node-7"), 1, "\\u006e");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ReadArguments(twice, &lists)->known, nullptr);
    EXPECT_EQ(ReadArguments(twice, &lists)->names.size(), 300u);
    EXPECT_EQ(ReadArguments(escaped, &lists)->known, nullptr);
    EXPECT_THAT(ReadArguments(escaped, &lists)->names, ElementsAreArray(NodeNames("node-")));
  }
}

TEST(OfferedListTest, PlacesAreThoseOfTheOrder) {
  OfferedLists lists;
  const std::string body = Request(NodeNames("node-"));
  Keep(lists, body);
  const auto known = ReadArguments(body, &lists)->known;
  int found = 0;
  const auto find = [&] { return OfferedList::Places(300, static_cast<uint32_t>(++found)); };
  const auto order = std::make_shared<const int>(1), another = std::make_shared<const int>(2);
  EXPECT_EQ(known->PlacesIn(order, find)->front(), 1u);
  EXPECT_EQ(known->PlacesIn(order, find)->front(), 1u);
  EXPECT_EQ(known->PlacesIn(another, find)->front(), 2u);
  EXPECT_EQ(known->PlacesIn(order, find)->front(), 3u);
}

// Many schedulers' threads, with lists that push each other out.
TEST(OfferedListTest, EachCallGetsItsOwnList) {
  OfferedLists lists;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 60; ++i) {
        const auto names = NodeNames("n" + std::to_string((thread + i / 3) % 7) + "-", 150);
        const std::string body = Request(names);
        const auto arguments = ReadArguments(body, &lists);
        ASSERT_TRUE(arguments.has_value());
        ASSERT_THAT(arguments->names, ElementsAreArray(names));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/fair_share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace longshore::scaling {
namespace {

using testing::ElementsAre;
using testing::Pair;
using Given = std::map<std::string, int>;

WallTime At(int seconds) { return WallTime(std::chrono::seconds(1'790'000'000 + seconds)); }

struct Case {
  const char* name;
  std::map<std::string, Claim> claims;
  int places;
  Given expected;
};

TEST(FairShareTest, EachPlaceGoesToWhoHasFewest) {
  const Case cases[] = {
      {"nobody", {}, 3, {}},
      {"no places", {{"a", {"s", 0, 2}}}, 0, {}},
      {"fewer than none: a cap that was lowered", {{"a", {"s", 0, 2}}}, -4, {}},
      {"enough for all", {{"a", {"s", 0, 2}}, {"b", {"t", 0, 1}}}, 9, {{"a", 2}, {"b", 1}}},
      {"who has all that it wants gets nothing", {{"a", {"s", 2, 2}}, {"b", {"t", 3, 1}}}, 9, {}},
      {"evenly, and what one does not want is the other's",
       {{"a", {"s", 0, 1}}, {"b", {"t", 0, 9}}, {"c", {"u", 0, 9}}},
       7,
       {{"a", 1}, {"b", 3}, {"c", 3}}},
      {"under its share before over it", {{"a", {"s", 9, 12}}, {"b", {"t", 0, 3}}}, 2, {{"b", 2}}},
      {"sources count first, however many requests they have",
       {{"a1", {"s", 0, 9}}, {"a2", {"s", 0, 9}}, {"b", {"t", 0, 9}}},
       4,
       {{"a1", 1}, {"a2", 1}, {"b", 2}}},
      {"what a source has counts, whichever request has it",
       {{"a1", {"s", 3, 3}}, {"a2", {"s", 0, 9}}, {"b", {"t", 1, 9}}},
       2,
       {{"b", 2}}},
      {"the earliest deadline decides a tie",
       {{"a", {"s", 0, 2}}, {"b", {"t", 0, 2, At(60)}}, {"c", {"u", 0, 2, At(30)}}},
       2,
       {{"b", 1}, {"c", 1}}},
      {"a deadline is no reason to have more",
       {{"a", {"s", 0, 2}}, {"b", {"t", 1, 2, At(60)}}},
       1,
       {{"a", 1}}},
      {"then who has waited longest",
       {{"a", {"s", 0, 2, WallTime::max(), At(9)}}, {"b", {"t", 0, 2, WallTime::max(), At(3)}}},
       1,
       {{"b", 1}}},
      {"then the name, so that every round says the same",
       {{"b", {"t", 0, 2}}, {"a", {"s", 0, 2}}},
       1,
       {{"a", 1}}},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(DivideFairly(one.claims, one.places), one.expected) << one.name;
  }
}

// One place, three that always want it: each gets it once in three rounds.
TEST(FairShareTest, NobodyStarvesWhereThereAreFewerPlacesThanClaims) {
  std::map<std::string, Claim> claims;
  for (const char* name : {"a", "b", "c"}) claims[name] = {name, 0, 1};
  std::map<std::string, int> served;
  for (int round = 1; round <= 30; ++round) {
    const Given given = DivideFairly(claims, 1);
    ASSERT_EQ(given.size(), 1u);
    ++served[given.begin()->first];
    claims[given.begin()->first].since = At(round);
  }
  EXPECT_THAT(served, ElementsAre(Pair("a", 10), Pair("b", 10), Pair("c", 10)));
}

// Max-min: nobody who wants more has less than anybody has beyond one, among equals.
TEST(FairShareTest, NoDivisionGivesThePoorestMore) {
  std::minstd_rand random(7);
  const auto pick = [&](int below) { return static_cast<int>(random() % below); };
  for (int i = 0; i < 2000; ++i) {
    std::map<std::string, Claim> claims;
    for (int c = pick(6); c >= 0; --c) {
      const std::string name(1, static_cast<char>('a' + c));
      claims[name] = {name, 0, pick(9)};
    }
    const int places = pick(20);
    Given given = DivideFairly(claims, places);
    int sum = 0, wanted = 0;
    for (const auto& [name, claim] : claims) {
      sum += given[name], wanted += claim.wants;
      ASSERT_LE(given[name], claim.wants);
      for (const auto& [other, theirs] : claims) {
        if (given[name] < claim.wants) {
          ASSERT_LE(given[other], given[name] + 1) << "round " << i;
        }
      }
    }
    ASSERT_EQ(sum, std::min(places, wanted)) << "a place that somebody wants stays empty";
  }
}

}  // namespace
}  // namespace longshore::scaling

// SPDX-License-Identifier: Apache-2.0
#include "common/base/name_map.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace longshore {
namespace {

TEST(NameMapTest, NumbersNamesInOrderAndFindsThemAgain) {
  NameMap map(3);
  EXPECT_EQ(map.Insert("b"), std::make_pair(0u, true));
  EXPECT_EQ(map.Insert(""), std::make_pair(1u, true));
  EXPECT_EQ(map.Insert("b"), std::make_pair(0u, false));
  EXPECT_EQ(map.Find(""), 1u);
  EXPECT_EQ(map.Find("c"), NameMap::kNone);
  EXPECT_EQ(map.names(), (std::vector<std::string_view>{"b", ""}));
}

TEST(NameMapTest, AnEmptyMapHasNothing) {
  EXPECT_EQ(NameMap().Find("a"), NameMap::kNone);
  EXPECT_EQ(NameMap().Find(""), NameMap::kNone);
}

// Names that differ in any byte of any length, with room for no one more.
TEST(NameMapTest, TellsManyNamesApart) {
  std::vector<std::string> names;
  for (int i = 0; i < 20000; ++i) {
    names.push_back(std::string(static_cast<size_t>(i % 40), 'x') + std::to_string(i));
  }
  NameMap map(names.size());
  for (uint32_t i = 0; i < names.size(); ++i) {
    ASSERT_EQ(map.Insert(names[i]), std::make_pair(i, true)) << names[i];
  }
  for (uint32_t i = 0; i < names.size(); ++i) ASSERT_EQ(map.Find(names[i]), i) << names[i];
  std::vector<std::string_view> asked(names.rbegin(), names.rend());
  asked.push_back("nobody");
  const std::vector<uint32_t> found = map.FindAll(asked);
  ASSERT_EQ(found.size(), asked.size());
  for (uint32_t i = 0; i < names.size(); ++i) ASSERT_EQ(found[i], names.size() - 1 - i);
  EXPECT_EQ(found.back(), NameMap::kNone);
}

// Names count up in their last characters: those must reach the bits that choose the slot.
TEST(NameMapTest, HashesSpread) {
  std::set<uint64_t> slots;
  for (int i = 10000; i < 15000; ++i) {
    slots.insert(HashName("node-" + std::to_string(i)) % 16384);
  }
  EXPECT_GT(slots.size(), 4000u);  // of 5000; by chance 4300
}

// "a\0" is not "a": the length counts.
TEST(NameMapTest, NulsCount) {
  using namespace std::string_view_literals;
  NameMap map(2);
  map.Insert("a"sv);
  EXPECT_EQ(map.Insert("a\0"sv), std::make_pair(1u, true));
}

}  // namespace
}  // namespace longshore

// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "common/api/meta.h"

namespace longshore::api {
namespace {

Condition Ready(const char* status, const char* reason, int64_t generation = 1) {
  return {"Ready", status, reason, "message", "", generation};
}

TEST(SetConditionTest, AddsWithTheTime) {
  std::vector<Condition> conditions;
  EXPECT_TRUE(SetCondition(conditions, Ready("True", "A"), "t1"));
  ASSERT_NE(FindCondition(conditions, "Ready"), nullptr);
  EXPECT_EQ(FindCondition(conditions, "Ready")->last_transition_time, "t1");
  EXPECT_EQ(FindCondition(conditions, "Other"), nullptr);
}

// lastTransitionTime is when the status flipped, whatever the reason does (API conventions).
TEST(SetConditionTest, TimeMovesOnlyWhenTheStatusFlips) {
  std::vector<Condition> conditions;
  SetCondition(conditions, Ready("True", "A"), "t1");
  EXPECT_TRUE(SetCondition(conditions, Ready("True", "B"), "t2"));
  EXPECT_EQ(conditions[0].last_transition_time, "t1");
  EXPECT_EQ(conditions[0].reason, "B");
  EXPECT_TRUE(SetCondition(conditions, Ready("False", "B"), "t3"));
  EXPECT_EQ(conditions[0].last_transition_time, "t3");
}

TEST(SetConditionTest, SayingTheSameAgainIsNoChange) {
  std::vector<Condition> conditions;
  SetCondition(conditions, Ready("True", "A", 1), "t1");
  EXPECT_FALSE(SetCondition(conditions, Ready("True", "A", 2), "t2"));
  EXPECT_EQ(conditions[0].observed_generation, 2);
  EXPECT_EQ(conditions[0].last_transition_time, "t1");
  EXPECT_EQ(conditions.size(), 1u);
}

TEST(SetConditionTest, LeavesOthersAlone) {
  std::vector<Condition> conditions;
  SetCondition(conditions, {"Other", "True", "O", "", "", 0}, "t1");
  SetCondition(conditions, Ready("True", "A"), "t2");
  EXPECT_EQ(FindCondition(conditions, "Other")->last_transition_time, "t1");
}

}  // namespace
}  // namespace longshore::api

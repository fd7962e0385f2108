// SPDX-License-Identifier: Apache-2.0
#include "common/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace longshore {
namespace {

Result<std::unique_ptr<int>> Half(int value) {
  if (value % 2 != 0) return InvalidArgument("odd");
  return std::make_unique<int>(value / 2);
}

Result<int> Quarter(int value) {
  LS_ASSIGN_OR_RETURN(const std::unique_ptr<int> half, Half(value));  // moves what cannot be copied
  LS_ASSIGN_OR_RETURN(const auto quarter, Half(*half));
  return *quarter;
}

Status Check(int value) {
  LS_RETURN_IF_ERROR(Quarter(value));
  return {};
}

TEST(ResultTest, MacrosPassValuesAndErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error().ToString(), "InvalidArgument: odd");
  EXPECT_TRUE(Check(4).has_value());
  EXPECT_EQ(Check(2).error().code, Code::kInvalidArgument);
}

TEST(ResultTest, AnnotateKeepsWhatTheCallerBranchesOn) {
  Error error = Unavailable("away");
  error.retry_after = std::chrono::seconds(3);
  const Error annotated = Annotate(error, "list pods");
  EXPECT_EQ(annotated.code, Code::kUnavailable);
  EXPECT_EQ(annotated.message, "list pods: away");
  EXPECT_EQ(annotated.retry_after, std::chrono::milliseconds(3000));
}

TEST(ResultTest, ErrnoBecomesACode) {
  EXPECT_EQ(ErrnoError(ENOENT, "x").code, Code::kNotFound);
  EXPECT_EQ(ErrnoError(ENOSPC, "x").code, Code::kResourceExhausted);
  EXPECT_EQ(ErrnoError(EACCES, "/a/b").message, "/a/b: Permission denied");
}

TEST(ResultDeathTest, CheckNamesTheCondition) {
  EXPECT_DEATH(LS_CHECK(1 + 1 == 3), "check failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace longshore

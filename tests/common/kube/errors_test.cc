// SPDX-License-Identifier: Apache-2.0
// Status documents as kube-apiserver 1.36 writes them (shortened), and what they mean to us.
#include "common/kube/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::kube {
namespace {

using testing::HasSubstr;

struct ErrorCase {
  const char* name;
  int status;
  const char* body;
  Code code;
  const char* message;
};
class ErrorFromResponseTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(ErrorFromResponseTest, HasTheCodeAndTheServersWords) {
  const ErrorCase& c = GetParam();
  const Error error = ErrorFromResponse({.status = c.status, .body = c.body}, "get pods n/a");
  EXPECT_EQ(error.code, c.code) << error.ToString();
  EXPECT_THAT(error.message, HasSubstr("get pods n/a: "));
  EXPECT_THAT(error.message, HasSubstr(c.message));
}

INSTANTIATE_TEST_SUITE_P(
    Statuses, ErrorFromResponseTest,
    testing::Values(
        ErrorCase{
            "NotFound", 404,
            R"({"kind":"Status","message":"pods \"a\" not found","reason":"NotFound","code":404})",
            Code::kNotFound, "pods \"a\" not found"},
        ErrorCase{
            "AlreadyExists", 409,
            R"({"kind":"Status","message":"pods \"a\" already exists","reason":"AlreadyExists"})",
            Code::kAlreadyExists, "already exists"},
        ErrorCase{"Conflict", 409, R"({"kind":"Status","message":"modified","reason":"Conflict"})",
                  Code::kConflict, "modified"},
        ErrorCase{
            "Invalid", 422,
            R"({"kind":"Status","message":"ComputeRequest \"r\" is invalid: spec.pods.max: must be at least min","reason":"Invalid"})",
            Code::kInvalidArgument, "spec.pods.max: must be at least min"},
        ErrorCase{
            "Forbidden", 403,
            R"({"kind":"Status","message":"pods is forbidden: User \"x\" cannot list","reason":"Forbidden"})",
            Code::kPermissionDenied, "cannot list"},
        ErrorCase{
            "Quota", 403,
            R"({"kind":"Status","message":"pods \"a\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1","reason":"Forbidden","details":{"name":"a","kind":"pods"}})",
            Code::kResourceExhausted, "exceeded quota: q"},
        ErrorCase{
            "Terminating", 403,
            R"({"kind":"Status","message":"unable to create new content in namespace n because it is being terminated","reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating","field":"metadata.namespace"}]}})",
            Code::kFailedPrecondition, "being terminated"},
        ErrorCase{"Unauthorized", 401,
                  R"({"kind":"Status","message":"Unauthorized","reason":"Unauthorized"})",
                  Code::kUnauthenticated, "Unauthorized"},
        ErrorCase{"Expired", 410, R"({"kind":"Status","message":"too old","reason":"Expired"})",
                  Code::kGone, "too old"},
        ErrorCase{"Timeout", 504, R"({"kind":"Status","message":"timeout","reason":"Timeout"})",
                  Code::kDeadlineExceeded, "timeout"},
        ErrorCase{"TooMany", 429,
                  R"({"kind":"Status","message":"later","reason":"TooManyRequests"})",
                  Code::kUnavailable, "later"},
        ErrorCase{"EtcdAway", 500,
                  R"({"kind":"Status","message":"etcdserver: no leader","code":500})",
                  Code::kUnavailable, "no leader"},
        ErrorCase{"UnknownPath", 404, "404 page not found\n", Code::kNotFound,
                  "404 page not found"},
        ErrorCase{"ProxyPage", 502, "<html>\n\x01 Bad\xFFgateway</html>", Code::kUnavailable,
                  "status 502: <html>   Bad gateway</html>"},
        ErrorCase{"StatusWithoutWords", 403, R"({"kind":"Status","reason":"Forbidden"})",
                  Code::kPermissionDenied, "status 403 Forbidden"},
        ErrorCase{"StatusOfOddTypes", 400,
                  R"({"kind":"Status","message":7,"reason":[],"details":"x","code":"y"})",
                  Code::kInvalidArgument, "status 400"},
        ErrorCase{"Empty", 503, "", Code::kUnavailable, "status 503"}),
    [](const auto& info) { return info.param.name; });

TEST(ErrorFromResponseTest, LongBodiesAreCutAndRetryAfterIsPassedOn) {
  const Error error = ErrorFromResponse(
      {.status = 503, .headers = {{"retry-after", " 7 "}}, .body = std::string(5000, 'x')}, "c");
  EXPECT_LT(error.message.size(), 300u);
  EXPECT_EQ(error.retry_after, std::chrono::milliseconds(7000));
}

TEST(ErrorFromStatusTest, TakesRetryAfterFromTheDetails) {
  const Error error = ErrorFromStatus(
      api::Json{{"code", 429}, {"message", "m"}, {"details", {{"retryAfterSeconds", 3}}}}, "watch");
  EXPECT_EQ(error.retry_after, std::chrono::milliseconds(3000));
  EXPECT_EQ(error.message, "watch: m");
}

TEST(RetryAfterTest, IgnoresWhatItCannotUnderstand) {
  for (const char* value : {"", "-1", "soon", "1.5", "99999", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    EXPECT_FALSE(RetryAfter({.headers = {{"retry-after", value}}}).has_value()) << value;
  }
  EXPECT_EQ(RetryAfter({.headers = {{"retry-after", "0"}}}), std::chrono::milliseconds(0));
  EXPECT_FALSE(RetryAfter({}).has_value());
}

}  // namespace
}  // namespace longshore::kube

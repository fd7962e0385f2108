// SPDX-License-Identifier: Apache-2.0
#include "controller/api/auth.h"

#include <gmock/gmock.h>

#include "tests/controller/api/fake_kube.h"

namespace longshore::controller {
namespace {

using testing::HasSubstr;

class ManualClock : public Clock {
 public:
  WallTime Now() const override { return WallTime(now.time_since_epoch()); }
  MonotonicTime Monotonic() const override { return now; }
  MonotonicTime now{std::chrono::hours(1)};
};

class AuthenticatorTest : public testing::Test {
 protected:
  void SetUp() override {
    kube_.AddToken("good", "manager");
    client_ = *kube::Client::Create(kube_.config(), "longshore-test");
    auth_ = std::make_unique<Authenticator>(
        *client_,
        AuthOptions{"longshore-controller", std::chrono::seconds(30), std::chrono::seconds(5)},
        clock_);
  }
  static http::Request WithToken(const std::string& header) {
    http::Request request;
    if (!header.empty()) request.headers["authorization"] = header;
    return request;
  }
  const kube::Access kListPods{.verb = "list", .ns = "backup", .resource = kube::kBackupPods};

  ManualClock clock_;
  FakeKube kube_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<Authenticator> auth_;
};

TEST_F(AuthenticatorTest, TakesABearerTokenWhateverTheCaseOfTheScheme) {
  for (const char* header : {"Bearer good", "bearer good", "BEARER  good "}) {
    const auto user = auth_->Authenticate(WithToken(header));
    ASSERT_TRUE(user.has_value()) << header;
    EXPECT_EQ(user->username, "manager");
  }
}

TEST_F(AuthenticatorTest, RefusesNoTokenAWrongOneAndOtherSchemes) {
  for (const char* header : {"", "Bearer", "Bearer ", "Basic Z29vZA==", "Bearer bad", "good"}) {
    const auto user = auth_->Authenticate(WithToken(header));
    ASSERT_FALSE(user.has_value()) << header;
    EXPECT_EQ(user.error().code, Code::kUnauthenticated);
    EXPECT_THAT(user.error().message, HasSubstr("longshore-controller"));
  }
  const auto user = auth_->Authenticate(WithToken("Bearer " + std::string(20000, 'x')));
  EXPECT_EQ(user.error().code, Code::kUnauthenticated);
}

// A poll each second is one review in thirty; a token that was revoked works no longer than that.
TEST_F(AuthenticatorTest, KeepsTheAnswerForThirtySeconds) {
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(auth_->Authenticate(WithToken("Bearer good")));
  EXPECT_EQ(kube_.token_reviews(), 1);
  clock_.now += std::chrono::seconds(30);
  EXPECT_TRUE(auth_->Authenticate(WithToken("Bearer good")));
  EXPECT_EQ(kube_.token_reviews(), 2);
}

// A flood of made-up tokens costs the cluster few reviews and leaves other callers alone.
TEST_F(AuthenticatorTest, LimitsTheRefusedTokensOfAnAddress) {
  http::Request request = WithToken("Bearer bad");
  request.remote_address = "10.0.0.1";
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(auth_->Authenticate(request).error().code, Code::kUnauthenticated);
  }
  EXPECT_EQ(kube_.token_reviews(), 1);
  for (int i = 0; i < 100; ++i) {
    request.headers["authorization"] = "Bearer bad-" + std::to_string(i);
    (void)auth_->Authenticate(request);
  }
  EXPECT_EQ(kube_.token_reviews(), 20);
  request.headers["authorization"] = "Bearer bad-again";
  const auto limited = auth_->Authenticate(request);
  EXPECT_EQ(limited.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(limited.error().retry_after.has_value());
  request = WithToken("Bearer good");
  request.remote_address = "10.0.0.2";
  EXPECT_TRUE(auth_->Authenticate(request));
}

TEST_F(AuthenticatorTest, KeepsADecisionBrieflyAndApart) {
  kube::UserInfo user;
  user.username = "manager";
  const Status denied = auth_->Allow(user, kListPods);
  ASSERT_FALSE(denied.has_value());
  EXPECT_EQ(denied.error().code, Code::kPermissionDenied);
  EXPECT_THAT(denied.error().message,
              HasSubstr("list backuppods.longshore.dev in namespace backup"));
  kube_.Grant("manager", "list", "backuppods", "backup");
  EXPECT_FALSE(auth_->Allow(user, kListPods).has_value());
  clock_.now += std::chrono::seconds(5);
  EXPECT_TRUE(auth_->Allow(user, kListPods).has_value());
  EXPECT_EQ(kube_.access_reviews(), 2);
  // Another user, verb or namespace is another question.
  user.username = "someone";
  EXPECT_FALSE(auth_->Allow(user, kListPods).has_value());
  EXPECT_EQ(kube_.access_reviews(), 3);
}

// An API server that has just started denies everything for a moment: a manager that follows events
// must not take that for the end of its rights.
TEST_F(AuthenticatorTest, WhatWasAllowedIsDeniedOnlyWhenItStaysSo) {
  kube::UserInfo user;
  user.username = "manager";
  const auto code = [&] {
    const Status allowed = auth_->Allow(user, kListPods);
    return allowed ? std::optional<Code>() : allowed.error().code;
  };
  kube_.Grant("manager", "list", "backuppods", "backup");
  EXPECT_EQ(code(), std::nullopt);
  kube_.Revoke("manager", "list", "backuppods", "backup");
  clock_.now += std::chrono::seconds(5);
  EXPECT_EQ(code(), Code::kUnavailable);
  clock_.now += std::chrono::seconds(2);
  kube_.Grant("manager", "list", "backuppods", "backup");
  EXPECT_EQ(code(), std::nullopt) << "asked anew";
  kube_.Revoke("manager", "list", "backuppods", "backup");
  clock_.now += std::chrono::seconds(60);
  EXPECT_EQ(code(), Code::kUnavailable);
  clock_.now += std::chrono::seconds(5);
  EXPECT_EQ(code(), Code::kPermissionDenied);
  EXPECT_EQ(code(), Code::kPermissionDenied) << "from then on at once";
}

// A client certificate gives a name in a space of its own, and never a group.
TEST_F(AuthenticatorTest, NamesClientCertificatesApart) {
  http::Request request;
  request.peer_common_name = "system:masters";
  const auto user = auth_->Authenticate(request);
  ASSERT_TRUE(user.has_value());
  EXPECT_EQ(user->username, "longshore:system:masters");
  EXPECT_TRUE(user->groups.empty());
}

// An outage is told as one and is over as soon as it is over.
TEST(AuthenticatorOutageTest, DoesNotKeepOutages) {
  kube::Config config;
  config.server = "http://127.0.0.1:9";  // nobody listens there
  const auto client = *kube::Client::Create(config, "longshore-test");
  ManualClock clock;
  Authenticator auth(
      *client, {"longshore-controller", std::chrono::seconds(30), std::chrono::seconds(5)}, clock);
  http::Request request;
  request.headers["authorization"] = "Bearer good";
  EXPECT_EQ(auth.Authenticate(request).error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace longshore::controller

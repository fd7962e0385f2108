// SPDX-License-Identifier: Apache-2.0
#include "controller/token_reviewer.h"

#include <gmock/gmock.h>

#include "tests/common/base/fake_clock.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Tokens that begin with "good" are of users, "away" is an outage, the rest is refused.
class TokenReviewerTest : public testing::Test {
 protected:
  Result<kube::UserInfo> Review(const std::string& token) {
    ++reviews;
    if (token.starts_with("away")) return Unavailable("no answer");
    if (!token.starts_with("good")) return Error{Code::kUnauthenticated, "says the cluster"};
    kube::UserInfo user;
    user.username = token;
    return user;
  }
  Code Ask(const std::string& token, const std::string& address = "a") {
    const auto user = reviewer.Ask(token, address);
    return user ? Code::kInternal : user.error().code;  // kInternal: good
  }
  // How many of these are answered by the cluster.
  int Flood(int tokens, const std::string& address, const std::string& with = "bad") {
    const int before = reviews;
    for (int i = 0; i < tokens; ++i) Ask(with + std::to_string(next++), address);
    return reviews - before;
  }
  static TokenLimits Limits() {
    TokenLimits limits;
    limits.kept = 50;
    limits.addresses = 4;
    return limits;
  }

  FakeClock clock;
  metrics::Registry registry;
  int reviews = 0, next = 0;
  TokenReviewer reviewer{[this](const std::string& token) { return Review(token); }, Limits(),
                         clock, &registry, "test"};
};

TEST_F(TokenReviewerTest, KeepsGoodAnswersForThirtySecondsAndBadOnesForTen) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask("good"), Code::kInternal);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask("bad"), Code::kUnauthenticated);
  EXPECT_EQ(reviews, 2);
  EXPECT_EQ(reviewer.Known("good")->value().username, "good");
  EXPECT_EQ(reviewer.Known("bad")->error().code, Code::kUnauthenticated);
  EXPECT_FALSE(reviewer.Known("another"));
  clock.Advance(seconds(10));
  EXPECT_FALSE(reviewer.Known("bad"));
  clock.Advance(seconds(20));
  EXPECT_FALSE(reviewer.Known("good"));
}

TEST_F(TokenReviewerTest, AnAddressMayBeRefusedSoOftenAndIsToldWhenToComeAgain) {
  EXPECT_EQ(Flood(100, "a"), 20);
  const auto limited = reviewer.Ask("bad-again", "a");
  EXPECT_EQ(limited.error().code, Code::kResourceExhausted);
  EXPECT_EQ(limited.error().retry_after, milliseconds(100));
  EXPECT_EQ(Ask("good-elsewhere", "b"), Code::kInternal);
  clock.Advance(seconds(1));
  EXPECT_EQ(Flood(100, "a"), 10);
  const std::string metrics = registry.Text();
  EXPECT_THAT(metrics,
              testing::HasSubstr("longshore_controller_token_reviews_total{door=\"test\"} 31"));
  EXPECT_THAT(metrics,
              testing::HasSubstr("longshore_controller_tokens_turned_away_total{door=\"test\","
                                 "why=\"TooMany\"} 171"));
}

// Many honest peers behind one address, and an outage, are no flood.
TEST_F(TokenReviewerTest, OnlyRefusalsCount) {
  EXPECT_EQ(Flood(40, "a", "good"), 40);
  EXPECT_EQ(Flood(100, "a", "away"), 100);
  EXPECT_EQ(Ask("away"), Code::kUnavailable);
}

// A flood through the same address (a proxy, a node's) leaves those alone who were known before.
TEST_F(TokenReviewerTest, TokenThatWasGoodIsAskedAboutInAFlood) {
  EXPECT_EQ(Ask("good"), Code::kInternal);
  clock.Advance(seconds(31));
  EXPECT_EQ(Flood(100, "a"), 20);
  EXPECT_EQ(Ask("good"), Code::kInternal);
  clock.Advance(seconds(3601));
  EXPECT_EQ(Flood(100, "a"), 20);
  EXPECT_EQ(Ask("good"), Code::kResourceExhausted);
}

// Bounded, and neither refused tokens nor addresses without number push others out.
TEST_F(TokenReviewerTest, FloodsFromEverywhereShareOneAllowance) {
  EXPECT_EQ(Ask("good"), Code::kInternal);
  int asked = 0;
  for (int i = 0; i < 100; ++i) asked += Flood(5, "address-" + std::to_string(i));
  EXPECT_LE(asked, 5 * 20);
  EXPECT_EQ(reviewer.Known("good")->value().username, "good");
  clock.Advance(seconds(3));
  EXPECT_EQ(Ask("good-later", "c"), Code::kInternal) << "who has refilled makes room";
}

}  // namespace
}  // namespace longshore::controller

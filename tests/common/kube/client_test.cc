// SPDX-License-Identifier: Apache-2.0
// What is tried again and what is not, tokens that rotate, and the pool.
#include "common/kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/files.h"
#include "common/base/strings.h"
#include "common/kube/transport.h"
#include "tests/common/base/fake_clock.h"
#include "tests/common/kube/fake_api.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kPath[] = "/api/v1/namespaces/n/configmaps";

// A Transport that records how long it would have slept.
class TransportTest : public testing::Test {
 protected:
  TransportTest() {
    TransportOptions options;
    options.sleep = [this](milliseconds duration) { slept_.push_back(duration); };
    transport_ = *Transport::Create(api_.config(), "longshore-test", options);
  }
  // The status of one call, or of its error.
  int Send(const char* method) {
    http::ClientRequest request{.method = method, .path = std::string(kPath) + "/a"};
    const auto response = transport_->Send(request);
    return response.has_value() ? response->status : -1;
  }
  void Queue(int count, const http::Response& response) {
    for (int i = 0; i < count; ++i) api_.OnCall(response);
  }

  FakeApi api_;
  std::vector<milliseconds> slept_;
  std::unique_ptr<Transport> transport_;
};

TEST_F(TransportTest, AnyVerbIsTriedAgainWhenTheServerSaysWhen) {
  for (const char* method : {"GET", "PUT", "PATCH", "DELETE"}) {
    slept_.clear();
    Queue(1, RetryLater(429, 2));
    Queue(1, RetryLater(503, 0));
    Queue(1, {.status = 200});
    EXPECT_EQ(Send(method), 200) << method;
    ASSERT_EQ(slept_.size(), 2u);
    EXPECT_GE(slept_[0], seconds(2));
    EXPECT_LE(slept_[0], milliseconds(2100));
    EXPECT_LE(slept_[1], milliseconds(100));
  }
}

// The write may have happened: only its caller knows whether it may happen twice.
TEST_F(TransportTest, WritesAreNotTriedAgainOtherwise) {
  for (const char* method : {"PUT", "PATCH", "DELETE"}) {
    const size_t before = api_.asked().size();
    Queue(1, Refusal(500, "InternalError"));
    EXPECT_EQ(Send(method), 500);
    EXPECT_EQ(api_.asked().size(), before + 1) << method;
  }
  EXPECT_TRUE(slept_.empty());
}

TEST_F(TransportTest, ReadsAreTriedAgainWithBackoffButNotForEver) {
  Queue(2, Refusal(500, "InternalError"));
  Queue(1, {.status = 200});
  EXPECT_EQ(Send("GET"), 200);
  ASSERT_EQ(slept_.size(), 2u);
  EXPECT_GE(slept_[1], milliseconds(100));
  EXPECT_EQ(Send("GET"), 500);  // nothing queued: 500 for ever
  EXPECT_EQ(api_.asked().size(), 3u + 4u);
}

TEST_F(TransportTest, RefusalsAreAnswersNotReasonsToTryAgain) {
  for (const int status : {400, 403, 404, 409, 410, 422}) {
    Queue(1, Refusal(status, "x"));
    EXPECT_EQ(Send("GET"), status);
  }
  EXPECT_TRUE(slept_.empty());
}

TEST_F(TransportTest, EndlessThrottlingEnds) {
  Queue(20, RetryLater(429, 1));
  EXPECT_EQ(Send("PATCH"), 429);
  EXPECT_EQ(slept_.size(), 5u);
}

TEST_F(TransportTest, LongRetryAfterIsTheCallersToWait) {
  Queue(1, RetryLater(429, 60));
  EXPECT_EQ(Send("GET"), 429);
  EXPECT_TRUE(slept_.empty());
}

TEST_F(TransportTest, ReadsFromAServerThatIsAwayFailAsUnavailable) {
  Config config = api_.config();
  config.server = "http://127.0.0.1:1";
  TransportOptions options;
  options.sleep = [this](milliseconds duration) { slept_.push_back(duration); };
  const auto away = *Transport::Create(config, "longshore-test", options);
  const auto read = away->Send({.path = "/api"});
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Code::kUnavailable);
  EXPECT_EQ(slept_.size(), 3u);
  slept_.clear();
  EXPECT_FALSE(away->Send({.method = "POST", .path = "/api"}).has_value());
  EXPECT_TRUE(slept_.empty());
}

// Callers beyond the number of connections wait for one, and Cancel wakes all of them.
TEST_F(TransportTest, PoolIsBoundedAndCancelWakesWhoWaits) {
  for (int i = 0; i < 8; ++i) api_.OnCall(WatchThatStays(""));
  TransportOptions options;
  options.connections = 2;
  const auto small = *Transport::Create(api_.config(), "longshore-test", options);
  std::atomic<int> ended{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      const auto response = small->Send({.path = std::string(kPath) + "/a"});
      EXPECT_FALSE(response.has_value());
      ++ended;
    });
  }
  ASSERT_TRUE(api_.Wait(2));
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(api_.asked().size(), 2u);
  EXPECT_EQ(ended, 0);
  small->Cancel();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(api_.asked().size(), 2u);
  EXPECT_EQ(small->Send({.path = kPath}).error().code, Code::kCancelled);
}

TEST(TransportCreateTest, UnusableConfigurationShowsAtOnce) {
  Config config;
  config.server = "https://127.0.0.1:6443";
  config.ca_pem = "not a certificate";
  const auto made = Transport::Create(config, "longshore-test");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, Code::kInvalidArgument);
}

class TokenTest : public testing::Test {
 protected:
  TokenTest() { Write("first\n"); }
  ~TokenTest() override { std::filesystem::remove(file_); }
  void Write(const std::string& token) {
    ASSERT_TRUE(WriteFileAtomically(file_, token).has_value());
  }
  Config WithFile(Config config = {}) {
    config.token_file = file_;
    return config;
  }
  const std::string file_ = testing::TempDir() + "longshore-token-" + RandomId(8);
  FakeClock clock_;
};

TEST_F(TokenTest, FileIsReadAgainAfterAMinute) {
  TokenSource source(WithFile(), clock_);
  EXPECT_EQ(*source.Get(), "first");
  Write("second");
  clock_.Advance(seconds(59));
  EXPECT_EQ(*source.Get(), "first");
  clock_.Advance(seconds(2));
  EXPECT_EQ(*source.Get(), "second");
}

TEST_F(TokenTest, UnreadableFileKeepsTheLastToken) {
  TokenSource source(WithFile(), clock_);
  EXPECT_EQ(*source.Get(), "first");
  std::filesystem::remove(file_);
  clock_.Advance(seconds(120));
  EXPECT_EQ(*source.Get(), "first");
  TokenSource never(WithFile(), clock_);
  EXPECT_EQ(never.Get().error().code, Code::kNotFound);
}

TEST_F(TokenTest, RefusedTokenIsReplacedOnceAndAnyVerbGoesOn) {
  FakeApi api;
  api.Require("second");
  const auto client = *Client::Create(WithFile(api.config()), "longshore-test");
  EXPECT_EQ(client->Delete(kConfigMaps, "n", "a").error().code, Code::kUnauthenticated);
  EXPECT_EQ(api.asked().size(), 1u);  // the same token again would only be refused again
  Write("second");
  api.OnCall({.status = 200, .body = "{}"});
  EXPECT_TRUE(client->Delete(kConfigMaps, "n", "a").has_value());
  EXPECT_EQ(api.asked().size(), 3u);
}

class ClientTest : public testing::Test {
 protected:
  FakeApi api_;
  std::unique_ptr<Client> client_ = *Client::Create(api_.config(), "longshore-test");
};

TEST_F(ClientTest, ErrorsSayWhatWasTriedAndWhatTheServerSaid) {
  api_.OnCall(Refusal(409, "Conflict", "the object has been modified"));
  const auto patched = client_->Patch(kConfigMaps, "n", "a", PatchType::kMerge, Json::object());
  ASSERT_FALSE(patched.has_value());
  EXPECT_EQ(patched.error().ToString(),
            "Conflict: patch configmaps n/a: the object has been modified");
}

// What we may not ask is not what somebody else may not do.
TEST_F(ClientTest, ReviewThatIsRefusedToUsRefusesNobody) {
  UserInfo user;
  user.username = "manager";
  const Access access{.verb = "list", .ns = "n", .name = "", .subresource = "", .resource = kPods};
  for (const int status : {401, 403}) {
    for (int i = 0; i < 2; ++i) api_.OnCall(Refusal(status, "Forbidden", "not yet"));
    const Status allowed = CheckAccess(*client_, user, access);
    ASSERT_FALSE(allowed.has_value());
    EXPECT_EQ(allowed.error().code, Code::kUnavailable);
    EXPECT_THAT(allowed.error().message, HasSubstr("does not let us ask"));
    const auto who = ReviewToken(*client_, "token", {"audience"});
    ASSERT_FALSE(who.has_value());
    EXPECT_EQ(who.error().code, Code::kUnavailable);
  }
}

TEST_F(ClientTest, AnswerThatIsNoJsonIsAnErrorOfTheServer) {
  for (const char* body : {"", "<html>", "[]", "\"x\""}) {
    api_.OnCall({.body = body});
    const auto got = client_->Get(kConfigMaps, "n", "a");
    ASSERT_FALSE(got.has_value()) << body;
    EXPECT_EQ(got.error().code, Code::kUnavailable);
  }
}

TEST_F(ClientTest, ListNeverTakesAnErrorForAnEmptyList) {
  api_.OnList({.body = R"({"kind": "Status", "status": "Success"})"});
  EXPECT_FALSE(client_->List(kConfigMaps, "n").has_value());
  api_.OnList({.body = R"({"metadata": {"resourceVersion": "5"}, "items": null})"});
  const auto empty = client_->List(kConfigMaps, "n");
  ASSERT_TRUE(empty.has_value()) << empty.error().ToString();
  EXPECT_TRUE(empty->items.empty());
  EXPECT_EQ(empty->resource_version, "5");
}

TEST(ResourcePathTest, IsTheServersForm) {
  EXPECT_EQ(ResourcePath(kPods, "n", "p", "status"), "/api/v1/namespaces/n/pods/p/status");
  EXPECT_EQ(ResourcePath(kPods, ""), "/api/v1/pods");
  EXPECT_EQ(ResourcePath(kNodes, "ignored", "a"), "/api/v1/nodes/a");
  EXPECT_EQ(ResourcePath(kOperations, "n"), "/apis/longshore.dev/v1alpha1/namespaces/n/operations");
  EXPECT_EQ(ResourcePath(kConfigMaps, "n", "a?b c"), "/api/v1/namespaces/n/configmaps/a%3Fb%20c");
}

}  // namespace
}  // namespace longshore::kube

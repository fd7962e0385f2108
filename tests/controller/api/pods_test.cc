// SPDX-License-Identifier: Apache-2.0
// /v1/pods over HTTP: what is available, and taking one.
#include <atomic>
#include <thread>

#include "tests/controller/api/api_fixture.h"

namespace longshore::controller {
namespace {

using testing::HasSubstr;

class PodsTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    PutRequest("req-1");
  }
  Reply Acquire(const std::string& key, int wait = 0, const std::string& request = "req-1") {
    return Post("/v1/pods:acquire",
                {{"namespace", "backup"}, {"request", request}, {"waitSeconds", wait}}, key);
  }
  Reply Release(const std::string& pod) {
    return Post("/v1/pods/backup/" + pod + ":release", Json::object());
  }
};

TEST_F(PodsTest, ListsRowsWithFreshUsage) {
  PutPod("lsp-a");
  PutPod("lsp-b", "Provisioning");
  live_.usage["pod-lsp-a"] = {{"t", {{"cpu", 412.4}, {"memory", 104857600}}, 900}};
  live_.usage["pod-lsp-b"] = {{"t", {{"cpu", 1}}, 6000}};
  const Reply all = Get("/v1/pods?namespace=backup");
  ASSERT_EQ(all.status, 200);
  const Json& first = all.body.at("items")[0];
  EXPECT_EQ(first.at("usage").at("cpu"), "412m");
  EXPECT_EQ(first.at("usage").at("memory"), "104857600");
  EXPECT_EQ(first.at("node"), "node-1");
  EXPECT_TRUE(all.body.at("items")[1].at("usage").is_null()) << "stale usage is unknown, not shown";
  const Reply available = Get("/v1/pods?namespace=backup&request=req-1&state=Available");
  ASSERT_EQ(available.body.at("items").size(), 1u);
  EXPECT_THAT(Get("/v1/pods?namespace=backup&state=Idle").detail(), HasSubstr("Available"));
  const Reply twice = Get("/v1/pods?namespace=backup&state=Available&state=Assigned");
  EXPECT_EQ(twice.status, 400);
  EXPECT_EQ(twice.detail(), "query parameter state: is given more than once; give it once");
}

TEST_F(PodsTest, AcquiresTheNearestAndBumpsTheEpoch) {
  PutPod("lsp-a", "Available", "Zone");
  PutPod("lsp-b", "Available", "Node");
  const Reply got = Acquire("k1");
  ASSERT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.body.at("pod"), "lsp-b");
  EXPECT_EQ(got.body.at("epoch"), 4);
  EXPECT_EQ(got.body.at("endpoint").at("pathway"), "Relay");
  const Json status = kube_.Get("backuppods", "backup", "lsp-b").at("status");
  EXPECT_EQ(status.at("state"), "Assigned");
  EXPECT_EQ(status.at("epoch"), 4);
  EXPECT_EQ(status.at("lease").at("holder"), "manager");
  EXPECT_EQ(status.at("lease").at("epoch"), 4);
  // The list shows who holds it, but not the key.
  const Json listed = Get("/v1/pods?namespace=backup&state=Assigned").body.at("items")[0];
  EXPECT_EQ(listed.at("lease").at("holder"), "manager");
  EXPECT_FALSE(listed.at("lease").contains("key"));
}

// Rows are read by many with kubectl: the key that gets the answer again is not in them.
TEST_F(PodsTest, TheKeyIsNotInTheRow) {
  PutPod("lsp-a");
  ASSERT_EQ(Acquire("predictable-key").status, 200);
  EXPECT_EQ(kube_.Get("backuppods", "backup", "lsp-a").dump().find("predictable-key"),
            std::string::npos);
}

// Four may wait in all (api_fixture.h): a user who waits with all of his keeps nobody else from it,
// and nobody from what needs no waiting.
TEST_F(PodsTest, OneUsersWaitingLeavesPlacesForOthers) {
  kube_.AddToken("patient", "patient");
  std::vector<std::thread> waiting;
  std::atomic<int> refused{0};
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back([&] {
      const auto client = NewClient();
      const auto reply = client->Send({.path = "/v1/events?after=now&wait=4",
                                       .headers = {{"Authorization", "Bearer patient"}}});
      if (reply && reply->status == 503) ++refused;
    });
  }
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(refused, 2);
  PutPod("lsp-a");
  EXPECT_EQ(Acquire("k1", 1).status, 200);
  EXPECT_EQ(Get("/v1/events?after=now").status, 200);
  for (std::thread& thread : waiting) thread.join();
}

TEST_F(PodsTest, TheSameKeyGetsTheSamePod) {
  PutPod("lsp-a");
  PutPod("lsp-b");
  const Reply first = Acquire("k1");
  const Reply again = Acquire("k1");
  EXPECT_EQ(again.body, first.body);
  EXPECT_NE(Acquire("k2").body.at("pod"), first.body.at("pod"));
  PutRequest("req-2");
  EXPECT_EQ(Acquire("k1", 0, "req-2").status, 409);
}

// Somebody was faster: the row in the API is newer than what the informer shows.
TEST_F(PodsTest, ALostRaceTakesTheNextPod) {
  PutPod("lsp-a");
  PutPod("lsp-b");
  Json taken = kube_.Get("backuppods", "backup", "lsp-a");
  taken["status"]["state"] = "Assigned";
  kube_.Put("backuppods", "backup", taken);  // not seen by the informer yet
  const Reply got = Acquire("k1");
  ASSERT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.body.at("pod"), "lsp-b");
}

TEST_F(PodsTest, OffersNothingThatIsBusyGoneOrSilent) {
  PutPod("lsp-a", "Assigned");
  PutPod("lsp-b", "Draining");
  PutPod("lsp-c");
  live_.SetWorkerAge("pod-lsp-c", 4000);
  PutPod("lsp-d", "Available", "Node", "another-request");
  const Reply none = Acquire("k1");
  EXPECT_EQ(none.status, 408);
  EXPECT_EQ(none.body.at("code"), "DeadlineExceeded");
  EXPECT_THAT(none.detail(), HasSubstr("1 Assigned, 1 Available, 1 Draining"));
}

TEST_F(PodsTest, WaitsUntilOneBecomesAvailable) {
  PutPod("lsp-a", "Provisioning");
  std::jthread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    PutPod("lsp-a", "Available");
  });
  const Reply got = Acquire("k1", 20);
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.body.at("pod"), "lsp-a");
}

TEST_F(PodsTest, ChecksWhatIsAcquired) {
  EXPECT_EQ(Acquire("k1", 0, "none").status, 404);
  EXPECT_THAT(Acquire("k1", 61).detail(), HasSubstr("waitSeconds: must be from 0 to 60"));
  EXPECT_THAT(Acquire("").detail(), HasSubstr("Idempotency-Key"));
}

TEST_F(PodsTest, AcquiringIsARightOfItsOwn) {
  PutPod("lsp-a");
  kube_.Revoke(kUser, "acquire", "backuppods", "backup");
  EXPECT_THAT(Acquire("k1").detail(), HasSubstr("may not acquire backuppods"));
}

TEST_F(PodsTest, OnlyItsHolderReleasesAndRepeatingIsHarmless) {
  PutPod("lsp-a");
  ASSERT_EQ(Acquire("k1").status, 200);
  kube_.Grant("other", "acquire", "backuppods", "backup");
  const Reply stranger =
      Call("POST", "/v1/pods/backup/lsp-a:release", "", {{"Authorization", "Bearer powerless"}});
  EXPECT_EQ(stranger.status, 403);
  const Reply released = Release("lsp-a");
  ASSERT_EQ(released.status, 200) << released.body;
  EXPECT_EQ(released.body.at("state"), "Available");
  EXPECT_TRUE(released.body.at("lease").is_null());
  EXPECT_EQ(Release("lsp-a").status, 200);
  const auto page = events_.Read("", std::chrono::milliseconds(0));
  ASSERT_EQ(page->announcements.size(), 1u) << "announced once";
  EXPECT_EQ(page->announcements[0].data.at("cause"), "Released");
}

TEST_F(PodsTest, DoesNotReleaseAPodThatRunsAnOperation) {
  Json pod = PutPod("lsp-a", "Assigned");
  pod["status"]["lease"] = {{"holder", "manager"}, {"operation", "op-1"}, {"epoch", 4}};
  kube_.Put("backuppods", "backup", pod);
  const Reply reply = Release("lsp-a");
  EXPECT_EQ(reply.status, 409);
  EXPECT_THAT(reply.detail(), HasSubstr("runs operation op-1"));
}

// Waiting callers must not keep the others from being served.
TEST_F(PodsTest, BoundsHowManyWait) {
  // Three users with two calls each: none has more than his own share.
  for (const char* user : {"user-0", "user-1", "user-2"}) {
    kube_.AddToken(user, user);
    kube_.Grant(user, "acquire", "backuppods", "backup");
  }
  std::vector<std::jthread> waiting;
  std::atomic<int> refused = 0, timed_out = 0;
  for (int i = 0; i < 6; ++i) {
    waiting.emplace_back([&, i] {
      http::ClientOptions options;
      options.base_url = "http://127.0.0.1:" + std::to_string(server_->port());
      const auto client = *http::Client::Create(options);
      http::ClientRequest request;
      request.method = "POST";
      request.path = "/v1/pods:acquire";
      request.body = R"({"namespace":"backup","request":"req-1","waitSeconds":2})";
      request.headers = {{"Authorization", "Bearer user-" + std::to_string(i % 3)},
                         {"Idempotency-Key", "k" + std::to_string(i)}};
      const auto response = client->Send(request);
      if (response && response->status == 503) ++refused;
      if (response && response->status == 408) ++timed_out;
    });
  }
  waiting.clear();
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(timed_out, 4);
}

}  // namespace
}  // namespace longshore::controller

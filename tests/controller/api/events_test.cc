// SPDX-License-Identifier: Apache-2.0
// /v1/events over HTTP: pages, waiting, streams, and who sees what.
#include <thread>

#include "tests/controller/api/api_fixture.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class EventsTest : public ApiTest {
 protected:
  void Announce(const std::string& ns, const std::string& type = "PodsAvailable") {
    events_.Append(type, ns, "req-1", "orders", {{"cause", "Requested"}});
  }
};

TEST_F(EventsTest, PagesResumeAfterTheirCursor) {
  Announce("backup");
  Announce("backup");
  const Reply first = Get("/v1/events");
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.body.at("events").size(), 2u);
  EXPECT_EQ(first.body.at("events")[0].at("namespace"), "backup");
  EXPECT_EQ(first.body.at("events")[0].at("data").at("cause"), "Requested");
  Announce("backup", "PodLost");
  const Reply next = Get("/v1/events?after=" + first.body.at("cursor").get<std::string>());
  ASSERT_EQ(next.body.at("events").size(), 1u);
  EXPECT_EQ(next.body.at("events")[0].at("type"), "PodLost");
}

// A list carries the cursor to go on from, so that nothing falls between list and events.
TEST_F(EventsTest, AListsCursorGoesOnFromTheList) {
  Announce("backup");
  const std::string cursor = Get("/v1/requests?namespace=backup").body.at("cursor");
  EXPECT_TRUE(Get("/v1/events?after=" + cursor).body.at("events").empty());
  Announce("backup");
  EXPECT_EQ(Get("/v1/events?after=" + cursor).body.at("events").size(), 1u);
}

TEST_F(EventsTest, WaitsForTheFirst) {
  std::jthread later([this] {
    std::this_thread::sleep_for(milliseconds(150));
    Announce("elsewhere");  // not for this caller: it goes on waiting
    std::this_thread::sleep_for(milliseconds(150));
    Announce("backup");
  });
  const Reply reply = Get("/v1/events?after=now&wait=20");
  ASSERT_EQ(reply.body.at("events").size(), 1u);
  EXPECT_EQ(reply.body.at("events")[0].at("namespace"), "backup");
}

TEST_F(EventsTest, ShowsOnlyWhatTheCallerMayList) {
  Announce("elsewhere");
  Announce("backup");
  EXPECT_EQ(Get("/v1/events").body.at("events").size(), 1u);
  EXPECT_EQ(Get("/v1/events?namespace=elsewhere").status, 403);
  kube_.AddToken("all", "auditor");
  kube_.Grant("auditor", "list", "computerequests", "");
  const Reply all = Call("GET", "/v1/events", "", {{"Authorization", "Bearer all"}});
  EXPECT_EQ(all.body.at("events").size(), 2u);
  const Reply none = Call("GET", "/v1/events", "", {{"Authorization", "Bearer powerless"}});
  EXPECT_EQ(none.status, 200);
  EXPECT_TRUE(none.body.at("events").empty());
}

TEST_F(EventsTest, RefusesBadAndOldCursors) {
  EXPECT_EQ(Get("/v1/events?after=nonsense").status, 400);
  EXPECT_EQ(Get("/v1/events?after=anotherlog-5").status, 410);
  EXPECT_EQ(Get("/v1/events?after=" + std::string(300, 'a')).status, 400);
  EXPECT_THAT(Get("/v1/events?wait=soon").detail(), HasSubstr("wait: expected a whole number"));
}

TEST_F(EventsTest, StreamsAndEndsWithTheServer) {
  Announce("backup");
  http::ClientRequest request;
  request.path = "/v1/events";
  request.headers = {{"Authorization", "Bearer good"}, {"Accept", "text/event-stream"}};
  std::string received;
  std::jthread later([this] {
    std::this_thread::sleep_for(milliseconds(200));
    Announce("elsewhere");
    Announce("backup", "PodLost");
  });
  const auto done = http_->Stream(request, [&](std::string_view bytes) {
    received += bytes;
    return received.find("PodLost") == std::string::npos ||
           !received.ends_with("\n\n");  // until the second event is complete
  });
  EXPECT_EQ(done.error().code, Code::kCancelled);
  EXPECT_THAT(received, HasSubstr("event: PodsAvailable\nid: "));
  EXPECT_THAT(received, HasSubstr("\ndata: {"));
  EXPECT_THAT(received, HasSubstr("event: PodLost"));
  EXPECT_THAT(received, testing::Not(HasSubstr("elsewhere")));

  const auto start = std::chrono::steady_clock::now();
  std::jthread open([&] {
    http::ClientOptions options;
    options.base_url = "http://127.0.0.1:" + std::to_string(server_->port());
    const auto client = *http::Client::Create(options);
    static_cast<void>(client->Stream(request, [](std::string_view) { return true; }));
  });
  std::this_thread::sleep_for(milliseconds(100));
  server_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
}

}  // namespace
}  // namespace longshore::controller

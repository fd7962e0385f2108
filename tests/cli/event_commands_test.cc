// SPDX-License-Identifier: Apache-2.0
//
// Events, as a page and followed.
#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::HasSubstr;

TEST_F(CliTest, EventsAreAPageForPrograms) {
  const Json page = {{"events",
                      {{{"time", "2026-01-01T00:00:00.123456Z"},
                        {"type", "PodsAvailable"},
                        {"request", "req-1"},
                        {"source", "orders"},
                        {"data", {{"pods", {"a", "b"}}, {"cause", "Requested"}}}}}},
                     {"cursor", "log-7"}};
  api_.On("GET /v1/events", page);
  EXPECT_EQ(Longshore("events --after now -o json"), 0);
  EXPECT_EQ(*api::ParseJson(out_.str()), page);
  EXPECT_EQ(Longshore("events --after log-3"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("2026-01-01T00:00:00.123  PodsAvailable  req-1    orders  "
                                    "cause=Requested pods=a,b\n"));
  EXPECT_THAT(err_.str(), HasSubstr("--after log-7"));
}

// Objects in events are told in words: progress with rate, a copy by its id, samples by signal.
TEST_F(CliTest, EventsTellObjectsInWords) {
  const auto event = [](const Json& data) { return Json{{"type", "T"}, {"data", data}}; };
  api_.On("GET /v1/events",
          {{"events",
            {event({{"progress",
                     {{"phase", "Copying"},
                      {"bytesDone", 30 << 20},
                      {"bytesTotal", 60 << 20},
                      {"bytesPerSecond", 5 << 20},
                      {"etaSeconds", 6}}}}),
             event({{"copy", {{"bytes", 7}, {"dataSnapshot", "0123"}, {"id", "copy-1"}}}}),
             event({{"error", {{"class", "Mismatch"}, {"message", "public.item"}}}}),
             event({{"inputs",
                     {{{"pod", "lsp-a"},
                       {"signal", "cpu"},
                       {"value", "1m"},
                       {"threshold", "30m"},
                       {"samples", 16}}}},
                    {"time", "2026-01-01T00:00:00Z"},
                    {"to", 3}})}},
           {"cursor", "log-7"}});
  EXPECT_EQ(Longshore("events"), 0) << err_.str();
  for (const char* text : {"progress=Copying, 30.0 MiB of 60.0 MiB (50%), 5.0 MiB/s, 6s left\n",
                           "copy=copy-1\n", "error=Mismatch: public.item\n",
                           "inputs=lsp-a cpu 1m (threshold 30m, 16 samples) to=3\n"}) {
    EXPECT_THAT(out_.str(), HasSubstr(text));
  }
}

TEST_F(CliTest, FollowedEventsGoOnAfterTheirCursor) {
  const auto page = [](const std::string& type, const std::string& cursor) {
    return Json{{"events", {{{"type", type}}}}, {"cursor", cursor}};
  };
  api_.On("GET /v1/events", page("A", "log-1"));
  api_.On("GET /v1/events", {{"detail", "away"}}, 503);  // a restart in between is waited out
  api_.On("GET /v1/events", page("B", "log-2"));
  sleeps_left_ = 3;
  EXPECT_EQ(Longshore("events --follow -o json"), 130);
  EXPECT_EQ(out_.str(), "{\"type\":\"A\"}\n{\"type\":\"B\"}\n");
  EXPECT_EQ(api_.lines().at(2), "GET /v1/events?after=log-1&namespace=backup&wait=5");
  EXPECT_THAT(err_.str(), HasSubstr("--after log-2"));
}

// In pieces, each of which a server that has vanished can hold up for a few seconds only.
TEST_F(CliTest, ALongWaitForEventsIsManyShortOnes) {
  api_.On("GET /v1/events", {{"events", Json::array()}, {"cursor", "log-1"}});
  api_.On("GET /v1/events", {{"events", Json::array()}, {"cursor", "log-1"}});
  api_.On("GET /v1/events", {{"events", Json::array()}, {"cursor", "log-2"}});
  EXPECT_EQ(Longshore("events --wait 12s"), 0) << err_.str();
  EXPECT_THAT(err_.str(), HasSubstr("--after log-2"));
  ASSERT_EQ(api_.lines().size(), 3u);
  EXPECT_THAT(api_.lines().at(0), HasSubstr("wait=5"));
  EXPECT_EQ(api_.lines().at(2), "GET /v1/events?after=log-1&namespace=backup&wait=2");
}

}  // namespace
}  // namespace longshore::cli

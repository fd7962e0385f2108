// SPDX-License-Identifier: Apache-2.0
#include "common/daemon/health_server.h"

#include <gtest/gtest.h>

#include <atomic>

#include "common/http/client.h"

namespace longshore::daemon {
namespace {

class HealthServerTest : public ::testing::Test {
 protected:
  std::string Get(const HealthServer& server, const std::string& path, int status) {
    http::ClientOptions options;
    options.base_url = "http://127.0.0.1:" + std::to_string(server.port());
    const auto client = http::Client::Create(options);
    EXPECT_TRUE(client.has_value());
    http::ClientRequest request;
    request.path = path;
    const auto response = (*client)->Send(request);
    EXPECT_TRUE(response.has_value());
    if (!response.has_value()) return "";
    EXPECT_EQ(response->status, status) << path;
    return response->body;
  }
};

// Whoever looks at a pod that isn't ready learns why.
TEST_F(HealthServerTest, SaysWhyItIsUnready) {
  std::atomic<bool> ready{false};
  HealthServer server(0, {.stuck = {},
                          .unready = [&] { return std::string(ready ? "" : "not listed yet"); },
                          .metrics = [] { return std::string("a_total 1\n"); }});
  ASSERT_TRUE(server.Start().has_value());
  EXPECT_EQ(Get(server, "/readyz", 503), "not listed yet\n");
  EXPECT_EQ(Get(server, "/healthz", 200), "ok\n");
  EXPECT_EQ(Get(server, "/metrics", 200), "a_total 1\n");
  ready = true;
  EXPECT_EQ(Get(server, "/readyz", 200), "ok\n");
}

// The kubelet restarts what answers 503 at /healthz.
TEST_F(HealthServerTest, SaysWhyItIsStuck) {
  HealthServer server(0, {.stuck = [] { return std::string("the loop is stuck"); },
                          .unready = {},
                          .metrics = [] { return std::string(); }});
  ASSERT_TRUE(server.Start().has_value());
  EXPECT_EQ(Get(server, "/healthz", 503), "the loop is stuck\n");
  EXPECT_EQ(Get(server, "/readyz", 200), "ok\n");
}

// A port that somebody has is an error of the configuration.
TEST_F(HealthServerTest, RefusesAPortThatIsTaken) {
  HealthServer first(0, {.stuck = {}, .unready = {}, .metrics = [] { return std::string(); }});
  ASSERT_TRUE(first.Start().has_value());
  HealthServer second(first.port(),
                      {.stuck = {}, .unready = {}, .metrics = [] { return std::string(); }});
  const Status started = second.Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace longshore::daemon

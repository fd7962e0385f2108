// SPDX-License-Identifier: Apache-2.0
//
// The HTTPS face, over real connections with client certificates.
#include "extender/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/http/client.h"
#include "tests/common/tls/certificates.h"
#include "tests/extender/fakes.h"

namespace longshore::extender {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.cluster.view->AddNode("n1", "r1", "za", "eu");
    world_.cluster.view->AddNode("n2", "r2", "zb", "eu");
    world_.cluster.SetSource(placement::MakeSource({.node_name = "n1"}));
    const auto own = authority_.IssueLocalhost();
    http::ServerOptions options;
    options.address = "127.0.0.1";
    options.max_body_bytes = 1 << 20;
    options.tls = http::ServerTls{folder_.Write("tls.crt", own.certificate_pem),
                                  folder_.Write("tls.key", own.key_pem),
                                  folder_.Write("ca.crt", authority_.ca_pem())};
    server_ = std::make_unique<http::Server>(options);
    AddRoutes(
        *server_, world_.service, [this]() -> const VerdictLog& { return log_; },
        {"longshore-scheduler"}, world_.registry);
    const Status started = server_->Start();
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
  }

  std::unique_ptr<http::Client> ClientOf(const test::Certificate& certificate) {
    auto client = http::Client::Create({
        .base_url = "https://127.0.0.1:" + std::to_string(server_->port()),
        .ca_pem = authority_.ca_pem(),
        .client_certificate_pem = certificate.certificate_pem,
        .client_key_pem = certificate.key_pem,
    });
    LS_CHECK(client.has_value());
    return *std::move(client);
  }
  std::unique_ptr<http::Client> Scheduler() {
    return ClientOf(authority_.Issue("longshore-scheduler"));
  }
  static http::ClientRequest Post(const std::string& path, std::string body) {
    return {.method = "POST", .path = path, .headers = {}, .body = std::move(body)};
  }

  World world_;
  metrics::Registry registry_;
  VerdictLog log_{10};
  test::TestAuthority authority_;
  test::TemporaryFolder folder_;
  std::unique_ptr<http::Server> server_;
};

TEST_F(ServerTest, AnswersTheSchedulerOverMutualTls) {
  const auto scheduler = Scheduler();
  const auto filtered = scheduler->Send(Post("/filter", RequestBody({"n1", "n2"})));
  ASSERT_TRUE(filtered.has_value()) << filtered.error().ToString();
  EXPECT_EQ(filtered->status, 200);
  EXPECT_EQ(filtered->headers.at("content-type"), "application/json");
  EXPECT_EQ(json::parse(filtered->body)["NodeNames"], json({"n1", "n2"}));
  const auto scored = scheduler->Send(Post("/prioritize", RequestBody({"n1", "n2"})));
  ASSERT_TRUE(scored.has_value());
  EXPECT_EQ(json::parse(scored->body)[0]["Host"], "n1");
}

// Case 8: Go's client closes a connection whose reply is chunked, so each call would cost a
// handshake.
TEST_F(ServerTest, Case08_RepliesCarryTheirLength) {
  std::vector<std::string> many;
  for (int i = 0; i < 5000; ++i) many.push_back("node-" + std::to_string(i));
  const auto scheduler = Scheduler();
  for (const char* verb : {"/filter", "/prioritize"}) {
    const auto reply = scheduler->Send(Post(verb, RequestBody(many)));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->headers.at("content-length"), std::to_string(reply->body.size()));
    EXPECT_FALSE(reply->headers.contains("transfer-encoding"));
  }
}

// What benchmarks read instead of guessing from their own clock.
TEST_F(ServerTest, RepliesSayHowLongTheyTook) {
  const auto reply = Scheduler()->Send(Post("/filter", RequestBody({"n1", "n2"})));
  ASSERT_TRUE(reply.has_value());
  const std::string timing = reply->headers.at("server-timing");
  ASSERT_TRUE(timing.starts_with("total;dur=")) << timing;
  EXPECT_LT(std::stod(timing.substr(10)), 1000);
}

TEST_F(ServerTest, Case13_WrongVerbIs404AndGetIs405) {
  const auto scheduler = Scheduler();
  EXPECT_EQ(scheduler->Send(Post("/bind", "{}"))->status, 404);
  EXPECT_EQ(scheduler->Send({.path = "/filter"})->status, 405);
  EXPECT_EQ(scheduler->Send({.path = "/healthz"})->status, 404);  // has a port of its own
}

TEST_F(ServerTest, BadBodiesGetAnAnswerAndTheNextCallWorks) {
  const auto scheduler = Scheduler();
  for (const std::string& body : {std::string(), std::string("{\"Pod\":"), std::string("\0\0", 2),
                                  std::string(100'000, '[')}) {
    const auto reply = scheduler->Send(Post("/filter", body));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 200);
    EXPECT_THAT(json::parse(reply->body)["Error"].get<std::string>(), HasSubstr("at byte"));
    EXPECT_EQ(scheduler->Send(Post("/prioritize", body))->body, "[]");
  }
  EXPECT_EQ(scheduler->Send(Post("/filter", RequestBody({"n1"})))->status, 200);
}

TEST_F(ServerTest, BodyOverTheBoundIsRefused) {
  const auto reply = Scheduler()->Send(Post("/filter", std::string(2 << 20, ' ')));
  ASSERT_TRUE(reply.has_value()) << reply.error().ToString();
  EXPECT_EQ(reply->status, 413);
  EXPECT_EQ(Scheduler()->Send(Post("/filter", RequestBody({"n1"})))->status, 200);
}

TEST_F(ServerTest, ClientOfAnotherNameIsRefused) {
  const auto stranger = ClientOf(authority_.Issue("longshore-controller"));
  for (const char* verb : {"/filter", "/prioritize"}) {
    const auto reply = stranger->Send(Post(verb, RequestBody({"n1"})));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 403);
    EXPECT_THAT(reply->body, HasSubstr("longshore-controller is not on the list"));
  }
  EXPECT_EQ(stranger->Send({.path = "/v1/verdicts"})->status, 403);
  EXPECT_TRUE(world_.sink.verdicts.empty());
}

// Fault: somebody with a certificate of our authority calls in a loop.
TEST_F(ServerTest, RefusedClientIsLoggedAFewTimesThenRarely) {
  const auto stranger = ClientOf(authority_.Issue("longshore-controller"));
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(stranger->Send({.path = "/v1/verdicts"}));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("client refused"));
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 50) << log;
  EXPECT_THAT(world_.registry.Text(), HasSubstr("longshore_extender_forbidden_total 200"));
}

TEST_F(ServerTest, ClientOfAnotherAuthorityIsRefused) {
  test::TestAuthority other("other authority");
  const auto forged = ClientOf(other.Issue("longshore-scheduler"));
  EXPECT_FALSE(forged->Send(Post("/filter", RequestBody({"n1"}))).has_value());
}

TEST_F(ServerTest, ClientWithoutCertificateIsRefused) {
  auto bare = http::Client::Create({
      .base_url = "https://127.0.0.1:" + std::to_string(server_->port()),
      .ca_pem = authority_.ca_pem(),
  });
  ASSERT_TRUE(bare.has_value());
  EXPECT_FALSE((*bare)->Send(Post("/filter", RequestBody({"n1"}))).has_value());
}

TEST_F(ServerTest, ExplainsWhatItDecided) {
  const auto scheduler = Scheduler();
  ASSERT_TRUE(scheduler->Send(Post("/filter", RequestBody({"n1", "n2"}, "u9"))).has_value());
  log_.Add(world_.sink.verdicts.back());
  const auto explained = scheduler->Send({.path = "/explain?pod=backup/p-u9"});
  ASSERT_EQ(explained->status, 200);
  const json verdict = json::parse(explained->body)["items"][0];
  EXPECT_EQ(verdict["verb"], "filter");
  EXPECT_EQ(verdict["nodes"][0]["node"], "n1");
  EXPECT_EQ(verdict["nodes"][0]["tier"], "Node");
  EXPECT_EQ(verdict["location"], "the source names node n1");
  EXPECT_EQ(scheduler->Send({.path = "/explain?pod=backup/none"})->status, 404);
  EXPECT_EQ(scheduler->Send({.path = "/explain?pod=p-u9"})->status, 400);
  EXPECT_EQ(json::parse(scheduler->Send({.path = "/v1/verdicts"})->body)["items"].size(), 1u);
  EXPECT_EQ(
      json::parse(scheduler->Send({.path = "/v1/verdicts?namespace=x"})->body)["items"].size(), 0u);
}

// Not only of the best twenty, and not only of those that were offered.
TEST_F(ServerTest, ExplainsAnyNodeOfTheLastCalls) {
  auto& view = *world_.cluster.view;
  std::vector<std::string> names{"n1", "n2"};
  for (int i = 0; i < 40; ++i) {
    names.push_back("far-" + std::to_string(i));
    view.AddNode(names.back(), "r9", "zc", "us");
  }
  view.AddNode("unasked", "r2", "zb", "eu");
  World& world = world_;
  Service service(world.cluster, world.pressure, world.sink, world.clock, registry_,
                  {.calls = &log_});
  service.Filter(RequestBody(names));
  service.Prioritize(RequestBody(names));
  const auto explain = [&](const std::string& node) {
    http::Request request;
    request.query = {{"pod", "backup/p-u1"}, {"node", node}};
    const auto reply = ExplainPod(request, log_);
    return std::pair(reply.status, json::parse(reply.body));
  };
  const auto [status, far] = explain("far-39");
  ASSERT_EQ(status, 200) << far;
  ASSERT_EQ(far["items"].size(), 2u);
  EXPECT_EQ(far["items"][0]["verb"], "prioritize");
  const json& node = far["items"][0]["nodes"][0];
  EXPECT_EQ(node["node"], "far-39");
  EXPECT_EQ(node["tier"], "None");
  EXPECT_EQ(node["inputs"]["cpuFreeMilli"], 4000);
  EXPECT_THAT(node["reasons"].dump(), HasSubstr("another region"));
  EXPECT_THAT(far["items"][1]["nodes"][0]["reasons"].dump(), HasSubstr("none could be refused"));
  const json unasked = explain("unasked").second["items"][0]["nodes"][0];
  EXPECT_EQ(unasked["localityPoints"], 21);
  EXPECT_THAT(unasked["reasons"].dump(), HasSubstr("was not offered"));
  EXPECT_EQ(explain("nowhere").first, 404);
  http::Request other;
  other.query = {{"pod", "backup/p-u2"}, {"node", "n1"}};
  EXPECT_THAT(ExplainPod(other, log_).body, HasSubstr("no call about it is kept"));
}

// Snapshots are read by all connections at once while the cluster moves on.
TEST_F(ServerTest, AnswersInParallel) {
  const auto certificate = authority_.Issue("longshore-scheduler");
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t, &certificate] {
      const auto scheduler = ClientOf(certificate);
      for (int i = 0; i < 50; ++i) {
        const std::string uid = std::to_string(t) + "-" + std::to_string(i);
        const auto reply = scheduler->Send(Post("/prioritize", RequestBody({"n1", "n2"}, uid)));
        ASSERT_TRUE(reply.has_value()) << reply.error().ToString();
        ASSERT_EQ(json::parse(reply->body)[0]["Host"], "n1");
      }
    });
  }
}

}  // namespace
}  // namespace longshore::extender

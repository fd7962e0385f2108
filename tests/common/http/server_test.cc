// SPDX-License-Identifier: Apache-2.0
//
// The server doing its work: routes, replies, streams, TLS identities, stopping.
#include "common/http/server.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/common/http/server_fixture.h"

namespace longshore::http {
namespace {

using ServerTest = ServerFixture;

TEST_F(ServerTest, GivesHandlersTheRequestInParts) {
  more_.emplace_back("POST", "/v1/pods/{namespace}/{name}:release", [](const Request& request) {
    Response response =
        Text(request.method + " " + request.path_params.at("namespace") + " " +
             request.path_params.at("name") + " " + request.Query("q") + " " +
             request.Header("x-key") + " " + request.remote_address + " " + request.body);
    response.status = 201;
    response.headers["X-Reply"] = "yes";
    return response;
  });
  Start();
  ClientRequest request{"POST", "/v1/pods/a%2Fb/c:release?q=" + UrlEncode("x &=+é")};
  request.headers = {{"X-Key", "50%25"}};
  request.body = "body";
  const auto response = NewClient()->Send(request);
  ASSERT_TRUE(response.has_value()) << response.error().ToString();
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "POST a/b c x &=+é 50%25 127.0.0.1 body");
  EXPECT_EQ(response->headers.at("x-reply"), "yes");
  EXPECT_EQ(response->headers.at("content-length"), std::to_string(response->body.size()));
}

TEST_F(ServerTest, UnknownPathsAndMethodsAreProblemDocuments) {
  Start();
  auto client = NewClient();
  const auto unknown = client->Send({.path = "/nowhere"});
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->status, 404);
  EXPECT_EQ(unknown->headers.at("content-type"), "application/problem+json");
  EXPECT_EQ(nlohmann::json::parse(unknown->body).at("status"), 404);
  EXPECT_EQ(nlohmann::json::parse(unknown->body).at("code"), "NotFound");
  const auto wrong = client->Send({.method = "DELETE", .path = "/ok"});
  ASSERT_TRUE(wrong.has_value());
  EXPECT_EQ(wrong->status, 405);
  EXPECT_EQ(wrong->headers.at("allow"), "GET");
  EXPECT_EQ(nlohmann::json::parse(wrong->body).at("title"), "Method Not Allowed");
  EXPECT_EQ(nlohmann::json::parse(wrong->body).at("code"), "InvalidArgument");
}

TEST(ProblemTest, FitsTheErrorAndHidesInternals) {
  const Response conflict = Problem(Error{Code::kConflict, "pod \xff taken"});
  EXPECT_EQ(conflict.status, 409);
  EXPECT_EQ(nlohmann::json::parse(conflict.body).at("code"), "Conflict");
  const Response internal = Problem(Internal("secret"));
  EXPECT_EQ(internal.status, 500);
  EXPECT_EQ(internal.body.find("secret"), std::string::npos);
  Error busy{Code::kResourceExhausted, "full", std::chrono::milliseconds(1200)};
  EXPECT_EQ(Problem(busy).headers.at("Retry-After"), "2");
  EXPECT_EQ(Problem(Error{Code::kUnauthenticated, "who"}).headers.at("WWW-Authenticate"), "Bearer");
}

TEST(ProblemTest, HasACodeWhereOnlyTheStatusIsKnown) {
  const std::pair<int, const char*> cases[] = {
      {400, "InvalidArgument"},  {404, "NotFound"},        {405, "InvalidArgument"},
      {408, "DeadlineExceeded"}, {413, "InvalidArgument"}, {415, "InvalidArgument"},
      {422, "InvalidArgument"},  {431, "InvalidArgument"}, {500, "Internal"},
      {501, "InvalidArgument"},  {505, "InvalidArgument"}};
  for (const auto& [status, code] : cases) {
    EXPECT_EQ(nlohmann::json::parse(Problem(status, "t", "").body).at("code"), code) << status;
  }
}

// Also of empty replies, so that no client waits for the connection's end to know the reply's.
TEST_F(ServerTest, EveryReplySaysItsLength) {
  more_.emplace_back("GET", "/empty", [](const Request&) { return Text(""); });
  more_.emplace_back("DELETE", "/gone", [](const Request&) {
    Response response;
    response.status = 204;
    return response;
  });
  Start();
  auto raw = Connect();
  raw.Send("GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(raw.ReadUntil("\r\n\r\n").find("Content-Length: 0\r\n"), std::string::npos);
  raw.Send("HEAD /ok HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string head = raw.ReadUntil("\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  raw.Send("DELETE /gone HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(raw.ReadUntil("\r\n\r\n").find("Content-Length"), std::string::npos);
  raw.Send(kGetOk);
  EXPECT_NE(raw.ReadUntil("fine").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, KeepsAConnectionForThousandsOfRequests) {
  UseTls();
  Start();
  auto raw = Connect();
  ASSERT_TRUE(raw.StartTls());
  for (int i = 0; i < 3000; ++i) {
    raw.Send(kGetOk);
    ASSERT_NE(raw.ReadUntil("fine").find("200"), std::string::npos) << "request " << i;
  }
  EXPECT_EQ(served_, 3000);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  auto raw = Connect();
  raw.Send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n#1" + kGetOk +
           "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n#2");
  const std::string all = raw.ReadToEnd();
  const size_t one = all.find("#1"), two = all.find("fine"), three = all.find("#2");
  EXPECT_TRUE(one < two && two < three && three != std::string::npos) << all;
}

TEST_F(ServerTest, AHandlerMayEndTheConnection) {
  more_.emplace_back("GET", "/elsewhere", [](const Request&) {
    Response response;
    response.status = 503;
    response.headers["Connection"] = "close";
    return response;
  });
  Start();
  auto raw = Connect();
  raw.Send("GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n" + kGetOk);
  const std::string all = raw.ReadToEnd();
  EXPECT_NE(all.find("503"), std::string::npos) << all;
  EXPECT_EQ(all.find("fine"), std::string::npos) << all;
  EXPECT_EQ(all.find("Connection: close"), all.rfind("Connection: close")) << all;
  EXPECT_NE(all.find("Connection: close"), std::string::npos) << all;
}

TEST_F(ServerTest, TakesLargeBodiesBothWays) {
  UseTls();
  Start();
  std::string body(12 << 20, 'x');
  for (size_t i = 0; i < body.size(); i += 4096) body[i] = static_cast<char>('a' + i / 4096 % 26);
  const auto response = NewClient()->Send({.method = "POST", .path = "/echo", .body = body});
  ASSERT_TRUE(response.has_value()) << response.error().ToString();
  EXPECT_TRUE(response->body == body);
}

TEST_F(ServerTest, InvitesABodyThatWaitsForIt) {
  Start();
  auto raw = Connect();
  raw.Send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(raw.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.Send("ok");
  EXPECT_NE(raw.ReadUntil("\r\n\r\nok").find("200 OK"), std::string::npos);
}

// Prometheus and probes may speak HTTP/1.0, which knows neither chunks nor kept connections.
TEST_F(ServerTest, AnswersHttp10AndCloses) {
  more_.emplace_back("GET", "/stream", [](const Request&) {
    Response response = Text("");
    response.stream = [](const StreamWriter& write, const auto&) { write("whole"); };
    return response;
  });
  Start();
  for (const auto& [path, text] : {std::pair{"/ok", "fine"}, std::pair{"/stream", "whole"}}) {
    auto raw = Connect();
    raw.Send("GET " + std::string(path) + " HTTP/1.0\r\n\r\n");
    const std::string reply = raw.ReadToEnd();
    EXPECT_TRUE(reply.ends_with("\r\n\r\n" + std::string(text))) << reply;
    EXPECT_EQ(reply.find("chunked"), std::string::npos);
  }
}

class StreamTest : public ServerTest {
 protected:
  void StartStream() {
    more_.emplace_back("GET", "/events", [this](const Request&) {
      Response response;
      response.content_type = "text/event-stream";
      response.stream = [this](const StreamWriter& write, const std::function<bool()>& stopping) {
        for (int i = 0; !stopping(); ++i) {
          if (!write("data: " + std::to_string(i) + "\n\n")) break;
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        ended_ = true;
      };
      return response;
    });
    UseTls();
    Start();
  }
  bool EndedWithin(std::chrono::seconds time) const {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (!ended_ && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return ended_;
  }
  std::atomic<bool> ended_{false};
};

TEST_F(StreamTest, EventsArriveAndTheHandlerLearnsThatTheClientLeft) {
  StartStream();
  std::string seen;
  const auto result = NewClient()->Stream({.path = "/events"}, [&](std::string_view bytes) {
    seen += bytes;
    return seen.find("data: 3\n") == std::string::npos;
  });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::kCancelled);
  EXPECT_TRUE(seen.starts_with("data: 0\n\ndata: 1\n\n")) << seen;
  EXPECT_TRUE(EndedWithin(std::chrono::seconds(5)));
}

TEST_F(StreamTest, StopEndsOpenStreamsWithinFiveSeconds) {
  StartStream();
  std::atomic<bool> started{false};
  Result<ClientResponse> result;
  std::thread reader([&, client = NewClient()] {
    result = client->Stream({.path = "/events"}, [&](std::string_view) { return started = true; });
  });
  while (!started) std::this_thread::yield();
  auto idle = Connect();  // neither does an idle connection hold it up
  const auto begin = std::chrono::steady_clock::now();
  server_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  reader.join();
  EXPECT_TRUE(result.has_value());  // the stream was ended, not cut
  EXPECT_TRUE(ended_);
  server_->Stop();
}

TEST_F(ServerTest, StopLetsARunningRequestEnd) {
  std::atomic<bool> entered{false}, release{false};
  more_.emplace_back("GET", "/slow", [&](const Request& request) {
    entered = true;
    while (!release && !request.abandoned()) std::this_thread::yield();
    return Text(request.abandoned() ? "told to end" : "not told");
  });
  Start();
  Result<ClientResponse> result;
  std::thread caller([&, client = NewClient()] { result = client->Send({.path = "/slow"}); });
  while (!entered) std::this_thread::yield();
  server_->Stop();
  caller.join();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->body, "told to end");
}

TEST_F(ServerTest, ClientCertificatesAreRequiredAndNamed) {
  test::TestAuthority clients("clients"), others("others");
  more_.emplace_back("GET", "/who",
                     [](const Request& request) { return Text(request.peer_common_name); });
  UseTls(clients.ca_pem());
  Start();
  const auto ask = [&](const test::Certificate& certificate) {
    ClientOptions options = ClientFor();
    options.client_certificate_pem = certificate.certificate_pem;
    options.client_key_pem = certificate.key_pem;
    return NewClient(options)->Send({.path = "/who"});
  };
  const auto known = ask(clients.Issue("longshore-scheduler"));
  ASSERT_TRUE(known.has_value()) << known.error().ToString();
  EXPECT_EQ(known->body, "longshore-scheduler");
  EXPECT_EQ(ask(others.Issue("longshore-scheduler")).error().code, Code::kUnavailable);
  EXPECT_EQ(ask({}).error().code, Code::kUnavailable);
}

TEST_F(ServerTest, TakesARenewedCertificateWithoutRestart) {
  UseTls();
  Start();
  ASSERT_TRUE(NewClient()->Send({.path = "/ok"}).has_value());
  test::TestAuthority next("next");
  const auto certificate = next.IssueLocalhost();
  folder_.Write("tls.crt", certificate.certificate_pem);
  folder_.Write("tls.key", certificate.key_pem);
  ClientOptions options = ClientFor();
  options.ca_pem = next.ca_pem();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!NewClient(options)->Send({.path = "/ok"}).has_value()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

TEST_F(ServerTest, SaysWhyItCannotStart) {
  Start();
  ServerOptions options = options_;
  options.port = server_->port();
  const Status taken = Server(options).Start();
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, Code::kUnavailable);
  options.tls.emplace();
  options.tls->certificate_file = "/nonexistent/tls.crt";
  const Status unreadable = Server(options).Start();
  EXPECT_EQ(unreadable.error().code, Code::kInvalidArgument);
  EXPECT_NE(unreadable.error().message.find("/nonexistent/tls.crt"), std::string::npos);
}

}  // namespace
}  // namespace longshore::http

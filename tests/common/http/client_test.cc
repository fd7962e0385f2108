// SPDX-License-Identifier: Apache-2.0
//
// The client: whom it trusts, what it repeats, and how it ends.
#include "common/http/client.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <thread>

#include "common/http/url.h"
#include "common/tls/context.h"
#include "tests/common/http/server_fixture.h"

namespace longshore::http {
namespace {

class ClientTest : public ServerFixture {
 protected:
  Result<ClientResponse> AskTls(const std::function<void(ClientOptions&)>& change) {
    if (!server_) {
      UseTls();
      Start();
    }
    ClientOptions options = ClientFor();
    change(options);
    return NewClient(options)->Send({.path = "/ok"});
  }
  std::string FailureOf(const std::function<void(ClientOptions&)>& change) {
    const auto result = AskTls(change);
    if (result.has_value()) return "no failure";
    EXPECT_EQ(result.error().code, Code::kUnavailable);
    return result.error().message;
  }
};

TEST_F(ClientTest, TrustsOnlyTheGivenAuthorityAndName) {
  EXPECT_TRUE(AskTls([](ClientOptions&) {}).has_value());
  EXPECT_TRUE(
      AskTls([](ClientOptions& options) { options.server_name = "localhost"; }).has_value());
  EXPECT_THAT(FailureOf([](ClientOptions& options) {
                options.ca_pem = test::TestAuthority("other").ca_pem();
              }),
              ::testing::HasSubstr("TLS verification"));
  EXPECT_THAT(FailureOf([](ClientOptions& options) { options.server_name = "elsewhere"; }),
              ::testing::HasSubstr("hostname mismatch"));
  EXPECT_THAT(FailureOf([](ClientOptions& options) { options.server_name = "127.0.0.2"; }),
              ::testing::HasSubstr("IP address mismatch"));
}

// A server that is not the right one must not even see the request, which carries a token.
TEST_F(ClientTest, SendsNothingToAnUnverifiedServer) {
  FailureOf([](ClientOptions& options) { options.server_name = "elsewhere"; });
  EXPECT_EQ(served_, 0);
}

TEST_F(ClientTest, RefusesUnusableOptions) {
  for (const char* url : {"", "host", "ftp://host", "https://", "https://host:0", "https://h:x",
                          "https://user@host", "https://h/?q", "https://[::1"}) {
    ClientOptions options;
    options.base_url = url;
    options.ca_pem = authority_.ca_pem();
    const auto client = Client::Create(options);
    ASSERT_FALSE(client.has_value()) << url;
    EXPECT_EQ(client.error().code, Code::kInvalidArgument);
  }
  ClientOptions options;
  options.base_url = "https://host";
  EXPECT_FALSE(Client::Create(options).has_value()) << "no authority";
  options.ca_pem = authority_.ca_pem();
  EXPECT_TRUE(Client::Create(options).has_value());
  options.client_certificate_pem = authority_.Issue("a").certificate_pem;
  options.client_key_pem = authority_.Issue("b").key_pem;
  EXPECT_FALSE(Client::Create(options).has_value()) << "key of another certificate";
}

TEST_F(ClientTest, ParsesBaseUrls) {
  const auto url = ParseBaseUrl("https://[::1]:6443/k8s/");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 6443);
  EXPECT_EQ(url->prefix, "/k8s");
  EXPECT_EQ(ParseBaseUrl("http://a")->port, 80);
  EXPECT_EQ(ParseBaseUrl("https://a")->port, 443);
}

TEST_F(ClientTest, RefusesRequestsThatWouldBreakTheirLine) {
  Start();
  auto client = NewClient();
  for (const char* path : {"", "x", "/a b", "/a\r\nX: y", "/a\n", "/a#b"}) {
    EXPECT_EQ(client->Send({.path = path}).error().code, Code::kInvalidArgument) << path;
  }
  EXPECT_EQ(client->Send({.method = "GET /", .path = "/"}).error().code, Code::kInvalidArgument);
  ClientRequest request{.path = "/ok"};
  request.headers["X-Token"] = "a\r\nX-Evil: b";
  EXPECT_EQ(client->Send(request).error().code, Code::kInvalidArgument);
  EXPECT_TRUE(client->Send({.path = "/ok"}).has_value());
}

TEST_F(ClientTest, RefusedConnectionsAreUnavailable) {
  Start();
  const ClientOptions options = ClientFor();
  server_->Stop();
  const Error error = NewClient(options)->Send({.path = "/ok"}).error();
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_EQ(Client::FailureOf(error), Failure::kNotReceived);
}

TEST_F(ClientTest, ANameWithoutAddressCannotGetBetter) {
  ClientOptions options;
  options.base_url = "http://no..such.host:1";
  const Error error = (*Client::Create(options))->Send({.path = "/ok"}).error();
  EXPECT_THAT(error.message, ::testing::HasSubstr("there is no address for that name"));
  EXPECT_EQ(Client::FailureOf(error), Failure::kFinal);
}

TEST_F(ClientTest, ErrorsOfStreamsComeWithTheirBody) {
  Start();
  bool called = false;
  const auto result =
      NewClient()->Stream({.path = "/nowhere"}, [&](std::string_view) { return called = true; });
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->status, 404);
  EXPECT_THAT(result->body, ::testing::HasSubstr("nowhere"));
  EXPECT_FALSE(called);
}

class SilentServerTest : public ClientTest {
 protected:
  void StartSilent() {
    more_.emplace_back("GET", "/silent", [this](const Request& request) {
      entered_ = true;
      while (!request.abandoned()) std::this_thread::yield();
      return Text("");
    });
    UseTls();
    Start();
  }
  std::atomic<bool> entered_{false};
};

TEST_F(SilentServerTest, ReadTimeoutIsADeadline) {
  StartSilent();
  ClientOptions options = ClientFor();
  options.read_timeout = std::chrono::milliseconds(300);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(NewClient(options)->Send({.path = "/silent"}).error().code, Code::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST_F(SilentServerTest, CancelEndsACallAndTheClientStaysUsable) {
  StartSilent();
  auto client = NewClient();
  client->Cancel();  // nothing runs: nothing happens
  std::thread canceller([&] {
    while (!entered_) std::this_thread::yield();
    client->Cancel();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(client->Send({.path = "/silent"}).error().code, Code::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  canceller.join();
  EXPECT_TRUE(client->Send({.path = "/ok"}).has_value());
}

// Cancelled while it connects to a host that doesn't answer (a full backlog behaves so).
TEST_F(ClientTest, CancelEndsConnecting) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  std::vector<test::RawConnection> fill;
  fill.emplace_back(ntohs(address.sin_port));
  ClientOptions options;
  options.base_url = "https://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  options.ca_pem = authority_.ca_pem();
  options.connect_timeout = std::chrono::seconds(10);
  auto client = NewClient(options);
  std::atomic<bool> done{false};
  std::thread canceller([&] {
    while (!done) {
      client->Cancel();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(client->Send({.path = "/"}).error().code, Code::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  done = true;
  canceller.join();
}

// Answers the first request of each connection and closes when the second arrives, unanswered:
// what a client sees when a server gives up an idle connection just then.
class ClosingServer {
 public:
  explicit ClosingServer(tls::ContextPtr context)
      : context_(std::move(context)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    LS_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    LS_CHECK(::listen(listener_.get(), 8) == 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~ClosingServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  int port = 0;
  std::atomic<int> requests{0};

 private:
  struct Peer {
    int fd;
    SSL* ssl;
    ssize_t Read(char* data, int size) const {
      return ssl != nullptr ? SSL_read(ssl, data, size)
                            : ::recv(fd, data, static_cast<size_t>(size), 0);
    }
    void Write(std::string_view text) const {
      if (ssl != nullptr) {
        SSL_write(ssl, text.data(), static_cast<int>(text.size()));
      } else {
        ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      }
    }
  };
  static bool ReadRequest(const Peer& peer) {
    std::string all;
    char buffer[1000];
    while (all.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = peer.Read(buffer, sizeof buffer);
      if (got <= 0) return false;
      all.append(buffer, static_cast<size_t>(got));
    }
    return true;
  }
  void Run() {
    for (;;) {
      const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
      if (!fd.valid()) return;
      const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(
          context_ ? SSL_new(context_.get()) : nullptr, SSL_free);
      if (ssl) SSL_set_fd(ssl.get(), fd.get());
      const Peer peer{fd.get(), ssl.get()};
      if ((ssl && SSL_accept(ssl.get()) != 1) || !ReadRequest(peer)) continue;
      ++requests;
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      if (ReadRequest(peer)) ++requests;
      if (ssl) SSL_shutdown(ssl.get());
    }
  }
  tls::ContextPtr context_;
  UniqueFd listener_;
  std::thread thread_;
};

class ClientRetryTest : public ::testing::TestWithParam<bool> {};

TEST_P(ClientRetryTest, OnlyAGetOnAnIdleConnectionIsSentAgain) {
  test::TestAuthority authority;
  const auto certificate = authority.IssueLocalhost();
  tls::ContextPtr context;
  if (GetParam()) {
    context = *tls::NewServerContext({certificate.certificate_pem, certificate.key_pem, ""});
  }
  ClosingServer server(context);
  ClientOptions options;
  options.base_url =
      (GetParam() ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(server.port);
  options.ca_pem = authority.ca_pem();
  auto client = *Client::Create(options);
  ASSERT_TRUE(client->Send({.path = "/1"}).has_value());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(client->Send({.path = "/2"}).has_value());  // closed unanswered, sent again
  EXPECT_EQ(server.requests, 3);
  const auto post = client->Send({.method = "POST", .path = "/3"});
  ASSERT_FALSE(post.has_value());  // it may have been done: only the caller can know
  EXPECT_EQ(post.error().code, Code::kUnavailable);
  EXPECT_EQ(Client::FailureOf(post.error()), Failure::kUnanswered);
  EXPECT_EQ(server.requests, 4);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}
INSTANTIATE_TEST_SUITE_P(WithAndWithoutTls, ClientRetryTest, ::testing::Bool());

}  // namespace
}  // namespace longshore::http

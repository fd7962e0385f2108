// SPDX-License-Identifier: Apache-2.0
//
// The server against clients that are hostile or broken.
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "tests/common/http/server_fixture.h"

namespace longshore::http {
namespace {

using HardeningTest = ServerFixture;

TEST_F(HardeningTest, ChunkedBodiesOverTheCapAreRefused) {
  options_.max_body_bytes = 1 << 20;
  Start();
  auto raw = Connect();
  raw.Send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  for (int i = 0; i < 32; ++i) raw.Send(chunk);
  const std::string reply = raw.ReadToEnd();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 413 "));
  EXPECT_NE(reply.find(R"("code":"InvalidArgument")"), std::string::npos) << reply;
  EXPECT_EQ(served_, 0);
}

TEST_F(HardeningTest, LongBodiesAreRefusedBeforeTheyAreSent) {
  options_.max_body_bytes = 1000;
  Start();
  auto raw = Connect();
  raw.Send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_TRUE(raw.ReadToEnd().starts_with("HTTP/1.1 413 "));
}

// What follows a refused header must never be taken for a request: it is a body, or an attack.
TEST_F(HardeningTest, NothingAfterARefusalIsParsedAsARequest) {
  options_.max_body_bytes = 1000;
  const std::string smuggled = kGetOk + kGetOk;
  Start();
  const std::vector<std::string> beginnings = {
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n",
      "NONSENSE\r\n\r\n",
      "GET /%zz\r\n\r\n",
  };
  for (const std::string& beginning : beginnings) {
    auto raw = Connect();
    raw.Send(beginning);
    raw.Send(smuggled);
    bool closed = false;
    const std::string reply = raw.ReadToEnd(&closed);
    EXPECT_TRUE(closed) << beginning;
    EXPECT_EQ(reply.find("200 OK"), std::string::npos) << beginning << reply;
    EXPECT_EQ(reply.find("HTTP/1.1", 1), std::string::npos) << "a second reply to " << beginning;
  }
  EXPECT_EQ(served_, 0);
}

TEST_F(HardeningTest, ExceptionTextStaysInside) {
  Start();
  const auto response = NewClient()->Send({.path = "/throw"});
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body.find("hunter2"), std::string::npos);
  for (const auto& [name, value] : response->headers) {
    EXPECT_EQ(value.find("hunter2"), std::string::npos) << name;
  }
}

// Fault: a caller has found how to make a handler throw.
TEST_F(HardeningTest, DefectsAreLoggedAFewTimesThenRarely) {
  Start();
  const auto client = NewClient();
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(client->Send({.path = "/throw"}));
    EXPECT_EQ(Problem(Internal("defect")).status, 500);
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 50) << log;
}

TEST_F(HardeningTest, HandlersCannotBreakHeaders) {
  more_.emplace_back("GET", "/inject", [](const Request& request) {
    Response response = Text("x");
    response.headers["X-Echo"] = request.Query("q");
    return response;
  });
  Start();
  const auto response = NewClient()->Send({.path = "/inject?q=a%0d%0aX-Evil:%201"});
  ASSERT_TRUE(response.has_value());
  EXPECT_FALSE(response->headers.contains("x-evil"));
}

TEST_F(HardeningTest, OldTlsIsRefused) {
  UseTls();
  Start();
  EXPECT_FALSE(Connect().StartTls(TLS1_VERSION));
  EXPECT_FALSE(Connect().StartTls(TLS1_1_VERSION));
  EXPECT_TRUE(Connect().StartTls(TLS1_2_VERSION));
  EXPECT_TRUE(Connect().StartTls(TLS1_3_VERSION));
}

TEST_F(HardeningTest, ClearTextOnATlsPortGetsNothing) {
  UseTls();
  Start();
  auto raw = Connect();
  raw.Send(kGetOk);
  bool closed = false;
  EXPECT_EQ(raw.ReadToEnd(&closed).find("HTTP"), std::string::npos);
  EXPECT_TRUE(closed);
}

// Two threads only, and more than two peers that ask for much and don't read it: others are
// answered at once, and a peer that reads late gets all of it.
TEST_F(HardeningTest, PeersThatDontReadTheirRepliesHoldNoThread) {
  constexpr size_t kBig = 12u << 20;
  more_.emplace_back("GET", "/big", [](const Request&) { return Text(std::string(kBig, 'b')); });
  for (const bool tls : {false, true}) {
    SCOPED_TRACE(tls ? "TLS" : "clear text");
    if (tls) UseTls();
    Start();
    std::vector<test::RawConnection> deaf;
    for (int i = 0; i < 4; ++i) {
      deaf.push_back(Connect());
      if (tls) {
        ASSERT_TRUE(deaf.back().StartTls());
      }
      deaf.back().Send("GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    auto options = ClientFor();
    options.read_timeout = std::chrono::seconds(3);
    const auto response = NewClient(options)->Send({.path = "/ok"});
    ASSERT_TRUE(response.has_value()) << response.error().ToString();
    EXPECT_EQ(response->body, "fine");
    const std::string late = deaf[3].ReadToEnd();
    EXPECT_EQ(std::count(late.begin(), late.end(), 'b'), std::ptrdiff_t{kBig});
    server_->Stop();
  }
}

// What peers leave unread is kept for all of them together up to 64 MiB, not for each.
TEST_F(HardeningTest, UnreadRepliesTakeBoundedMemory) {
  constexpr size_t kBig = 32u << 20;
  more_.emplace_back("GET", "/big", [](const Request&) { return Text(std::string(kBig, 'b')); });
  Start();
  std::vector<test::RawConnection> deaf;
  for (int i = 0; i < 6; ++i) {
    deaf.push_back(Connect());
    deaf.back().Send("GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));
  int cut = 0;
  for (auto& peer : deaf) {
    cut += peer.ReadToEnd(nullptr, std::chrono::seconds(30)).size() < kBig ? 1 : 0;
  }
  EXPECT_GE(cut, 1);
  EXPECT_LE(cut, 4);
}

// Two threads only, and hundreds of connections that do nothing, say hello for ever, or never
// finish their request: a proper request is answered at once.
TEST_F(HardeningTest, IdleAndSlowConnectionsDoNotStarveOthers) {
  UseTls();
  Start();
  std::vector<test::RawConnection> silent, half_handshake, idle, slow;
  for (int i = 0; i < 100; ++i) {
    silent.push_back(Connect());
    half_handshake.push_back(Connect());
    half_handshake.back().Send(std::string("\x16\x03\x01\x02\x00\x01", 6));
    idle.push_back(Connect());
    ASSERT_TRUE(idle.back().StartTls());
    idle.back().Send(kGetOk);
    idle.back().ReadUntil("fine");
    slow.push_back(Connect());
    ASSERT_TRUE(slow.back().StartTls());
    slow.back().Send(i % 2 == 0 ? "GET /ok HTTP/1.1\r\nX: "
                                : "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx");
  }
  ClientOptions options = ClientFor();
  options.read_timeout = std::chrono::seconds(2);
  for (int i = 0; i < 20; ++i) {
    const auto response = NewClient(options)->Send({.path = "/ok"});
    ASSERT_TRUE(response.has_value()) << response.error().ToString();
  }
  idle.front().Send(kGetOk);  // and the idle ones are still served
  EXPECT_NE(idle.front().ReadUntil("fine").find("200"), std::string::npos);
}

TEST_F(HardeningTest, UnfinishedRequestsAreDroppedAfterTheReadTimeout) {
  options_.read_timeout = std::chrono::seconds(1);
  Start();
  auto silent = Connect();
  auto slow = Connect();
  auto idle = Connect();
  idle.Send(kGetOk);
  idle.ReadUntil("fine");
  slow.Send("GET /ok HT");
  std::atomic<bool> stop{false};
  std::thread dripping([&] {
    for (int i = 0; i < 40 && !stop; ++i) {
      slow.Send("T");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  bool closed = false;
  silent.ReadToEnd(&closed, std::chrono::seconds(3));
  EXPECT_TRUE(closed) << "silent";
  const auto begin = std::chrono::steady_clock::now();
  slow.ReadToEnd(&closed, std::chrono::seconds(3));
  EXPECT_TRUE(closed && std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
  stop = true;
  dripping.join();
  idle.Send(kGetOk);  // between requests a connection may rest for keep_alive
  EXPECT_NE(idle.ReadUntil("fine").find("200"), std::string::npos);
}

// Enough for more connections than the server takes, if this machine allows.
void TakeDescriptors(rlim_t& taken) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  taken = limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 20000);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

// A flood of connections up to the server's cap: those that keep it waiting give way.
TEST_F(HardeningTest, OverTheCapSilentConnectionsGiveWay) {
  rlim_t descriptors = 0;
  ASSERT_NO_FATAL_FAILURE(TakeDescriptors(descriptors));
  if (descriptors < 10000) GTEST_SKIP() << "needs 10000 descriptors";
  options_.read_timeout = std::chrono::seconds(100);
  Start();
  std::vector<test::RawConnection> silent;
  for (int i = 0; i < 4200; ++i) silent.push_back(Connect());
  auto proper = Connect();
  proper.Send(kGetOk);
  EXPECT_NE(proper.ReadUntil("fine").find("200"), std::string::npos);
  bool closed = false;
  silent.front().ReadToEnd(&closed);
  EXPECT_TRUE(closed);
}

// Who only connects must not cost those their connection who were served: the scheduler would meet
// a reset in the middle of a call.
TEST_F(HardeningTest, OverTheCapServedConnectionsStay) {
  rlim_t descriptors = 0;
  ASSERT_NO_FATAL_FAILURE(TakeDescriptors(descriptors));
  if (descriptors < 10000) GTEST_SKIP() << "needs 10000 descriptors";
  options_.read_timeout = std::chrono::seconds(100);
  Start();
  auto known = Connect();
  known.Send(kGetOk);
  known.ReadUntil("fine");
  std::vector<test::RawConnection> silent;
  for (int i = 0; i < 4300; ++i) silent.push_back(Connect());
  known.Send(kGetOk);
  EXPECT_NE(known.ReadUntil("fine").find("200"), std::string::npos);
}

// Bodies that trickle in are kept for all peers together up to one and a half of the largest that
// there may be. The largest give way; ordinary requests do not notice.
TEST_F(HardeningTest, UnfinishedBodiesTakeBoundedMemory) {
  options_.max_body_bytes = 4 << 20;
  const std::string part(3 << 20, 'x');
  Start();
  std::vector<test::RawConnection> slow;
  auto small = Connect();
  small.Send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" +
             std::string(99999, 'y'));
  for (int i = 0; i < 8; ++i) {
    slow.push_back(Connect());
    slow.back().Send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3145729\r\n\r\n" + part);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(NewClient()->Send({.path = "/ok"})->body, "fine");
  small.Send("y");
  EXPECT_NE(small.ReadUntil("yyy").find("200"), std::string::npos);
  int answered = 0;
  for (auto& peer : slow) {
    peer.Send("x");
    answered += peer.ReadUntil("xxx").find("HTTP/1.1 200") != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(answered, 1);
  EXPECT_LE(answered, 2);
}

TEST_F(HardeningTest, IdleConnectionsAreClosedAfterKeepAlive) {
  options_.keep_alive = std::chrono::seconds(1);
  Start();
  auto idle = Connect();
  idle.Send(kGetOk);
  idle.ReadUntil("fine");
  bool closed = false;
  idle.ReadToEnd(&closed, std::chrono::seconds(4));
  EXPECT_TRUE(closed);
}

// A client that asks for much and reads nothing must not keep a thread for ever.
TEST_F(HardeningTest, AReaderThatStallsIsGivenUp) {
  options_.read_timeout = std::chrono::seconds(1);
  options_.threads = options_.max_threads = 1;
  more_.emplace_back("GET", "/events", [](const Request&) {
    Response response = Text("");
    response.stream = [](const StreamWriter& write, const auto&) {
      while (write(std::string(1 << 10, 'x'))) {
      }
    };
    return response;
  });
  Start();
  auto stalled = Connect();
  stalled.Send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  ClientOptions options = ClientFor();
  options.read_timeout = std::chrono::seconds(20);
  const auto response = NewClient(options)->Send({.path = "/ok"});
  EXPECT_TRUE(response.has_value());
}

}  // namespace
}  // namespace longshore::http

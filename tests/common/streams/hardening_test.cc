// SPDX-License-Identifier: Apache-2.0
//
// The stream server against peers that are many, slow, silent or hostile.
#include <sys/resource.h>

#include "tests/common/streams/stream_fixture.h"

namespace longshore::streams {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using HardeningTest = StreamFixture;
using test::RawConnection;

constexpr char kText = 1, kBinary = 2;

TEST_F(HardeningTest, SpeaksWebSocketByTheBook) {
  StartServer();
  auto raw = OpenByHand();
  raw.Send(Frame(kBinary, "hello"));
  EXPECT_EQ(raw.ReadUntil("hello"), "\x82\x05hello");
}

TEST_F(HardeningTest, WhatIsNoUpgradeWithATokenIsRefused) {
  StartServer();
  const std::string upgrade = UpgradeRequest();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"GET /v1/agents HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 400 "},
      {std::string(upgrade).erase(upgrade.find("Authorization"), 28), "HTTP/1.1 401 "},
      {UpgradeRequest(""), "HTTP/1.1 401 "},
      {upgrade + Frame(kBinary, "too early"), "HTTP/1.1 400 "},
      {"NONSENSE\r\n\r\n", ""},
      {"GET / HTTP/1.1\r\nX: " + std::string(40000, 'x') + "\r\n\r\n", ""},
  };
  for (const auto& [bytes, expected] : cases) {
    RawConnection raw(options_.port);
    ASSERT_TRUE(raw.StartTls());
    raw.Send(bytes);
    bool closed = false;
    EXPECT_THAT(raw.ReadToEnd(&closed), StartsWith(expected)) << bytes.substr(0, 100);
    EXPECT_TRUE(closed) << bytes.substr(0, 100);
  }
  EXPECT_EQ(handler_.diary.Count(""), 0u);
}

TEST_F(HardeningTest, OldTlsAndClearTextAreRefused) {
  StartServer();
  EXPECT_FALSE(RawConnection(options_.port).StartTls(TLS1_1_VERSION));
  EXPECT_TRUE(RawConnection(options_.port).StartTls(TLS1_2_VERSION));
  RawConnection clear(options_.port);
  clear.Send(UpgradeRequest());
  EXPECT_THAT(clear.ReadToEnd(), ::testing::Not(HasSubstr("HTTP")));
}

TEST_F(HardeningTest, SilentPeersAreClosedAtEachStage) {
  options_.silence_timeout = options_.handshake_timeout = std::chrono::milliseconds(500);
  StartServer();
  auto open = OpenByHand();
  RawConnection mute(options_.port), half(options_.port), shaken(options_.port),
      undecided(options_.port);
  half.Send(std::string("\x16\x03\x01\x02\x00\x01", 6));
  ASSERT_TRUE(shaken.StartTls());
  shaken.Send("GET /v1/agents HT");
  ASSERT_TRUE(undecided.StartTls());
  undecided.Send(UpgradeRequest("never"));
  for (RawConnection* raw : {&open, &mute, &half, &shaken, &undecided}) {
    bool closed = false;
    raw->ReadToEnd(&closed, std::chrono::seconds(3));
    EXPECT_TRUE(closed);
  }
  EXPECT_TRUE(handler_.diary.Await("close silent"));
  EXPECT_EQ(handler_.diary.Count("close"), 1u);  // only that one had been open
  EXPECT_EQ(server_->connections(), 0u);
}

// The decision about a peer that has left, or of a server that stopped, comes to nothing.
TEST_F(HardeningTest, LateDecisionsAreHarmless) {
  options_.handshake_timeout = std::chrono::milliseconds(200);
  StartServer();
  RawConnection raw(options_.port);
  ASSERT_TRUE(raw.StartTls());
  raw.Send(UpgradeRequest("never"));
  ASSERT_TRUE(handler_.diary.Await("undecided"));
  raw.ReadToEnd();
  handler_.undecided("too late");
  server_.reset();
  handler_.undecided("much too late");
  EXPECT_EQ(handler_.diary.Count("open"), 0u);
}

TEST_F(HardeningTest, OversizedMessagesEndTheStream) {
  options_.max_message_bytes = 1000;
  StartBoth();
  ASSERT_TRUE(client_->Send(std::string(1000, 'a')).has_value());
  EXPECT_TRUE(recorder_.diary.Await("message aaa"));
  ASSERT_TRUE(client_->Send(std::string(1001, 'b')).has_value());
  EXPECT_TRUE(handler_.diary.Await("close"));
  EXPECT_EQ(handler_.diary.Count("message bbb"), 0u);
  EXPECT_TRUE(recorder_.diary.Await("open", 2));
}

TEST_F(HardeningTest, TheClientTakesNoOversizedMessageEither) {
  client_options_.max_message_bytes = 1000;
  StartBoth();
  ASSERT_TRUE(handler_.diary.Await("open"));
  server_->Send(handler_.last_id, std::string(1001, 'b'));
  EXPECT_TRUE(recorder_.diary.Await("close"));
  EXPECT_EQ(recorder_.diary.Count("message b"), 0u) << recorder_.diary.All();
}

TEST_F(HardeningTest, TextIsNotSpokenHere) {
  StartServer();
  auto raw = OpenByHand();
  raw.Send(Frame(kText, "hello"));
  EXPECT_THAT(raw.ReadToEnd(nullptr, std::chrono::seconds(1)), HasSubstr("text message"));
  EXPECT_EQ(handler_.diary.Count("message hello"), 0u);
}

TEST_F(HardeningTest, AReaderThatIsTooSlowIsDropped) {
  options_.max_send_queue_bytes = 1 << 20;
  StartServer();
  auto raw = OpenByHand();
  ASSERT_TRUE(handler_.diary.Await("open"));
  for (int i = 0; i < 200; ++i) server_->Send(handler_.last_id, std::string(100 << 10, 'x'));
  EXPECT_TRUE(handler_.diary.Await("close too slow"));
  EXPECT_EQ(server_->connections(), 0u);
}

// Half-open handshakes fill all slots, and still others get in.
TEST_F(HardeningTest, AFloodOfHalfOpenHandshakesHoldsNobodyUp) {
  options_.max_handshakes = 4;
  StartServer();
  std::vector<RawConnection> flood;
  for (int i = 0; i < 8; ++i) {
    flood.emplace_back(options_.port);
    flood.back().Send(std::string("\x16\x03\x01\x02\x00\x01", 6));
  }
  client_options_.connect_timeout = std::chrono::seconds(9);
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("open"));
}

// Those that expire in one sweep once handed their slots to each other, for ever.
TEST_F(HardeningTest, HandshakesThatExpireTogetherReturnTheirSlots) {
  options_.max_handshakes = 2;
  options_.handshake_timeout = std::chrono::milliseconds(400);
  StartServer();
  std::vector<RawConnection> flood;
  for (int i = 0; i < 20; ++i) {
    flood.emplace_back(options_.port);
    flood.back().Send(std::string("\x16\x03\x01\x02\x00\x01", 6));
  }
  for (RawConnection& raw : flood) raw.ReadToEnd();
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("open")) << recorder_.diary.All();
}

TEST_F(HardeningTest, ConnectionsOverTheCapAreClosedAtOnce) {
  options_.max_connections = 3;
  StartServer();
  std::vector<RawConnection> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(OpenByHand());
  RawConnection one_more(options_.port);
  bool closed = false;
  one_more.ReadToEnd(&closed);
  EXPECT_TRUE(closed);
  taken.pop_back();
  ASSERT_TRUE(handler_.diary.Await("close"));
  OpenByHand();
}

TEST_F(HardeningTest, ServesAThousandConnections) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  constexpr size_t kCount = 1000;
  options_.silence_timeout = std::chrono::minutes(2);  // opening them by hand takes its time
  StartServer();
  std::vector<RawConnection> all;
  for (size_t i = 0; i < kCount; ++i) {
    all.push_back(OpenByHand());
    all.back().Send(Frame(kBinary, "early"));
  }
  ASSERT_TRUE(handler_.diary.Await("open", kCount));  // a client sees its upgrade before we do
  EXPECT_EQ(server_->connections(), kCount);
  for (size_t i = 0; i < kCount; ++i) all[i].Send(Frame(kBinary, "late " + std::to_string(i)));
  for (size_t i = 0; i < kCount; ++i) {
    const std::string expected = "late " + std::to_string(i);
    ASSERT_THAT(all[i].ReadUntil(expected), ::testing::EndsWith(expected));
  }
  all.clear();
  EXPECT_TRUE(handler_.diary.Await("close", kCount));
  EXPECT_EQ(server_->connections(), 0u);
}

}  // namespace
}  // namespace longshore::streams

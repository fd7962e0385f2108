// SPDX-License-Identifier: Apache-2.0
//
// Server and client with each other.
#include <future>

#include "tests/common/streams/stream_fixture.h"

namespace longshore::streams {
namespace {

using ::testing::HasSubstr;
using StreamTest = StreamFixture;

TEST_F(StreamTest, MessagesGoBothWaysInOrder) {
  StartBoth();
  EXPECT_TRUE(client_->connected());
  EXPECT_TRUE(handler_.diary.Await("open /v1/agents identity of good"));
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(client_->Send("number " + std::to_string(i)));
  ASSERT_TRUE(recorder_.diary.Await("message number", 500));
  const std::string all = recorder_.diary.All();
  EXPECT_LT(all.find("number 99\n"), all.find("number 100\n"));
  EXPECT_EQ(server_->connections(), 1u);
}

// An agent's hello, sent by the stream's own thread, must not be passed by the report that another
// thread sends as soon as it knows of the hello; nor the other way round.
TEST_F(StreamTest, MessagesOfSeveralThreadsKeepTheOrderOfTheCalls) {
  const auto send_in_turn = [](const std::function<void(const std::string&)>& send) {
    std::thread([&] { send("1"); }).join();
    send("2");
    std::thread([&] { send("3"); }).join();
  };
  recorder_.on_open = [&] {
    send_in_turn([&](const std::string& n) { EXPECT_TRUE(client_->Send("up " + n).has_value()); });
  };
  handler_.on_open = [&](ConnectionId id) {
    send_in_turn([&](const std::string& n) { server_->Send(id, "down " + n); });
  };
  StartBoth();
  ASSERT_TRUE(handler_.diary.Await("message up", 3));
  EXPECT_THAT(handler_.diary.All(), HasSubstr("message up 1\nmessage up 2\nmessage up 3\n"));
  ASSERT_TRUE(recorder_.diary.Await("message down", 3));
  EXPECT_THAT(recorder_.diary.All(), HasSubstr("message down 1\nmessage down 2\nmessage down 3\n"));
}

TEST_F(StreamTest, LargeAndEmptyMessagesArriveWhole) {
  StartBoth();
  std::string large(3 << 20, 'x');
  large.replace(0, 5, "large");
  ASSERT_TRUE(client_->Send(large).has_value());
  ASSERT_TRUE(client_->Send("").has_value());
  EXPECT_TRUE(recorder_.diary.Await("message", 2));
  EXPECT_EQ(recorder_.diary.Count("message large"), 1u);
}

TEST_F(StreamTest, ADecisionMayComeFromAnotherThread) {
  folder_.Write("token", "later");
  StartBoth();
  EXPECT_TRUE(handler_.diary.Await("identity of later"));
}

// And each attempt reads the token anew: refused ones get in once it is right.
TEST_F(StreamTest, RefusalsCarryTheirStatus) {
  StartServer();
  folder_.Write("token", "wrong");
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("HTTP 401")) << recorder_.diary.All();
  folder_.Write("token", "denied");
  EXPECT_TRUE(recorder_.diary.Await("HTTP 403"));
  folder_.Write("token", "busy");
  EXPECT_TRUE(recorder_.diary.Await("HTTP 503"));
  EXPECT_EQ(client_->Send("x").error().code, Code::kUnavailable);
  folder_.Write("token", "good");
  EXPECT_TRUE(recorder_.diary.Await("open"));
  EXPECT_EQ(handler_.diary.Count("close"), 0u);  // never opened, so never closed
}

TEST_F(StreamTest, UnknownPathsAreRefused) {
  client_options_.path = "/v1/elsewhere";
  StartServer();
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("HTTP 404"));
}

TEST_F(StreamTest, TheServerIsVerified) {
  StartServer();
  client_options_.ca_file = folder_.Write("other.crt", test::TestAuthority("other").ca_pem());
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("TLS verification of \"127.0.0.1\" failed"))
      << recorder_.diary.All();
  client_.reset();
  client_options_.ca_file = folder_.path() + "/ca.crt";
  client_options_.server_name = "elsewhere";
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("hostname mismatch")) << recorder_.diary.All();
  client_.reset();
  client_options_.server_name = "localhost";
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("open"));
}

TEST_F(StreamTest, MissingFilesAreAFailedAttempt) {
  client_options_.token_file = folder_.path() + "/not-yet";
  StartServer();
  StartClient();
  EXPECT_TRUE(recorder_.diary.Await("not-yet"));
  folder_.Write("not-yet", "good");
  EXPECT_TRUE(recorder_.diary.Await("open"));
}

TEST_F(StreamTest, ReconnectsAfterARestart) {
  StartBoth();
  ASSERT_TRUE(handler_.diary.Await("open"));  // a client sees its upgrade before we do
  server_.reset();
  EXPECT_TRUE(recorder_.diary.Await("close"));
  EXPECT_TRUE(handler_.diary.Await("close the server stops")) << handler_.diary.All();
  EXPECT_EQ(client_->Send("lost").error().code, Code::kUnavailable);
  StartServer();
  ASSERT_TRUE(recorder_.diary.Await("open", 2));
  ASSERT_TRUE(client_->Send("again").has_value());
  EXPECT_TRUE(recorder_.diary.Await("message again"));
  EXPECT_EQ(recorder_.diary.Count("message lost"), 0u);
}

TEST_F(StreamTest, ARenewedCertificateIsTakenWithoutRestart) {
  StartBoth();
  test::TestAuthority next("next");
  UseCertificate(next.IssueLocalhost());
  folder_.Write("ca.crt", next.ca_pem());
  EXPECT_EQ(server_->connections(), 1u);  // the open stream stays
  Recorder recorder;
  Client another(client_options_, recorder);
  ASSERT_TRUE(another.Start().has_value());
  EXPECT_TRUE(recorder.diary.Await("open")) << recorder.diary.All();
}

TEST_F(StreamTest, CloseTellsTheClientWhy) {
  StartBoth();
  ASSERT_TRUE(handler_.diary.Await("open"));
  server_->Close(handler_.last_id, "fenced: another pod has the lease");
  EXPECT_TRUE(recorder_.diary.Await("close fenced: another pod has the lease"));
  EXPECT_TRUE(handler_.diary.Await("close fenced"));
  server_->Send(12345, "to nobody");  // is ignored
}

TEST_F(StreamTest, PostRunsOnTheServersThread) {
  StartServer();
  std::promise<std::thread::id> first, second;
  server_->Post([&] { first.set_value(std::this_thread::get_id()); });
  server_->Post([&] { second.set_value(std::this_thread::get_id()); });
  const auto id = first.get_future().get();
  EXPECT_EQ(id, second.get_future().get());
  EXPECT_NE(id, std::this_thread::get_id());
}

TEST_F(StreamTest, AQuietStreamStaysOpenByPings) {
  options_.silence_timeout = client_options_.silence_timeout = std::chrono::milliseconds(600);
  client_options_.ping_interval = std::chrono::milliseconds(100);
  StartBoth();
  std::this_thread::sleep_for(std::chrono::milliseconds(2000));
  EXPECT_EQ(recorder_.diary.Count("close"), 0u) << recorder_.diary.All();
  EXPECT_EQ(handler_.diary.Count("close"), 0u);
}

// A controller that hangs looks open to TCP: only silence tells.
TEST_F(StreamTest, TheClientLeavesASilentServer) {
  client_options_.ping_interval = std::chrono::milliseconds(50);
  client_options_.silence_timeout = std::chrono::milliseconds(400);
  StartBoth();
  std::unique_lock blocked(handler_.blocking);
  ASSERT_TRUE(client_->Send("block").has_value());
  EXPECT_TRUE(recorder_.diary.Await("the server is silent"));
}

TEST_F(StreamTest, TheClientsQueueIsBounded) {
  client_options_.max_send_queue_bytes = 1 << 20;
  StartBoth();
  std::unique_lock blocked(handler_.blocking);
  ASSERT_TRUE(client_->Send("block").has_value());
  Status status;
  for (int i = 0; i < 1000 && status.has_value(); ++i) {
    status = client_->Send(std::string(100 << 10, 'x'));
  }
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::kResourceExhausted);
}

// Sent, it would end the stream, and the next one when it is said again.
TEST_F(StreamTest, AMessageThatNoServerTakesIsRefusedBeforeItIsSent) {
  client_options_.max_message_bytes = options_.max_message_bytes = 1000;
  StartBoth();
  const Status refused = client_->Send(std::string(1001, 'b'));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("1001 bytes to 127.0.0.1: at most 1000"));
  ASSERT_TRUE(client_->Send(std::string(1000, 'a')).has_value());
  EXPECT_TRUE(recorder_.diary.Await("message aaa"));
  EXPECT_EQ(handler_.diary.Count("close"), 0u);
}

TEST_F(StreamTest, StopsAtAnyMoment) {
  StartServer();
  for (int i = 0; i < 20; ++i) {
    Recorder recorder;
    Client client(client_options_, recorder);
    ASSERT_TRUE(client.Start().has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(i));
    client.Stop();
    client.Stop();
    EXPECT_FALSE(client.connected());
  }
  server_->Stop();
  server_->Stop();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(StreamTest, SaysWhyItCannotStart) {
  StartServer();
  EXPECT_EQ(Server(options_, handler_).Start().error().code, Code::kUnavailable);
  ServerOptions wrong = options_;
  wrong.certificate_file = "/nonexistent/tls.crt";
  EXPECT_THAT(Server(wrong, handler_).Start().error().message, HasSubstr("/nonexistent/tls.crt"));
  ClientOptions nowhere = client_options_;
  nowhere.port = 0;
  EXPECT_EQ(Client(nowhere, recorder_).Start().error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace longshore::streams

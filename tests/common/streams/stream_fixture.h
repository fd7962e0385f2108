// SPDX-License-Identifier: Apache-2.0
//
// A stream server that echoes, clients that record, and a WebSocket spoken by hand.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "common/streams/client.h"
#include "common/streams/server.h"
#include "tests/common/tls/certificates.h"
#include "tests/common/tls/raw_connection.h"

namespace longshore::streams {

// Waits for things said by another thread.
class Diary {
 public:
  void Write(const std::string& line) {
    std::lock_guard lock(mutex_);
    lines_.push_back(line);
    changed_.notify_all();
  }
  // Waits until `count` lines contain `text`. False after 10 s.
  bool Await(const std::string& text, size_t count = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return CountLocked(text) >= count; });
  }
  size_t Count(const std::string& text) {
    std::lock_guard lock(mutex_);
    return CountLocked(text);
  }
  std::string All() {
    std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }

 private:
  size_t CountLocked(const std::string& text) const {
    size_t count = 0;
    for (const std::string& line : lines_) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

// Echoes messages; decides by token: "good…" is welcome, "later" decided on another thread,
// "never" not at all.
class EchoHandler : public ServerHandler {
 public:
  ~EchoHandler() override {
    for (std::thread& thread : threads_) thread.join();
  }
  void Authenticate(const Handshake& handshake, Decision done) override {
    const std::string& token = handshake.bearer_token;
    if (handshake.path != "/v1/agents") return done(NotFound("path"));
    if (token.starts_with("good")) return done("identity of " + token);
    if (token == "denied") return done(Error{Code::kPermissionDenied, "no"});
    if (token == "busy") return done(Unavailable("API server away"));
    if (token == "later") {
      threads_.emplace_back([done] { done("identity of later"); });
      return;
    }
    if (token == "never") {
      undecided = done;
      diary.Write("undecided");
      return;
    }
    done(Error{Code::kUnauthenticated, "unknown"});
  }
  void OnOpen(ConnectionId id, const std::string& path, const std::string& identity) override {
    last_id = id;
    diary.Write("open " + path + " " + identity);
    if (on_open) on_open(id);
  }
  void OnMessage(ConnectionId id, std::string_view message) override {
    diary.Write("message " + std::string(message.substr(0, 100)));
    if (message == "block") {
      std::unique_lock lock(blocking);
    }
    server->Send(id, std::string(message));
  }
  void OnClose(ConnectionId, const std::string& reason) override { diary.Write("close " + reason); }

  Server* server = nullptr;
  Diary diary;
  std::mutex blocking;  // held by a test: "block" stops the server's thread
  Decision undecided;
  std::function<void(ConnectionId)> on_open;  // on the server's thread
  std::atomic<ConnectionId> last_id{0};

 private:
  std::vector<std::thread> threads_;
};

class Recorder : public ClientHandler {
 public:
  void OnOpen() override {
    diary.Write("open");
    if (on_open) on_open();
  }
  void OnMessage(std::string_view message) override {
    diary.Write("message " + std::string(message.substr(0, 100)));
  }
  void OnClose(const std::string& reason) override { diary.Write("close " + reason); }
  Diary diary;
  std::function<void()> on_open;  // on the client's thread
};

class StreamFixture : public ::testing::Test {
 protected:
  StreamFixture() {
    options_.address = "127.0.0.1";
    UseCertificate(authority_.IssueLocalhost());
    client_options_.host = "127.0.0.1";
    client_options_.path = "/v1/agents";
    client_options_.ca_file = folder_.Write("ca.crt", authority_.ca_pem());
    client_options_.token_file = folder_.Write("token", "good\n");
    client_options_.min_backoff = std::chrono::milliseconds(20);
    client_options_.max_backoff = std::chrono::milliseconds(200);
  }
  ~StreamFixture() override {
    client_.reset();
    server_.reset();
  }
  void UseCertificate(const test::Certificate& certificate) {
    options_.certificate_file = folder_.Write("tls.crt", certificate.certificate_pem);
    options_.key_file = folder_.Write("tls.key", certificate.key_pem);
  }
  void StartServer() {
    server_ = std::make_unique<Server>(options_, handler_);
    handler_.server = server_.get();
    const Status started = server_->Start();
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
    options_.port = client_options_.port = server_->port();  // a restart takes the same
  }
  void StartClient() {
    client_ = std::make_unique<Client>(client_options_, recorder_);
    ASSERT_TRUE(client_->Start().has_value());
  }
  void StartBoth() {
    StartServer();
    StartClient();
    ASSERT_TRUE(recorder_.diary.Await("open")) << recorder_.diary.All();
  }

  static std::string UpgradeRequest(const std::string& token = "good") {
    return "GET /v1/agents HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           "Authorization: Bearer " +
           token + "\r\n\r\n";
  }
  // A masked client frame (with the mask 0, which leaves the payload as it is).
  static std::string Frame(char opcode, const std::string& payload) {
    std::string frame = {static_cast<char>(0x80 | opcode),
                         static_cast<char>(0x80 | static_cast<char>(payload.size()))};
    return frame + std::string(4, '\0') + payload;
  }
  test::RawConnection OpenByHand() {
    test::RawConnection raw(options_.port);
    EXPECT_TRUE(raw.StartTls());
    raw.Send(UpgradeRequest());
    EXPECT_THAT(raw.ReadUntil("\r\n\r\n"), ::testing::StartsWith("HTTP/1.1 101 "));
    return raw;
  }

  test::TestAuthority authority_;
  test::TemporaryFolder folder_;
  ServerOptions options_;
  ClientOptions client_options_;
  EchoHandler handler_;
  Recorder recorder_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

}  // namespace longshore::streams

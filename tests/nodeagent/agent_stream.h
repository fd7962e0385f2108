// SPDX-License-Identifier: Apache-2.0
//
// The controller's end of /v1/agents for tests: a real stream server that keeps what agents say.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/messages/agent.pb.h"
#include "common/streams/client.h"
#include "common/streams/server.h"
#include "tests/common/tls/certificates.h"

namespace longshore::nodeagent {

class AgentStream : public streams::ServerHandler {
 public:
  AgentStream() {
    const test::Certificate certificate = authority_.IssueLocalhost();
    options_.address = "127.0.0.1";
    options_.certificate_file = folder_.Write("tls.crt", certificate.certificate_pem);
    options_.key_file = folder_.Write("tls.key", certificate.key_pem);
    ca_file_ = folder_.Write("ca.crt", authority_.ca_pem());
    token_file_ = folder_.Write("token", "agent-token");
  }
  ~AgentStream() override { Stop(); }

  // The same port again after Stop().
  void Start() {
    server_ = std::make_unique<streams::Server>(options_, *this);
    const Status started = server_->Start();
    LS_CHECK(started.has_value());
    options_.port = server_->port();
  }
  void Stop() {
    if (server_ != nullptr) server_->Stop();
    server_.reset();
  }
  streams::ClientOptions Client() const {
    streams::ClientOptions client;
    client.host = "127.0.0.1";
    client.port = options_.port;
    client.path = "/v1/agents";
    client.ca_file = ca_file_;
    client.token_file = token_file_;
    client.min_backoff = std::chrono::milliseconds(20);
    client.max_backoff = std::chrono::milliseconds(100);
    return client;
  }

  // On the stream that was opened last.
  void Send(std::string message) { server_->Send(newest_, std::move(message)); }

  // Waits up to 30 s until the messages so far satisfy the condition.
  using Messages = std::vector<messages::AgentMessage>;
  bool Await(const std::function<bool(const Messages&)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return condition(messages_); });
  }
  Messages All() {
    std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  void Authenticate(const streams::Handshake& handshake, Decision done) override {
    if (handshake.path != "/v1/agents" || handshake.bearer_token != "agent-token") {
      return done(Error{Code::kUnauthenticated, "no"});
    }
    done("agent");
  }
  void OnOpen(streams::ConnectionId id, const std::string&, const std::string&) override {
    newest_ = id;
  }
  void OnMessage(streams::ConnectionId, std::string_view message) override {
    messages::AgentMessage parsed;
    LS_CHECK(parsed.ParseFromArray(message.data(), static_cast<int>(message.size())));
    std::lock_guard lock(mutex_);
    messages_.push_back(std::move(parsed));
    changed_.notify_all();
  }
  void OnClose(streams::ConnectionId, const std::string&) override {}

  test::TestAuthority authority_;
  test::TemporaryFolder folder_;
  streams::ServerOptions options_;
  std::string ca_file_, token_file_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Messages messages_;
  std::atomic<streams::ConnectionId> newest_{0};
  std::unique_ptr<streams::Server> server_;
};

}  // namespace longshore::nodeagent

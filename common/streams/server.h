// SPDX-License-Identifier: Apache-2.0
//
// Long-lived message streams of agents, workers and extenders: WebSocket over TLS carrying one
// Protobuf message per binary frame, thousands of connections on one thread (Boost.Beast, seen by
// server.cc and client.cc only).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace longshore::streams {

using ConnectionId = uint64_t;

struct Handshake {
  std::string path;          // "/v1/agents", "/v1/workers", "/v1/pressure"
  std::string bearer_token;  // from the Authorization header; never log it
  std::string remote_address;
};

// Called on the server's thread, one at a time: never block, never stop the server. `identity` is
// what Authenticate gave. Each OnOpen is followed by one OnClose, also when the server stops.
class ServerHandler {
 public:
  virtual ~ServerHandler() = default;
  // Decides whether the peer may connect; calls `done` once, from any thread, then or later. An
  // error refuses the upgrade: kUnauthenticated 401, kPermissionDenied 403, kResourceExhausted 429,
  // kUnavailable 503; the peer is told its message.
  using Decision = std::function<void(Result<std::string> identity)>;
  virtual void Authenticate(const Handshake& handshake, Decision done) = 0;
  virtual void OnOpen(ConnectionId id, const std::string& path, const std::string& identity) = 0;
  virtual void OnMessage(ConnectionId id, std::string_view message) = 0;
  virtual void OnClose(ConnectionId id, const std::string& reason) = 0;
};

struct ServerOptions {
  std::string address = "0.0.0.0";
  int port = 0;
  std::string certificate_file, key_file;  // re-read when they change
  size_t max_message_bytes = 4u << 20;
  size_t max_connections = 40000;
  size_t max_handshakes = 64;              // in progress at once; later ones wait
  size_t max_send_queue_bytes = 8u << 20;  // per connection; over it the peer is dropped
  std::chrono::milliseconds handshake_timeout{10000};
  std::chrono::milliseconds silence_timeout{10000};  // no byte (pings count) for so long: closed
};

class Server {
 public:
  Server(ServerOptions options, ServerHandler& handler);  // handler outlives the server
  ~Server();
  Status Start();
  int port() const;
  // Queues a message. Thread-safe; messages go out in the order of the calls, also of calls by
  // several threads. Unknown or closed ids are ignored (OnClose says so).
  void Send(ConnectionId id, std::string message);
  void Close(ConnectionId id, const std::string& reason);
  // Runs a function on the server's thread, unless it stops. Thread-safe.
  void Post(std::function<void()> function);
  size_t connections() const;
  void Stop();  // idempotent; joins

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::streams

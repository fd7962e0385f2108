// SPDX-License-Identifier: Apache-2.0
//
// The other end of server.h: keeps one stream to the leader open, reconnects with jittered
// back-off, re-reads its token for each attempt. Runs on one thread of its own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace longshore::streams {

struct ClientOptions {
  std::string host;  // name or address to dial
  int port = 0;
  std::string path;
  std::string server_name;              // checked in the certificate; empty: host
  std::string ca_file;                  // re-read for each attempt
  std::string token_file;               // projected token; re-read for each attempt
  size_t max_message_bytes = 4u << 20;  // of either end: a server's is the same
  size_t max_send_queue_bytes = 8u << 20;
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds ping_interval{2000};
  std::chrono::milliseconds silence_timeout{10000};
  std::chrono::milliseconds min_backoff{200}, max_backoff{5000};
};

// Called on the client's thread, one at a time: never block.
class ClientHandler {
 public:
  virtual ~ClientHandler() = default;
  virtual void OnOpen() = 0;
  virtual void OnMessage(std::string_view message) = 0;
  virtual void OnClose(const std::string& reason) = 0;  // also for each failed attempt
};

class Client {
 public:
  Client(ClientOptions options, ClientHandler& handler);
  ~Client();
  Status Start();
  // Queues a message on the open stream. Thread-safe; messages go out in the order of the calls,
  // also of calls by several threads. Errors: kInvalidArgument for a message that is longer than
  // an end takes (it would cost the stream, and the next one when it is sent again), kUnavailable
  // when not open, kResourceExhausted when the queue is full.
  Status Send(std::string message);
  bool connected() const;
  void Stop();  // idempotent; joins

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::streams

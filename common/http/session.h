// SPDX-License-Identifier: Apache-2.0
//
// What happens on one connection: handshake, requests one after another, replies, goodbye. It runs
// on whatever worker thread of server.cc has it, and gives the thread back as soon as the peer lets
// it wait; only handlers, and streams that the peer takes slowly, hold a thread.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "common/http/connection.h"
#include "common/http/request_parser.h"
#include "common/http/router.h"

namespace longshore::http {

// What all sessions of a server share; outlives them.
struct SessionSettings {
  const ServerOptions& options;
  const Router& router;
  const std::atomic<bool>& stopping;
  std::atomic<size_t>& unsent;      // bytes of replies that peers have not taken yet
  std::atomic<size_t>& unanswered;  // bytes of requests that are here and have no reply yet
};

// Of all connections together, as a multiple of the largest body: over it, the largest unfinished
// requests are dropped. Those below kSmallRequest never are, so that ordinary calls go on.
inline size_t MostUnanswered(const ServerOptions& options) {
  return options.max_body_bytes * 3 / 2;
}
inline constexpr size_t kSmallRequest = 128 << 10;

class Session {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Session(UniqueFd fd, std::string remote_address, const tls::ContextPtr& context,
          const SessionSettings& settings);
  ~Session() {
    settings_.unsent -= output_.size() - sent_;
    settings_.unanswered -= request_bytes_;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  struct Next {
    enum class What { kWaitToRead, kWaitToWrite, kClose } what;
    Time until;  // close, if nothing happens until then
  };
  // Goes as far as it can without waiting for the peer's next bytes.
  Next Advance();

  Next Begin() const { return {Next::What::kWaitToRead, Deadline()}; }
  bool idle() const {
    return state_ == State::kOpen && !parser_.started() && served_ > 0 && output_.empty();
  }
  bool served() const { return served_ > 0; }
  size_t request_bytes() const { return request_bytes_; }
  int fd() const { return connection_.fd(); }
  void Abort() { connection_.Abort(); }  // from any thread

 private:
  using Io = Connection::Io;
  enum class State { kHandshake, kOpen, kLingering };
  Next AdvanceHandshake();
  Next AdvanceOpen();
  Next Linger();
  Next StartLinger();
  Next Wait(Connection::Io io) const;
  Time Deadline() const;
  void SetRequestBytes(size_t bytes);
  bool TooMuchIsUnanswered() const;

  bool Serve();  // true: the connection stays open once the reply has gone
  // Sends as much as the peer takes now; what it doesn't is kept for later. Only when nothing is
  // kept.
  Io Send(std::string bytes);
  Io SendReply(std::string head, std::string body);
  Io Flush();
  Response Dispatch(Request& request, const std::string& target) const;
  bool Reply(Response response, bool keep_alive, bool head_only, bool no_chunks);
  bool ReplyStream(const Response& response, bool chunked);

  const SessionSettings& settings_;
  Connection connection_;
  RequestParser parser_;
  State state_;
  std::string input_;         // read, not yet parsed
  std::string output_;        // not yet all sent; nothing more is read until it is
  size_t sent_ = 0;           // of output_
  size_t reply_bytes_ = 0;    // of the reply that output_ is the rest of
  bool last_reply_ = false;   // the connection ends once output_ is sent
  size_t request_bytes_ = 0;  // of what is being read or handled; part of settings_.unanswered
  uint64_t served_ = 0;
  Time since_;  // of the present state, request or idleness
};

}  // namespace longshore::http

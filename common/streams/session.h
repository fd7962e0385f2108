// SPDX-License-Identifier: Apache-2.0
//
// One connection of the stream server, from its first byte to its end. Lives on the server's
// thread; server.cc owns it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "common/base/mutex.h"
#include "common/streams/server.h"
#include "common/streams/websocket.h"

namespace longshore::streams {

// The way from other threads to the server's: shut when it stops, so that a decision about a
// handshake may come however late.
struct Gate {
  explicit Gate(asio::io_context& given) : io(&given) {}
  void Post(std::function<void()> function) {
    MutexLock lock(mutex);
    if (io != nullptr) asio::post(*io, std::move(function));
  }
  void Shut() {
    MutexLock lock(mutex);
    io = nullptr;
  }
  Mutex mutex;
  asio::io_context* io LS_GUARDED_BY(mutex);
};

class Session;

// What a session needs of its server, which outlives it.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const ServerOptions& options() const = 0;
  virtual ServerHandler& handler() = 0;
  virtual std::shared_ptr<Gate> gate() = 0;
  // A handshake costs most of a connection's CPU time: Handshake() is called when it may begin,
  // ReturnSlot when it is over, well or not.
  virtual void AwaitSlot(const std::shared_ptr<Session>& session) = 0;
  virtual void ReturnSlot(Session& session) = 0;
  virtual void OnOpened() = 0;
  virtual void OnEnded(Session& session) = 0;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Session(SessionHost& host, ConnectionId id, Socket socket, tls::ContextPtr context)
      : id(id), host_(host), socket_(std::move(socket), std::move(context)) {
    error_code ignored;
    remote_ = Lowest().remote_endpoint(ignored).address().to_string(ignored);
    Lowest().set_option(tcp::no_delay(true), ignored);
  }

  void Begin();
  void Handshake();
  void Enqueue(std::string message);
  void CloseGently(const std::string& reason);
  // The end, from whatever stage. Says `reason` to the handler, if it knew the connection.
  void End(const std::string& reason);
  // Room is taken before the message is handed over; false when the peer is to be dropped.
  bool Reserve(size_t bytes) {
    return queued_bytes_.fetch_add(bytes) + bytes <= host_.options().max_send_queue_bytes;
  }
  bool Expired(Time now) const {
    return now - last_byte_ >
           (open_ ? host_.options().silence_timeout : host_.options().handshake_timeout);
  }
  bool open() const { return open_; }
  bool ended() const { return ended_; }
  // Of the peer; while it shakes hands, of its last step.
  Time last_byte() const { return last_byte_; }
  // Whether it has sent nothing that is not read yet. One that has waits for us.
  bool PeerSilent();
  // Whether the peer has given up: it has closed its end, whatever it sent before.
  bool PeerGone();

  const ConnectionId id;
  bool has_slot = false;

 private:
  Socket& Lowest() { return socket_.next_layer().socket(); }
  // Whether poll(2) reports the event, an end or an error of the connection now.
  bool Has(short event);
  void OnTlsDone(error_code error);
  void OnUpgradeRequest(error_code error);
  void Decide(const Result<std::string>& identity);
  void Refuse(http::status status, const std::string& why = "");
  void Linger();
  void Drain();
  void OnOpen(error_code error, const std::string& identity);
  void Read();
  void Write();

  SessionHost& host_;
  WebSocket socket_;
  std::string remote_, path_;
  beast::flat_buffer buffer_;
  std::unique_ptr<http::request_parser<http::empty_body>> upgrade_;
  std::unique_ptr<http::response<http::empty_body>> refusal_;
  asio::steady_timer linger_{socket_.get_executor()};
  std::array<char, 512> scrap_;
  std::deque<std::string> queue_;
  std::atomic<size_t> queued_bytes_{0};
  std::string close_reason_;
  Time last_byte_ = std::chrono::steady_clock::now();
  bool open_ = false, ended_ = false, writing_ = false, closing_ = false;
};

}  // namespace longshore::streams

// SPDX-License-Identifier: Apache-2.0
//
// See server.h. Everything runs on one thread; other threads only post to it. A connection goes
// through: accepted (waits for its first byte) -> in line for a handshake slot -> TLS and upgrade
// request -> authenticated by the handler -> open -> closed. Silence ends it at each stage.
#include "common/streams/server.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <thread>
#include <unordered_map>

#include "common/base/mutex.h"
#include "common/streams/session.h"
#include "common/tls/reloader.h"

namespace longshore::streams {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kBacklog = 4096;
// A peer that keeps its handshake waiting for so long gives way to one that waits: a flood of
// half-open ones stops nobody. That its steps wait for the messages of thousands of other streams
// is not its doing.
constexpr auto kFairHandshakeTime = std::chrono::seconds(1);
constexpr size_t kStorm = 500;  // handshakes
constexpr int kAcceptedAtOnce = 64;
constexpr auto kQuiet = std::chrono::seconds(5);

}  // namespace

class Server::Impl final : public SessionHost {
 public:
  Impl(ServerOptions given, ServerHandler& handler);
  Status Start();
  void Stop();
  void Send(ConnectionId id, std::string message);
  void Close(ConnectionId id, const std::string& reason);

  // For sessions.
  const ServerOptions& options() const override { return options_; }
  ServerHandler& handler() override { return handler_; }
  std::shared_ptr<Gate> gate() override { return gate_; }
  void AwaitSlot(const std::shared_ptr<Session>& session) override;
  void ReturnSlot(Session& session) override;
  void OnOpened() override { ++open_count; }
  void OnEnded(Session& session) override LS_EXCLUDES(mutex_);

  int port = 0;
  std::atomic<size_t> open_count{0};

 private:
  using SessionPtr = std::shared_ptr<Session>;

  Status Listen();
  void Accept();
  void Admit(Socket socket);
  void Sweep();
  void StopOnThread();
  void GrantSlots();
  void Flush() LS_EXCLUDES(mutex_);
  void TrimAfterStorm(Clock::time_point now);

  const ServerOptions options_;
  asio::io_context io_{1};
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>(io_);
  ServerHandler& handler_;
  tls::Reloader certificates_;
  Acceptor acceptor_{io_};
  asio::steady_timer sweep_timer_{io_};
  std::thread thread_;
  std::atomic<bool> started_{false}, stopping_{false};
  ConnectionId next_id_ = 1;
  std::deque<std::weak_ptr<Session>> waiting_;  // for a slot
  std::deque<std::weak_ptr<Session>> shaking_;  // in a slot
  size_t slots_used_ = 0;
  size_t total_ = 0;  // of connections in whatever stage
  size_t handshakes_since_trim_ = 0;
  Clock::time_point last_handshake_;
  struct Outgoing {
    SessionPtr session;  // moved on to the server's thread, which must be its last owner
    bool fits;
    std::string message;
  };
  Mutex mutex_;  // for Send from other threads; taken for the look-up only
  std::unordered_map<ConnectionId, SessionPtr> sessions_ LS_GUARDED_BY(mutex_);
  std::deque<Outgoing> outbox_ LS_GUARDED_BY(mutex_);  // what Flush() has not seen
};

Server::Impl::Impl(ServerOptions given, ServerHandler& handler)
    : options_(std::move(given)),
      handler_(handler),
      certificates_({options_.certificate_file, options_.key_file, ""}) {}

Status Server::Impl::Listen() {
  error_code error;
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) return InvalidArgument("listen address \"" + options_.address + "\"");
  const tcp::endpoint endpoint(address, static_cast<uint16_t>(options_.port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(kBacklog, error);
  if (!error) acceptor_.non_blocking(true, error);
  if (error) {
    return Unavailable("listen on " + options_.address + ":" + std::to_string(options_.port) +
                       ": " + error.message());
  }
  port = acceptor_.local_endpoint(error).port();
  return {};
}

Status Server::Impl::Start() {
  std::signal(SIGPIPE, SIG_IGN);
  LS_RETURN_IF_ERROR(certificates_.Load());
  LS_RETURN_IF_ERROR(Listen());
  started_ = true;
  Accept();
  Sweep();
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "ls-streams");
    const auto work = asio::make_work_guard(io_);
    io_.run();
  });
  return {};
}

void Server::Impl::Accept() {
  acceptor_.async_accept([this](error_code error, Socket socket) {
    if (stopping_) return;
    if (error) {  // out of descriptors: sessions that end make room; don't spin until then
      auto pause = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(50));
      return pause->async_wait([this, pause](error_code) { Accept(); });
    }
    Admit(std::move(socket));
    // One at a time, between messages of thousands of streams, those who wait would give up.
    for (int more = 1; more < kAcceptedAtOnce; ++more) {
      Socket next(io_);
      acceptor_.accept(next, error);
      if (error) break;  // nobody waits; or what Accept() meets again
      Admit(std::move(next));
    }
    Accept();
  });
}

void Server::Impl::Admit(Socket socket) {
  if (total_ >= options_.max_connections) return;
  ++total_;
  const auto session =
      std::make_shared<Session>(*this, next_id_++, std::move(socket), certificates_.Get());
  {
    MutexLock lock(mutex_);
    sessions_.emplace(session->id, session);
  }
  session->Begin();
}

void Server::Impl::AwaitSlot(const SessionPtr& session) {
  waiting_.push_back(session);
  GrantSlots();
}

void Server::Impl::GrantSlots() {
  while (slots_used_ < options_.max_handshakes && !waiting_.empty()) {
    const SessionPtr session = waiting_.front().lock();
    waiting_.pop_front();
    if (!session || session->ended()) continue;
    // Thousands that come at once wait longer than many of them are willing to. A handshake for one
    // that has left would make the next one wait that much longer, until all have left.
    if (session->PeerGone()) {
      session->End("left before its turn");
      continue;
    }
    ++slots_used_;
    shaking_.push_back(session);
    session->Handshake();
  }
}

void Server::Impl::ReturnSlot(Session& session) {
  if (!std::exchange(session.has_slot, false)) return;
  --slots_used_;
  ++handshakes_since_trim_;
  last_handshake_ = Clock::now();
  if (!stopping_) GrantSlots();
}

void Server::Impl::OnEnded(Session& session) {
  if (session.open()) --open_count;
  --total_;
  MutexLock lock(mutex_);
  sessions_.erase(session.id);
}

void Server::Impl::Sweep() {
  if (stopping_) return;
  std::vector<SessionPtr> expired;
  const auto now = Clock::now();
  {
    MutexLock lock(mutex_);
    for (const auto& [id, session] : sessions_) {
      if (session->Expired(now)) expired.push_back(session);
    }
  }
  for (const SessionPtr& session : expired) session->End("silent");
  std::erase_if(shaking_, [](const auto& weak) {
    const SessionPtr session = weak.lock();
    return !session || !session->has_slot;
  });
  for (const auto& weak : std::deque<std::weak_ptr<Session>>(shaking_)) {
    const SessionPtr session = weak.lock();
    if (waiting_.empty()) break;
    if (session && now - session->last_byte() > kFairHandshakeTime && session->PeerSilent()) {
      session->End("handshake slower than others that wait");
    }
  }
  TrimAfterStorm(now);
  const auto often = std::min(options_.silence_timeout, options_.handshake_timeout) / 4;
  sweep_timer_.expires_after(std::clamp<std::chrono::milliseconds>(
      often, std::chrono::milliseconds(10), std::chrono::milliseconds(500)));
  sweep_timer_.async_wait([this](error_code error) {
    if (!error) Sweep();
  });
}

// Handshakes leave a heap full of holes (with 5000 agents, half of what the process has): given
// back once a storm of them is over. Takes some 30 ms.
void Server::Impl::TrimAfterStorm(Clock::time_point now) {
  if (handshakes_since_trim_ < kStorm || slots_used_ > 0 || now - last_handshake_ < kQuiet) return;
  handshakes_since_trim_ = 0;
  ::malloc_trim(0);
}

void Server::Impl::Send(ConnectionId id, std::string message) {
  {
    MutexLock lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    const bool fits = found->second->Reserve(message.size());
    outbox_.push_back({found->second, fits, std::move(message)});
  }
  // Asio keeps what its own thread posts until the handler returns, and lets other threads' pass
  // it: the order is the outbox's.
  asio::post(io_, [this] { Flush(); });
}

void Server::Impl::Flush() {
  std::deque<Outgoing> outgoing;
  {
    MutexLock lock(mutex_);
    outgoing.swap(outbox_);
  }
  for (Outgoing& each : outgoing) {
    if (each.fits) {
      each.session->Enqueue(std::move(each.message));
    } else {
      each.session->End("too slow: the send queue is full");
    }
  }
}

void Server::Impl::Close(ConnectionId id, const std::string& reason) {
  asio::post(io_, [this, id, reason] {
    SessionPtr session;
    {
      MutexLock lock(mutex_);
      if (const auto found = sessions_.find(id); found != sessions_.end()) session = found->second;
    }
    if (session) session->CloseGently(reason);
  });
}

void Server::Impl::StopOnThread() {
  error_code ignored;
  acceptor_.close(ignored);
  sweep_timer_.cancel();
  std::vector<SessionPtr> all;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, session] : sessions_) all.push_back(session);
  }
  for (const SessionPtr& session : all) session->End("the server stops");
  io_.stop();
}

void Server::Impl::Stop() {
  if (!started_ || stopping_.exchange(true)) return;
  gate_->Shut();
  asio::post(io_, [this] { StopOnThread(); });
  thread_.join();
}

Server::Server(ServerOptions options, ServerHandler& handler)
    : impl_(std::make_unique<Impl>(std::move(options), handler)) {}
Server::~Server() { Stop(); }
Status Server::Start() { return impl_->Start(); }
int Server::port() const { return impl_->port; }
void Server::Send(ConnectionId id, std::string message) { impl_->Send(id, std::move(message)); }
void Server::Close(ConnectionId id, const std::string& reason) { impl_->Close(id, reason); }
void Server::Post(std::function<void()> function) { impl_->gate()->Post(std::move(function)); }
size_t Server::connections() const { return impl_->open_count; }
void Server::Stop() { impl_->Stop(); }

}  // namespace longshore::streams

// SPDX-License-Identifier: Apache-2.0
//
// See client.h. One thread runs everything; an Attempt is one connection from the name's look-up to
// its end, after which the next one is made with a random delay.
#include "common/streams/client.h"

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <random>
#include <thread>

#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/log_limit.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/streams/websocket.h"
#include "common/tls/context.h"

namespace longshore::streams {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kMaxTokenBytes = 16 << 10;

struct Credentials {
  tls::ContextPtr context;
  std::string token;
};

// Reads the files anew: both are renewed while the process runs.
Result<Credentials> ReadCredentials(const ClientOptions& options, const std::string& server_name) {
  LS_ASSIGN_OR_RETURN(const std::string ca_pem, ReadFile(options.ca_file, size_t{1} << 20));
  LS_ASSIGN_OR_RETURN(const std::string token, ReadFile(options.token_file, kMaxTokenBytes));
  Credentials credentials;
  credentials.token = Trim(token);
  const bool printable = std::all_of(credentials.token.begin(), credentials.token.end(),
                                     [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (credentials.token.empty() || !printable) {
    return InvalidArgument(options.token_file + " holds no token");
  }
  credentials.context.reset(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!credentials.context) return Internal("no TLS context");
  auto configured = tls::ConfigureClient(credentials.context.get(), {ca_pem, "", "", server_name});
  if (!configured) return Annotate(std::move(configured).error(), options.ca_file);
  return credentials;
}

}  // namespace

class Client::Impl {
 public:
  Impl(ClientOptions given, ClientHandler& handler)
      : options(std::move(given)), handler_(handler) {}
  Status Start();
  Status Send(std::string message);
  void Stop();

  bool connected() LS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return open_;
  }
  const ClientOptions options;

 private:
  class Attempt;
  std::string ServerName() const {
    return options.server_name.empty() ? options.host : options.server_name;
  }
  void Connect();
  void OnOpen();
  void Flush() LS_EXCLUDES(mutex_);
  void OnWritten(size_t bytes) LS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    queued_bytes_ -= bytes;
  }
  void OnEnd(const std::string& reason, bool was_open);

  ClientHandler& handler_;
  asio::io_context io_{1};
  asio::steady_timer retry_{io_};
  std::shared_ptr<Attempt> attempt_;
  Mutex mutex_;
  bool open_ LS_GUARDED_BY(mutex_) = false;
  // Of the open stream: what Send() was given and Flush() has not seen, and the bytes of that and
  // of what is being written.
  std::deque<std::string> outbox_ LS_GUARDED_BY(mutex_);
  size_t queued_bytes_ LS_GUARDED_BY(mutex_) = 0;
  std::chrono::milliseconds backoff_{0};
  Clock::time_point opened_at_;
  std::mt19937_64 random_{std::random_device{}()};
  std::thread thread_;
  LogRate too_long_;
  std::atomic<bool> started_{false}, stopping_{false};
};

class Client::Impl::Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(Impl& client, Credentials credentials)
      : client_(client),
        credentials_(std::move(credentials)),
        resolver_(client.io_),
        timer_(client.io_),
        socket_(Socket(client.io_), credentials_.context) {}

  void Begin();
  void Enqueue(std::string message);
  void End(const std::string& reason);

 private:
  Socket& Lowest() { return socket_.next_layer().socket(); }
  void Dial(const tcp::resolver::results_type& addresses);
  void OnConnected(error_code error);
  void OnTlsDone(error_code error);
  void OnUpgraded(error_code error);
  void Watch();
  void Read();
  void Write();
  std::string TlsFailure(error_code error);

  Impl& client_;
  Credentials credentials_;
  tcp::resolver resolver_;
  asio::steady_timer timer_;
  WebSocket socket_;
  websocket::response_type response_;
  beast::flat_buffer buffer_;
  std::deque<std::string> queue_;
  Clock::time_point last_byte_ = Clock::now();
  bool open_ = false, ended_ = false, writing_ = false, pinging_ = false;
};

void Client::Impl::Attempt::Begin() {
  timer_.expires_after(client_.options.connect_timeout);
  timer_.async_wait([weak = weak_from_this()](error_code error) {
    const auto self = weak.lock();
    if (!error && self && !self->open_) self->End("not connected within the time-out");
  });
  error_code not_an_address;
  const auto address = asio::ip::make_address(client_.options.host, not_an_address);
  const auto port = static_cast<uint16_t>(client_.options.port);
  if (!not_an_address) {
    return Dial(tcp::resolver::results_type::create(tcp::endpoint(address, port), "", ""));
  }
  resolver_.async_resolve(
      client_.options.host, std::to_string(port),
      [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
        if (error)
          return self->End("look-up of " + self->client_.options.host + ": " + error.message());
        if (!self->ended_) self->Dial(found);
      });
}

void Client::Impl::Attempt::Dial(const tcp::resolver::results_type& addresses) {
  asio::async_connect(Lowest(), addresses,
                      [self = shared_from_this()](error_code error, const tcp::endpoint&) {
                        self->OnConnected(error);
                      });
}

void Client::Impl::Attempt::OnConnected(error_code error) {
  if (error || ended_) return End("connect: " + error.message());
  Lowest().set_option(tcp::no_delay(true), error);
  socket_.next_layer().Start(TlsStream::Role::kClient);
  const std::string name = client_.ServerName();
  error_code not_an_address;
  asio::ip::make_address(name, not_an_address);
  if (not_an_address) {  // addresses are no SNI
    SSL_set_tlsext_host_name(socket_.next_layer().ssl(), name.c_str());
  }
  socket_.next_layer().async_handshake(
      [self = shared_from_this()](error_code failed) { self->OnTlsDone(failed); });
}

std::string Client::Impl::Attempt::TlsFailure(error_code error) {
  const auto verdict = SSL_get_verify_result(socket_.next_layer().ssl());
  if (verdict == X509_V_OK) return "TLS handshake: " + error.message();
  return "TLS verification of \"" + client_.ServerName() +
         "\" failed: " + X509_verify_cert_error_string(verdict);
}

void Client::Impl::Attempt::OnTlsDone(error_code error) {
  if (error || ended_) return End(TlsFailure(error));
  Tune(socket_, client_.options.max_message_bytes);
  socket_.set_option(websocket::stream_base::decorator(
      [token = std::move(credentials_.token)](websocket::request_type& request) {
        request.set(http::field::authorization, "Bearer " + token);
        request.set(http::field::user_agent, "longshore");
      }));
  socket_.control_callback(
      [this](websocket::frame_type, beast::string_view) { last_byte_ = Clock::now(); });
  socket_.async_handshake(
      response_, client_.ServerName() + ":" + std::to_string(client_.options.port),
      client_.options.path,
      [self = shared_from_this()](error_code failed) { self->OnUpgraded(failed); });
}

void Client::Impl::Attempt::OnUpgraded(error_code error) {
  if (error == websocket::error::upgrade_declined) {
    return End("the server refused the stream: HTTP " + std::to_string(response_.result_int()) +
               " " + std::string(View(response_.reason())));
  }
  if (error || ended_) return End("upgrade: " + error.message());
  open_ = true;
  last_byte_ = Clock::now();
  socket_.set_option(websocket::stream_base::decorator([](websocket::request_type&) {}));
  Watch();
  client_.OnOpen();
  if (!ended_) Read();
}

// Pings and looks for silence, every ping interval.
void Client::Impl::Attempt::Watch() {
  timer_.expires_after(client_.options.ping_interval);
  timer_.async_wait([weak = weak_from_this()](error_code error) {
    const auto self = weak.lock();
    if (error || !self || self->ended_) return;
    if (Clock::now() - self->last_byte_ > self->client_.options.silence_timeout) {
      return self->End("the server is silent");
    }
    if (!std::exchange(self->pinging_, true)) {
      self->socket_.async_ping({}, [self](error_code) { self->pinging_ = false; });
    }
    self->Watch();
  });
}

void Client::Impl::Attempt::Read() {
  socket_.async_read(buffer_, [self = shared_from_this()](error_code error, size_t) {
    if (self->ended_) return;
    if (error) {
      const std::string said(View(self->socket_.reason().reason.c_str()));
      return self->End(error == websocket::error::closed && !said.empty() ? said : error.message());
    }
    self->last_byte_ = Clock::now();
    const auto data = self->buffer_.cdata();
    self->client_.handler_.OnMessage({static_cast<const char*>(data.data()), data.size()});
    self->buffer_.consume(self->buffer_.size());
    if (self->buffer_.capacity() > (16 << 10)) self->buffer_.shrink_to_fit();
    if (!self->ended_) self->Read();
  });
}

void Client::Impl::Attempt::Enqueue(std::string message) {
  if (!open_ || ended_) return;
  queue_.push_back(std::move(message));
  if (!writing_) Write();
}

void Client::Impl::Attempt::Write() {
  writing_ = true;
  socket_.async_write(asio::buffer(queue_.front()),
                      [self = shared_from_this()](error_code error, size_t) {
                        self->writing_ = false;
                        if (error || self->ended_) return self->End("write: " + error.message());
                        self->client_.OnWritten(self->queue_.front().size());
                        self->queue_.pop_front();
                        if (!self->queue_.empty()) self->Write();
                      });
}

void Client::Impl::Attempt::End(const std::string& reason) {
  if (std::exchange(ended_, true)) return;
  error_code ignored;
  timer_.cancel();
  resolver_.cancel();
  Lowest().close(ignored);
  client_.OnEnd(reason, open_);
}

void Client::Impl::OnOpen() {
  opened_at_ = Clock::now();
  {
    MutexLock lock(mutex_);
    queued_bytes_ = 0;
    open_ = true;
  }
  handler_.OnOpen();
}

void Client::Impl::OnEnd(const std::string& reason, bool was_open) {
  {
    MutexLock lock(mutex_);
    open_ = false;
    outbox_.clear();  // meant for a stream that is gone: what it says may be stale
  }
  handler_.OnClose(reason);
  if (stopping_) return;
  // Only a stream that lasted shows that the server wants us.
  const bool lasted = was_open && Clock::now() - opened_at_ > options.max_backoff;
  backoff_ = lasted || backoff_.count() == 0 ? options.min_backoff
                                             : std::min(backoff_ * 2, options.max_backoff);
  std::uniform_int_distribution<int64_t> spread(options.min_backoff.count() / 2, backoff_.count());
  retry_.expires_after(std::chrono::milliseconds(spread(random_)));
  retry_.async_wait([this](error_code error) {
    if (!error) Connect();
  });
}

void Client::Impl::Connect() {
  if (stopping_) return;
  auto credentials = ReadCredentials(options, ServerName());
  if (!credentials) return OnEnd(credentials.error().message, false);
  attempt_ = std::make_shared<Attempt>(*this, *std::move(credentials));
  attempt_->Begin();
}

Status Client::Impl::Start() {
  if (options.host.empty() || options.port < 1 || options.port > 65535 ||
      !options.path.starts_with('/')) {
    return InvalidArgument("stream to \"" + options.host + ":" + std::to_string(options.port) +
                           options.path + "\"");
  }
  std::signal(SIGPIPE, SIG_IGN);
  started_ = true;
  asio::post(io_, [this] { Connect(); });
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "ls-stream");
    const auto work = asio::make_work_guard(io_);
    io_.run();
  });
  return {};
}

Status Client::Impl::Send(std::string message) {
  if (message.size() > options.max_message_bytes) {
    if (const auto left_out = too_long_.Admit()) {
      LogWarn("a message is longer than the server takes, and is not sent",
              {{"host", options.host}, {"bytes", message.size()}, {"leftOut", *left_out}});
    }
    return InvalidArgument("a message of " + std::to_string(message.size()) + " bytes to " +
                           options.host + ": at most " + std::to_string(options.max_message_bytes));
  }
  {
    MutexLock lock(mutex_);
    if (!open_) return Unavailable("the stream to " + options.host + " is not open");
    if (queued_bytes_ + message.size() > options.max_send_queue_bytes) {
      return Error{Code::kResourceExhausted, "the send queue to " + options.host + " is full"};
    }
    queued_bytes_ += message.size();
    outbox_.push_back(std::move(message));
  }
  // Asio keeps what its own thread posts until the handler returns, and lets other threads' pass
  // it: the order is the outbox's.
  asio::post(io_, [this] { Flush(); });
  return {};
}

void Client::Impl::Flush() {
  std::deque<std::string> messages;
  {
    MutexLock lock(mutex_);
    messages.swap(outbox_);
  }
  for (std::string& message : messages) attempt_->Enqueue(std::move(message));
}

void Client::Impl::Stop() {
  if (!started_ || stopping_.exchange(true)) return;
  asio::post(io_, [this] {
    retry_.cancel();
    if (attempt_) attempt_->End("stopped");
    io_.stop();
  });
  thread_.join();
}

Client::Client(ClientOptions options, ClientHandler& handler)
    : impl_(std::make_unique<Impl>(std::move(options), handler)) {}
Client::~Client() { Stop(); }
Status Client::Start() { return impl_->Start(); }
Status Client::Send(std::string message) { return impl_->Send(std::move(message)); }
bool Client::connected() const { return impl_->connected(); }
void Client::Stop() { impl_->Stop(); }

}  // namespace longshore::streams

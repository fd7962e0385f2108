// SPDX-License-Identifier: Apache-2.0
//
// See session.h.
#include "common/streams/session.h"

#include <poll.h>

#include "common/base/strings.h"

namespace longshore::streams {
namespace {

using Clock = std::chrono::steady_clock;
using RequestParser = http::request_parser<http::empty_body>;
constexpr uint32_t kMaxHeaderBytes = 32 << 10;
constexpr size_t kLongestReason = 200;

http::status RefusalStatus(Code code) {
  switch (code) {
    case Code::kUnauthenticated:
      return http::status::unauthorized;
    case Code::kPermissionDenied:
      return http::status::forbidden;
    case Code::kNotFound:
      return http::status::not_found;
    case Code::kInvalidArgument:
      return http::status::bad_request;
    case Code::kResourceExhausted:
      return http::status::too_many_requests;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kCancelled:
      return http::status::service_unavailable;
    default:
      return http::status::internal_server_error;
  }
}

std::string PlainLine(std::string text) {
  if (text.size() > kLongestReason) text.resize(kLongestReason);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = ' ';
  }
  return text;
}

}  // namespace

// A silent connection costs a descriptor, no handshake slot.
void Session::Begin() {
  Lowest().async_wait(Socket::wait_read, [self = shared_from_this()](error_code error) {
    if (error) return self->End("closed before the handshake");
    self->host_.AwaitSlot(self);
  });
}

bool Session::PeerGone() { return Has(POLLRDHUP); }
bool Session::PeerSilent() { return !Has(POLLIN); }

bool Session::Has(short event) {
  pollfd peer{Lowest().native_handle(), event, 0};
  return ::poll(&peer, 1, 0) == 1;  // an end or an error is reported without being asked for
}

void Session::Handshake() {
  has_slot = true;
  last_byte_ = Clock::now();
  socket_.next_layer().Start(TlsStream::Role::kServer);
  socket_.next_layer().async_handshake(
      [self = shared_from_this()](error_code error) { self->OnTlsDone(error); });
}

void Session::OnTlsDone(error_code error) {
  if (error) return End("TLS handshake: " + error.message());
  last_byte_ = Clock::now();
  upgrade_ = std::make_unique<RequestParser>();
  upgrade_->header_limit(kMaxHeaderBytes);
  http::async_read_header(
      socket_.next_layer(), buffer_, *upgrade_,
      [self = shared_from_this()](error_code failed, size_t) { self->OnUpgradeRequest(failed); });
}

void Session::OnUpgradeRequest(error_code error) {
  host_.ReturnSlot(*this);
  if (error || ended_) return End("upgrade request: " + error.message());
  last_byte_ = Clock::now();
  const auto& request = upgrade_->get();
  if (!websocket::is_upgrade(request) || buffer_.size() > 0) {
    return Refuse(http::status::bad_request);
  }
  const std::string_view target = View(request.target());
  path_ = target.substr(0, target.find('?'));
  const std::string_view authorization = View(request[http::field::authorization]);
  std::string token;
  if (ToLower(authorization.substr(0, 7)) == "bearer ") token = Trim(authorization.substr(7));
  if (token.empty()) return Refuse(http::status::unauthorized);
  const auto decide = [weak = weak_from_this(), gate = host_.gate()](Result<std::string> identity) {
    gate->Post([weak, identity = std::move(identity)] {
      if (const auto self = weak.lock()) self->Decide(identity);
    });
  };
  host_.handler().Authenticate({path_, std::move(token), remote_}, decide);
}

void Session::Decide(const Result<std::string>& identity) {
  if (ended_ || open_ || refusal_ || !upgrade_) return;
  // Whoever refused it logs it, as often as it wants.
  if (!identity) return Refuse(RefusalStatus(identity.error().code), identity.error().message);
  const auto request = std::make_shared<RequestParser::value_type>(upgrade_->release());
  upgrade_.reset();
  socket_.async_accept(*request, [self = shared_from_this(), request, identity = *identity](
                                     error_code error) { self->OnOpen(error, identity); });
}

void Session::Refuse(http::status status, const std::string& why) {
  refusal_ = std::make_unique<http::response<http::empty_body>>(status, 11);
  // In the reason phrase, which the client has at hand and logs: one line of plain characters.
  if (!why.empty()) refusal_->reason(PlainLine(why));
  refusal_->set(http::field::content_length, "0");
  refusal_->set(http::field::connection, "close");
  if (status == http::status::unauthorized) {
    refusal_->set(http::field::www_authenticate, "Bearer");
  }
  http::async_write(socket_.next_layer(), *refusal_,
                    [self = shared_from_this()](error_code, size_t) { self->Linger(); });
}

// Closing at once, with bytes of the peer unread, would reset the connection and lose the refusal.
void Session::Linger() {
  socket_.next_layer().Shutdown();
  linger_.expires_after(std::chrono::milliseconds(500));
  linger_.async_wait([weak = weak_from_this()](error_code) {
    if (const auto self = weak.lock()) self->End("refused");
  });
  Drain();
}

void Session::Drain() {
  Lowest().async_read_some(asio::buffer(scrap_),
                           [self = shared_from_this()](error_code error, size_t) {
                             if (error || self->ended_) return self->End("refused");
                             self->Drain();
                           });
}

void Session::OnOpen(error_code error, const std::string& identity) {
  if (error || ended_) return End("upgrade: " + error.message());
  open_ = true;
  host_.OnOpened();
  last_byte_ = Clock::now();
  Tune(socket_, host_.options().max_message_bytes);
  socket_.control_callback([this](websocket::frame_type, beast::string_view) {
    last_byte_ = Clock::now();  // Beast answers pings itself
  });
  host_.handler().OnOpen(id, path_, identity);
  Read();
}

void Session::Read() {
  socket_.async_read(buffer_, [self = shared_from_this()](error_code error, size_t) {
    if (self->ended_) return;
    if (error) {
      const std::string said(View(self->socket_.reason().reason.c_str()));
      return self->End(error == websocket::error::closed && !said.empty() ? said : error.message());
    }
    self->last_byte_ = Clock::now();
    if (!self->socket_.got_binary()) return self->CloseGently("text message");
    const auto data = self->buffer_.cdata();
    self->host_.handler().OnMessage(self->id, {static_cast<const char*>(data.data()), data.size()});
    self->buffer_.consume(self->buffer_.size());
    // A rare large message must not keep its memory for the life of the connection.
    if (self->buffer_.capacity() > (16 << 10)) self->buffer_.shrink_to_fit();
    if (!self->ended_) self->Read();
  });
}

void Session::Enqueue(std::string message) {
  if (!open_ || ended_ || closing_) return;
  queue_.push_back(std::move(message));
  if (!writing_) Write();
}

void Session::Write() {
  writing_ = true;
  socket_.async_write(asio::buffer(queue_.front()),
                      [self = shared_from_this()](error_code error, size_t) {
                        self->writing_ = false;
                        if (error || self->ended_) return self->End("write: " + error.message());
                        self->queued_bytes_ -= self->queue_.front().size();
                        self->queue_.pop_front();
                        if (!self->queue_.empty() && !self->closing_) self->Write();
                      });
}

void Session::CloseGently(const std::string& reason) {
  if (ended_ || closing_) return;
  if (!open_) return End(reason);
  closing_ = true;  // the sweep ends it, should the peer not answer
  close_reason_ = reason;
  const websocket::close_reason said(websocket::close_code::policy_error,
                                     reason.substr(0, 120));  // fits into a control frame
  socket_.async_close(said,
                      [self = shared_from_this()](error_code) { self->End(self->close_reason_); });
}

void Session::End(const std::string& reason) {
  if (std::exchange(ended_, true)) return;
  error_code ignored;
  Lowest().close(ignored);
  host_.ReturnSlot(*this);
  const auto alive = shared_from_this();
  host_.OnEnded(*this);
  if (!open_) return;
  host_.handler().OnClose(id, close_reason_.empty() ? reason : close_reason_);
}

}  // namespace longshore::streams

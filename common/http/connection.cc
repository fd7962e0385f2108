// SPDX-License-Identifier: Apache-2.0
//
// See connection.h.
#include "common/http/connection.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace longshore::http {
namespace {

constexpr size_t kReadBytes = 64 << 10;

SSL* NewSsl(int fd, const tls::ContextPtr& context) {
  SSL* ssl = SSL_new(context.get());  // null is noticed by Handshake
  if (ssl == nullptr) return nullptr;
  SSL_set_fd(ssl, fd);
  SSL_set_accept_state(ssl);
  // Buffers released between records: 34 KiB less for each connection that rests.
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                        SSL_MODE_RELEASE_BUFFERS);
  SSL_set_read_ahead(ssl, 1);
  return ssl;
}

}  // namespace

Connection::Connection(UniqueFd fd, std::string remote_address, const tls::ContextPtr& context)
    : fd_(std::move(fd)), remote_address_(std::move(remote_address)), context_(context) {}

Connection::Io Connection::Outcome(int result) {
  if (result > 0) return Io::kOk;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Io::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kClosed;
    default:
      tls_usable_ = false;
      ERR_clear_error();
      return Io::kClosed;
  }
}

Connection::Io Connection::Handshake() {
  if (!ssl_) ssl_.reset(NewSsl(fd(), context_));
  if (!ssl_) return Io::kClosed;
  ERR_clear_error();
  const Io io = Outcome(SSL_accept(ssl_.get()));
  if (io == Io::kOk) tls_usable_ = true;
  return io;
}

Connection::Io Connection::Read(std::string& buffer) {
  // Not into `buffer` itself, which would stay as large as the largest read that there could be.
  thread_local char arrived[kReadBytes];
  Io io;
  size_t got = 0;
  if (ssl_) {
    ERR_clear_error();
    io = Outcome(SSL_read_ex(ssl_.get(), arrived, kReadBytes, &got));
  } else {
    const ssize_t n = ::recv(fd(), arrived, kReadBytes, 0);
    got = n > 0 ? static_cast<size_t>(n) : 0;
    const bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
    io = n > 0 ? Io::kOk : later ? Io::kWantRead : Io::kClosed;
  }
  buffer.append(arrived, got);
  return io;
}

Connection::Io Connection::WriteSome(std::string_view& bytes) {
  while (!bytes.empty()) {
    Io io;
    size_t put = 0;
    if (ssl_) {
      if (!tls_usable_) return Io::kClosed;
      ERR_clear_error();
      io = Outcome(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &put));
    } else {
      const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      put = n > 0 ? static_cast<size_t>(n) : 0;
      const bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
      io = n > 0 ? Io::kOk : later ? Io::kWantWrite : Io::kClosed;
    }
    bytes.remove_prefix(put);
    if (io != Io::kOk) return io;
  }
  return Io::kOk;
}

bool Connection::Write(std::string_view bytes, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience + PatienceFor(bytes.size());
  while (true) {
    const Io io = WriteSome(bytes);
    if (io == Io::kOk) return true;
    if (io == Io::kClosed) return false;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting{fd(), static_cast<int16_t>(io == Io::kWantRead ? POLLIN : POLLOUT), 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) return false;
  }
}

bool Connection::WaitReadable(std::chrono::milliseconds time) const {
  pollfd waiting{fd(), POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(time.count())) > 0;
}

bool Connection::PeerGone() const {
  pollfd state{fd(), POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0;
}

void Connection::FinishWriting() {
  if (ssl_ && tls_usable_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    tls_usable_ = false;
  }
  ::shutdown(fd(), SHUT_WR);
}

Connection::Io Connection::Drain() {
  char scrap[16384];
  for (int i = 0; i < 64; ++i) {  // a megabyte at a time
    const ssize_t n = ::recv(fd(), scrap, sizeof scrap, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Io::kWantRead;
    if (n <= 0) return Io::kClosed;
  }
  return Io::kWantRead;
}

void Connection::Abort() { ::shutdown(fd(), SHUT_RDWR); }

}  // namespace longshore::http

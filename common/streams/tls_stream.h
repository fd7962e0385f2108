// SPDX-License-Identifier: Apache-2.0
//
// TLS on an Asio socket, as Beast wants a stream to be. Asio's own ssl::stream keeps two 17 KiB
// buffers and a BIO pair for each connection; this one lets OpenSSL read and write the socket
// itself, which halves the memory of five thousand connections. For one thread; everything but
// Start() completes later, never inside the call. Included through websocket.h only.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <memory>
#include <optional>
#include <utility>  // before Asio of Boost 1.74, which forgets it

#include "common/tls/context.h"

namespace longshore::streams {

class TlsStream {
 public:
  // Of one kind of executor, known to the compiler: tcp::socket's may be any, which costs an
  // allocation for each thing that completes.
  using Executor = boost::asio::io_context::executor_type;
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
  using executor_type = Socket::executor_type;
  using ErrorCode = boost::system::error_code;
  enum class Role { kServer, kClient };

  // Start() must have been called before anything is read or written.
  TlsStream(Socket socket, tls::ContextPtr context)
      : socket_(std::move(socket)), context_(std::move(context)) {}

  void Start(Role role) {
    ErrorCode ignored;
    socket_.native_non_blocking(true, ignored);
    ssl_.reset(SSL_new(context_.get()));
    LS_CHECK(ssl_ != nullptr && SSL_set_fd(ssl_.get(), socket_.native_handle()) == 1);
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_set_read_ahead(ssl_.get(), 1);  // a record in one system call instead of two
    if (role == Role::kServer) {
      SSL_set_accept_state(ssl_.get());
    } else {
      SSL_set_connect_state(ssl_.get());
    }
  }

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  SSL* ssl() { return ssl_.get(); }

  template <class Handler>
  void async_handshake(Handler&& handler) {
    Run([](SSL* ssl, size_t&) { return SSL_do_handshake(ssl); },
        [handler = std::forward<Handler>(handler)](ErrorCode error, size_t) mutable {
          handler(error);
        });
  }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    const auto first = FirstOf<boost::asio::mutable_buffer>(buffers);
    return Run(
        [first](SSL* ssl, size_t& done) {
          return first.size() == 0 ? 1 : SSL_read_ex(ssl, first.data(), first.size(), &done);
        },
        std::forward<Handler>(handler));
  }

  // Header and payload of a message go out as one record.
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return Run(
        [buffers](SSL* ssl, size_t& done) {
          thread_local std::array<char, kRecordBytes> record;
          auto part = FirstOf<boost::asio::const_buffer>(buffers);
          if (part.size() < kRecordBytes) {
            // Gathered again, the same, should the socket have been full.
            part = {record.data(), boost::asio::buffer_copy(boost::asio::buffer(record), buffers)};
          }
          return part.size() == 0 ? 1 : SSL_write_ex(ssl, part.data(), part.size(), &done);
        },
        std::forward<Handler>(handler));
  }

  // Says goodbye as far as that needs no waiting.
  void Shutdown() {
    ErrorCode ignored;
    if (usable_ && socket_.is_open()) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
    }
    usable_ = false;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

 private:
  static constexpr size_t kRecordBytes = 16384;
  struct SslDeleter {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  // The first buffer that is not empty.
  template <class Buffer, class Buffers>
  static Buffer FirstOf(const Buffers& buffers) {
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end; ++it) {
      const Buffer buffer(*it);
      if (buffer.size() > 0) return buffer;
    }
    return {};
  }

  // Calls `step` until it succeeds or fails for good, waiting for the socket in between.
  template <class Step>
  struct Operation {
    TlsStream& stream;
    Step step;
    bool started = false, finished = false;
    ErrorCode outcome;
    size_t done = 0;

    template <class Self>
    void operator()(Self& self, ErrorCode error = {}, size_t = 0) {
      if (finished) return self.complete(outcome, done);
      const bool inside_the_call = !std::exchange(started, true);
      const auto wait = error ? std::nullopt : Try(error);
      if (wait) return stream.socket_.async_wait(*wait, std::move(self));
      if (!inside_the_call) return self.complete(error, done);
      finished = true;
      outcome = error;
      boost::asio::post(stream.get_executor(), std::move(self));
    }

    // One step. What to wait for before the next one; empty: it is over, with that error or none.
    std::optional<Socket::wait_type> Try(ErrorCode& error) {
      // A closed descriptor's number may be another connection's by now, so OpenSSL must not
      // touch it.
      if (!stream.socket_.is_open() || !stream.usable_) {
        error = boost::asio::error::operation_aborted;
        return std::nullopt;
      }
      ERR_clear_error();
      const int result = step(stream.ssl_.get(), done);
      if (result == 1) return std::nullopt;
      const int reason = SSL_get_error(stream.ssl_.get(), result);
      if (reason == SSL_ERROR_WANT_READ) return Socket::wait_read;
      if (reason == SSL_ERROR_WANT_WRITE) return Socket::wait_write;
      error = stream.Failure(reason);
      return std::nullopt;
    }
  };

  ErrorCode Failure(int reason) {
    if (reason == SSL_ERROR_ZERO_RETURN) return boost::asio::error::eof;
    usable_ = false;  // OpenSSL allows nothing after a fatal error
    const int system_error = errno;
    const unsigned long code = ERR_get_error();  // NOLINT(google-runtime-int)
    ERR_clear_error();
    if (reason == SSL_ERROR_SSL && ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      return {static_cast<int>(code), boost::asio::error::get_ssl_category()};
    }
    if (reason == SSL_ERROR_SYSCALL && system_error != 0) {
      return {system_error, boost::system::system_category()};
    }
    return boost::asio::ssl::error::stream_truncated;
  }

  template <class Step, class Handler>
  auto Run(Step step, Handler&& handler) {
    return boost::asio::async_compose<Handler, void(ErrorCode, size_t)>(
        Operation<Step>{*this, std::move(step)}, handler, socket_);
  }

  Socket socket_;
  tls::ContextPtr context_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
  bool usable_ = true;
};

// How Beast ends a stream once the closing frames are exchanged.
template <class Handler>
void async_teardown(boost::beast::role_type, TlsStream& stream, Handler&& handler) {
  stream.Shutdown();
  boost::asio::post(stream.get_executor(),
                    boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                     boost::system::error_code{}));
}
inline void beast_close_socket(TlsStream& stream) {
  boost::system::error_code ignored;
  stream.socket().close(ignored);
}

}  // namespace longshore::streams

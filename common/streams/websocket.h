// SPDX-License-Identifier: Apache-2.0
//
// The WebSocket over TLS that server.cc and client.cc share. Nothing else includes this: Beast
// takes a compiler twenty seconds.
#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <memory>
#include <string_view>
#include <utility>  // before Asio of Boost 1.74, which forgets it

namespace longshore::streams {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using beast::error_code;

using TlsStream = beast::ssl_stream<tcp::socket>;
using WebSocket = websocket::stream<TlsStream, false>;  // false: no compression
using SslContextPtr = std::shared_ptr<asio::ssl::context>;

// Asio's name for an OpenSSL context, which it shares. Its destructor takes the application data
// of the context for its own, so there must be none.
inline SslContextPtr ShareContext(SSL_CTX* context) {
  SSL_CTX_up_ref(context);
  return std::make_shared<asio::ssl::context>(context);
}

inline std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// What both ends set on an open stream. No time-outs of Beast's own: we sweep for silent peers.
inline void Tune(WebSocket& socket, size_t max_message_bytes) {
  socket.binary(true);
  socket.auto_fragment(false);
  socket.write_buffer_bytes(1024);
  socket.read_message_max(max_message_bytes);
}

}  // namespace longshore::streams

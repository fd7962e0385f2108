// SPDX-License-Identifier: Apache-2.0
//
// The WebSocket over TLS that server.cc and client.cc share. Nothing else includes this: Beast
// takes a compiler twenty seconds.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <string_view>
#include <utility>  // before Asio of Boost 1.74, which forgets it

#include "common/streams/tls_stream.h"

namespace longshore::streams {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using Socket = TlsStream::Socket;
using Acceptor = asio::basic_socket_acceptor<tcp, TlsStream::Executor>;
using beast::error_code;

using WebSocket = websocket::stream<TlsStream, false>;  // false: no compression

inline std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// What both ends set on an open stream. No time-outs of Beast's own: we sweep for silent peers.
inline void Tune(WebSocket& socket, size_t max_message_bytes) {
  socket.binary(true);
  socket.auto_fragment(false);
  socket.write_buffer_bytes(1024);
  socket.read_message_max(max_message_bytes);
}

}  // namespace longshore::streams

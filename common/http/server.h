// SPDX-License-Identifier: Apache-2.0
//
// An HTTPS/HTTP server for the extender, the storage manager API, and health/metrics. A thread is
// held while a handler runs, not while a connection is idle or a request trickles in; bodies are
// capped while they are read; nothing internal reaches a client. Requests are read by Boost.Beast's
// parser, in request_parser.cc only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace longshore::http {

struct ServerTls {
  std::string certificate_file;  // PEM chain; re-read when the file changes
  std::string key_file;
  std::string client_ca_file;  // set: a client certificate signed by it is required (mTLS)
};

struct ServerOptions {
  std::string address = "0.0.0.0";
  int port = 0;                       // 0: any free port, see Server::port()
  std::optional<ServerTls> tls;       // absent: clear text (health, metrics, loopback tests)
  size_t max_body_bytes = 16u << 20;  // larger: 413, chunked or not
  int threads = 16;                   // grows to max_threads, then requests wait
  int max_threads = 64;
  std::chrono::seconds keep_alive{100};  // Go clients pool idle connections for 90 s
  std::chrono::seconds read_timeout{10};
};

struct Request {
  std::string method, path;                        // path is decoded, without the query
  std::map<std::string, std::string> path_params;  // {name} in the pattern
  std::multimap<std::string, std::string> query;   // decoded
  std::map<std::string, std::string> headers;      // lower-case names; last one wins
  std::string body;
  std::string peer_common_name;  // of the verified client certificate, else empty
  std::string remote_address;
  // True once the client is gone or the server stops: long polls ask it now and then.
  std::function<bool()> abandoned;

  std::string Query(const std::string& name, const std::string& otherwise = "") const;
  std::string Header(const std::string& lower_case_name) const;
};

// Where a streaming handler writes; false means that the client is gone and it should return.
using StreamWriter = std::function<bool(std::string_view bytes)>;

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;  // "Connection" ends it after the reply
  // Set: the reply is a stream (server-sent events) that ends when the function returns. It must
  // return within a second of `stopping()` turning true (the client is gone or the server stops).
  // Writing nothing ("") only asks whether the client is there.
  std::function<void(const StreamWriter& write, const std::function<bool()>& stopping)> stream;
};

// May take what it needs out of the request, as a body that its reply is made of.
using Handler = std::function<Response(Request&)>;

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Routes METHOD and PATTERN ("/v1/requests/{name}", "/v1/pods:acquire") to the handler; before
  // Start(). A known path with another method answers 405, an unknown path 404, both as problem
  // documents. Handlers run concurrently and must not throw (a throw becomes a bare 500).
  void Handle(const std::string& method, const std::string& pattern, Handler handler);

  // Binds and serves on threads of its own. Errors: kUnavailable (address in use), kInvalidArgument
  // (unreadable certificate, naming the file).
  Status Start();
  int port() const;
  void Stop();  // idempotent; lets running handlers end for up to 5 s

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// RFC 9457 problem document with the status that fits the error's code, and with that code
// (`code`: its CodeName), or with the one that CodeOfStatus finds in the status.
Response Problem(const Error& error);
Response Problem(int status, std::string_view title, std::string_view detail);
int HttpStatus(Code code);

}  // namespace longshore::http

// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/1.1 client over TLS with verification (client.cc is the only client file that includes
// cpp-httplib). Used by common/kube, the CLI and tests. One object keeps one connection alive;
// calls on one object are serialised, so give each thread or watch its own.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace longshore::http {

struct ClientOptions {
  std::string base_url;  // "https://host:port"; "http://" only where a test needs it
  std::string ca_pem;    // required for https; there is no way to turn verification off
  std::string client_certificate_pem, client_key_pem;  // mTLS
  std::string server_name;  // checked in the certificate instead of the URL's host, if set
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds read_timeout{10000};
};

struct ClientRequest {
  std::string method = "GET";
  std::string path;  // with query, encoded
  std::map<std::string, std::string> headers;
  std::string body, content_type = "application/json";
};

struct ClientResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
};

// What a call that failed says of the next one.
enum class Failure {
  kFinal,        // the next one would fail as well
  kNotReceived,  // there was nobody to take it
  kUnanswered,   // it may have been received, and done
};

class Client {
 public:
  // Errors: kInvalidArgument for an unusable URL, CA or key.
  static Result<std::unique_ptr<Client>> Create(ClientOptions options);
  ~Client();

  // Any HTTP status is a success here. Errors: kUnavailable (refused, reset, TLS verification
  // failed: the message says which), kDeadlineExceeded.
  Result<ClientResponse> Send(const ClientRequest& request);

  // Of an error that Send returned.
  static Failure FailureOf(const Error& error);

  // Streams a reply: on_data once with nothing, when a 200 is there, and then per chunk until it
  // returns false (then the call returns kCancelled), the server ends (returns the response without
  // a body) or read_timeout passes without a byte. A status other than 200 ends at once with the
  // body in the response.
  Result<ClientResponse> Stream(const ClientRequest& request,
                                const std::function<bool(std::string_view)>& on_data);

  // Makes a running Send or Stream return kCancelled soon. Thread-safe.
  void Cancel();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Percent-encodes for a path segment or query value.
std::string UrlEncode(std::string_view text);

// What an answer that is no success comes down to: the reverse of server.h's HttpStatus(). A status
// that nobody expects is kInternal.
Code CodeOfStatus(int status);

}  // namespace longshore::http

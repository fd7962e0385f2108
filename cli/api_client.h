// SPDX-License-Identifier: Apache-2.0
//
// Calls to the storage manager API. The token is read from its file for each call (projected tokens
// change) and goes into a header only. Problem documents become errors with their detail. While
// nobody answers, as when another controller becomes the leader, a call is tried again.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/api/archive.h"
#include "common/base/clock.h"
#include "common/http/client.h"

namespace longshore::cli {

// What one call may ask the server to wait.
inline constexpr std::chrono::seconds kLongestWait{5};

using api::Json;

struct ApiEndpoint {
  std::string server;  // https://host:port
  std::string ca_file;
  std::string token_file;
  std::string tls_server_name;  // checked instead of the host, if set
};

// For how long a call is tried again: another leader takes over within 5 s. kOnce is for those who
// ask again by themselves.
inline constexpr std::chrono::seconds kPatience{10}, kOnce{0};

// How a client waits before it tries again, and says that it does.
struct Waiting {
  const Clock& clock;
  std::function<bool(std::chrono::milliseconds)> sleep;  // false: the user has had enough
  std::function<void(const std::string&)> say;           // a line for people
};

class ApiClient {
 public:
  // Errors: kInvalidArgument, naming the file or URL.
  static Result<std::unique_ptr<ApiClient>> Create(const ApiEndpoint& endpoint, Waiting waiting);

  // While there is no answer, or a 503, they are tried again. What writes without an
  // Idempotency-Key, only where the call was not received.
  Result<Json> Get(const std::string& path, std::chrono::seconds patience = kPatience);
  // `key` is the Idempotency-Key; empty: none is sent.
  Result<Json> Post(const std::string& path, const Json& body, const std::string& key = "");
  Result<Json> Patch(const std::string& path, const Json& body);
  Result<Json> Delete(const std::string& path);

 private:
  struct Call {
    std::string method, path, body = {}, key = {};
  };
  ApiClient(ApiEndpoint endpoint, Waiting waiting, std::unique_ptr<http::Client> http)
      : endpoint_(std::move(endpoint)), waiting_(std::move(waiting)), http_(std::move(http)) {}
  Result<Json> TryFor(std::chrono::seconds patience, const Call& call);
  // One try; of a failure also what the next one may do.
  Result<Json> Send(const Call& call, http::Failure& failure);
  Result<http::ClientRequest> Prepare(const Call& call) const;

  const ApiEndpoint endpoint_;
  const Waiting waiting_;
  std::unique_ptr<http::Client> http_;
};

// "/v1/pods?namespace=x&state=Available": values are encoded, empty ones left out.
std::string WithQuery(const std::string& path, const std::map<std::string, std::string>& query);
// "/v1/requests/NAMESPACE/NAME", encoded.
std::string RequestPath(const std::string& ns, const std::string& name);

// Whether the same call may succeed later: what waits goes on waiting.
inline bool IsTransient(const Error& error) {
  return error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded;
}

// The error of a status that is not 2xx, from its problem document.
Error ErrorOfReply(int status, const std::string& body);

}  // namespace longshore::cli

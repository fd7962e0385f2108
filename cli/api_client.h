// SPDX-License-Identifier: Apache-2.0
//
// Calls to the storage manager API. The token is read from its file for each call (projected tokens
// change) and goes into a header only. Problem documents become errors with their detail.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/api/archive.h"
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

class ApiClient {
 public:
  // Errors: kInvalidArgument, naming the file or URL.
  static Result<std::unique_ptr<ApiClient>> Create(const ApiEndpoint& endpoint);

  Result<Json> Get(const std::string& path);
  // `key` is the Idempotency-Key; empty: none is sent.
  Result<Json> Post(const std::string& path, const Json& body, const std::string& key = "");
  Result<Json> Patch(const std::string& path, const Json& body);
  Result<Json> Delete(const std::string& path);

 private:
  ApiClient(ApiEndpoint endpoint, std::unique_ptr<http::Client> http)
      : endpoint_(std::move(endpoint)), http_(std::move(http)) {}
  Result<Json> Call(const std::string& method, const std::string& path, const std::string& body,
                    const std::string& key);

  const ApiEndpoint endpoint_;
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

// SPDX-License-Identifier: Apache-2.0
#include "cli/api_client.h"

#include <chrono>

#include "common/base/files.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

// A server that went without a word, with its machine, is left after so long. Nothing that is asked
// here waits for more than kLongestWait.
constexpr std::chrono::seconds kReadTimeout = kLongestWait + std::chrono::seconds(10);
constexpr std::chrono::milliseconds kPause{500};  // between two tries

}  // namespace

std::string WithQuery(const std::string& path, const std::map<std::string, std::string>& query) {
  std::string text = path;
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    text += separator + name + "=" + http::UrlEncode(value);
    separator = '&';
  }
  return text;
}

std::string RequestPath(const std::string& ns, const std::string& name) {
  return "/v1/requests/" + http::UrlEncode(ns) + "/" + http::UrlEncode(name);
}

Error ErrorOfReply(int status, const std::string& body) {
  const auto problem = api::ParseJson(body);
  std::string detail;
  if (problem && problem->is_object()) {
    detail = problem->value("detail", "");
    if (detail.empty()) detail = problem->value("title", "");
  }
  if (detail.empty()) detail = "the server answered with status " + std::to_string(status);
  return Error{http::CodeOfStatus(status), detail};
}

Result<std::unique_ptr<ApiClient>> ApiClient::Create(const ApiEndpoint& endpoint, Waiting waiting) {
  http::ClientOptions options;
  options.base_url = endpoint.server;
  options.server_name = endpoint.tls_server_name;
  options.read_timeout = kReadTimeout;
  if (!endpoint.ca_file.empty()) {
    auto pem = ReadFile(endpoint.ca_file);
    if (!pem) {
      return InvalidArgument("--ca-file " + endpoint.ca_file + ": " + pem.error().message);
    }
    options.ca_pem = *std::move(pem);
  }
  auto http = http::Client::Create(std::move(options));
  if (!http && endpoint.server.find("://") == std::string::npos) {
    return InvalidArgument("--server " + endpoint.server + ": use https://HOST:PORT");
  }
  if (!http) return Annotate(http.error(), "--server " + endpoint.server);
  return std::unique_ptr<ApiClient>(new ApiClient(endpoint, std::move(waiting), *std::move(http)));
}

Result<http::ClientRequest> ApiClient::Prepare(const Call& call) const {
  const auto token = ReadFile(endpoint_.token_file, 64 << 10);
  if (!token) {
    return InvalidArgument("--token-file " + endpoint_.token_file + ": " + token.error().message);
  }
  const std::string bearer(Trim(*token));
  if (bearer.empty()) {
    return InvalidArgument("--token-file " + endpoint_.token_file +
                           " is empty: write the bearer token into it");
  }
  http::ClientRequest request;
  request.method = call.method;
  request.path = call.path;
  request.body = call.body;
  if (call.method == "PATCH") request.content_type = "application/merge-patch+json";
  request.headers["Authorization"] = "Bearer " + bearer;
  if (!call.key.empty()) request.headers["Idempotency-Key"] = call.key;
  return request;
}

Result<Json> ApiClient::Send(const Call& call, http::Failure& failure) {
  failure = http::Failure::kFinal;
  LS_ASSIGN_OR_RETURN(const http::ClientRequest request, Prepare(call));
  auto response = http_->Send(request);
  if (!response) {
    failure = http::Client::FailureOf(response.error());
    return response.error();  // it begins with the method and the URL
  }
  if (response->status < 200 || response->status > 299) {
    if (response->status == 503) failure = http::Failure::kUnanswered;
    return ErrorOfReply(response->status, response->body);
  }
  auto document = api::ParseJson(response->body);
  if (!document) return Annotate(document.error(), endpoint_.server + call.path);
  return document;
}

Result<Json> ApiClient::TryFor(std::chrono::seconds patience, const Call& call) {
  const bool repeatable = call.method == "GET" || !call.key.empty();
  const auto is_worth_it = [&](http::Failure failure) {
    return failure == http::Failure::kNotReceived ||
           (failure == http::Failure::kUnanswered && repeatable);
  };
  http::Failure failure{};
  auto reply = Send(call, failure);
  if (reply || !is_worth_it(failure) || patience <= kPause) return reply;
  waiting_.say("the controller does not answer (" + reply.error().message + "); trying again for " +
               std::to_string(patience.count()) + " s");
  const MonotonicTime end = waiting_.clock.Monotonic() + patience;
  while (!reply && is_worth_it(failure) && waiting_.clock.Monotonic() + kPause <= end) {
    if (!waiting_.sleep(kPause)) {
      return Error{Code::kCancelled, "interrupted; " + reply.error().message};
    }
    reply = Send(call, failure);
  }
  return reply;
}

Result<Json> ApiClient::Get(const std::string& path, std::chrono::seconds patience) {
  return TryFor(patience, {"GET", path});
}
Result<Json> ApiClient::Post(const std::string& path, const Json& body, const std::string& key) {
  return TryFor(kPatience, {"POST", path, body.dump(), key});
}
Result<Json> ApiClient::Patch(const std::string& path, const Json& body) {
  return TryFor(kPatience, {"PATCH", path, body.dump()});
}
Result<Json> ApiClient::Delete(const std::string& path) {
  return TryFor(kPatience, {"DELETE", path});
}

}  // namespace longshore::cli

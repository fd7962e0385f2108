// SPDX-License-Identifier: Apache-2.0
//
// How an Error looks to an HTTP client: RFC 9457 problem documents. See server.h.
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/log_limit.h"
#include "common/http/client.h"
#include "common/http/server.h"

namespace longshore::http {
namespace {

Response Document(int status, std::string_view title, std::string_view detail, Code code) {
  nlohmann::json document = {
      {"type", "about:blank"}, {"title", title}, {"status", status}, {"code", CodeName(code)}};
  if (!detail.empty()) document["detail"] = detail;
  Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  // What a client sent may come back in `detail`, and need not be UTF-8.
  response.body = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (status == 401) response.headers["WWW-Authenticate"] = "Bearer";
  return response;
}

}  // namespace

int HttpStatus(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kConflict:
    case Code::kFailedPrecondition:
      return 409;
    case Code::kGone:
      return 410;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnavailable:
    case Code::kCancelled:
      return 503;
    case Code::kDeadlineExceeded:
      return 504;
    case Code::kDataLoss:
    case Code::kInternal:
      break;
  }
  return 500;
}

Code CodeOfStatus(int status) {
  switch (status) {
    case 400:
    case 405:
    case 406:
    case 413:
    case 415:
    case 422:
    case 431:
      return Code::kInvalidArgument;
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 409:
      return Code::kConflict;
    case 410:
      return Code::kGone;
    case 408:
    case 504:
      return Code::kDeadlineExceeded;
    case 429:
    case 502:
    case 503:
      return Code::kUnavailable;
    default:
      return Code::kInternal;
  }
}

Response Problem(const Error& error) {
  // Our own defects are told to the log; a client can do nothing with their text.
  const bool internal = error.code == Code::kInternal;
  static LogRate internal_log;
  if (const auto left_out = internal ? internal_log.Admit() : std::nullopt) {
    LogError("internal error in a request", {{"error", error.message}, {"leftOut", *left_out}});
  }
  Response response = Document(HttpStatus(error.code), CodeName(error.code),
                               internal ? std::string_view() : error.message, error.code);
  if (error.retry_after) {
    const auto seconds = std::ceil(std::chrono::duration<double>(*error.retry_after).count());
    response.headers["Retry-After"] = std::to_string(static_cast<int64_t>(seconds));
  }
  return response;
}

Response Problem(int status, std::string_view title, std::string_view detail) {
  // From others these may be a passing fault of a proxy; ours say what is wrong with the request.
  const bool unknown_to_us = status == 501 || status == 505;
  return Document(status, title, detail,
                  unknown_to_us ? Code::kInvalidArgument : CodeOfStatus(status));
}

}  // namespace longshore::http

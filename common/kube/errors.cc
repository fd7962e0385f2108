// SPDX-License-Identifier: Apache-2.0
#include "common/kube/errors.h"

#include <algorithm>
#include <string>

#include "common/base/strings.h"

namespace longshore::kube {
namespace {

using api::Json;

constexpr size_t kQuotedBodyBytes = 200;

std::string Text(const Json& object, const char* field) {
  if (!object.is_object()) return "";
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

int64_t Number(const Json& object, const char* field) {
  if (!object.is_object()) return 0;
  const auto found = object.find(field);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

bool HasCause(const Json& status, std::string_view reason) {
  const auto details = status.find("details");
  if (details == status.end() || !details->is_object()) return false;
  const auto causes = details->find("causes");
  if (causes == details->end() || !causes->is_array()) return false;
  return std::any_of(causes->begin(), causes->end(),
                     [&](const Json& cause) { return Text(cause, "reason") == reason; });
}

// What the API server cannot explain is worth another try.
Code CodeOfHttp(int status) {
  const Code code = http::CodeOfStatus(status);
  return code == Code::kInternal ? Code::kUnavailable : code;
}

// Reasons that say more than the HTTP status does.
Code CodeOfStatus(const Json& status, int http_status) {
  const std::string reason = Text(status, "reason");
  if (reason == "AlreadyExists") return Code::kAlreadyExists;
  if (reason == "Expired" || reason == "Gone") return Code::kGone;
  if (reason == "Forbidden") {
    // The quota admission plug-in answers with the same reason as RBAC and gives no cause.
    if (Text(status, "message").find("exceeded quota:") != std::string::npos) {
      return Code::kResourceExhausted;
    }
    if (HasCause(status, "NamespaceTerminating")) return Code::kFailedPrecondition;
  }
  return CodeOfHttp(http_status);
}

// The body of a proxy or of an old path, made fit for one line of a log.
std::string Quoted(std::string_view body) {
  std::string out;
  for (const char c : Trim(body).substr(0, kQuotedBodyBytes)) {
    out += c >= 0x20 && c < 0x7f ? c : ' ';
  }
  return out;
}

}  // namespace

Error ErrorFromStatus(const Json& status, std::string_view context) {
  const int http_status = static_cast<int>(Number(status, "code"));
  Error error{CodeOfStatus(status, http_status), Text(status, "message")};
  if (error.message.empty()) {
    const std::string reason = Text(status, "reason");
    error.message = "status " + std::to_string(http_status) + (reason.empty() ? "" : " " + reason);
  }
  if (status.is_object() && status.contains("details")) {
    const int64_t seconds = Number(status["details"], "retryAfterSeconds");
    if (seconds > 0) error.retry_after = std::chrono::seconds(std::min<int64_t>(seconds, 3600));
  }
  return Annotate(std::move(error), context);
}

Error ErrorFromResponse(const http::ClientResponse& response, std::string_view context) {
  Result<Json> body = api::ParseJson(response.body);
  if (body.has_value() && Text(*body, "kind") == "Status") {
    (*body)["code"] = response.status;
    Error error = ErrorFromStatus(*body, context);
    if (const auto wait = RetryAfter(response)) error.retry_after = wait;
    return error;
  }
  Error error{CodeOfHttp(response.status),
              "status " + std::to_string(response.status) + ": " + Quoted(response.body)};
  error.retry_after = RetryAfter(response);
  return Annotate(std::move(error), context);
}

std::optional<std::chrono::milliseconds> RetryAfter(const http::ClientResponse& response) {
  const auto header = response.headers.find("retry-after");
  if (header == response.headers.end()) return std::nullopt;
  const Result<int64_t> seconds =
      ParseInt(Trim(header->second));  // dates: never sent by Kubernetes
  if (!seconds.has_value() || *seconds < 0 || *seconds > 3600) return std::nullopt;
  return std::chrono::seconds(*seconds);
}

}  // namespace longshore::kube

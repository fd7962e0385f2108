// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_manager_api.h"

namespace longshore::cli {
namespace {

http::ServerOptions Loopback() {
  http::ServerOptions options;
  options.address = "127.0.0.1";
  return options;
}

}  // namespace

FakeManagerApi::FakeManagerApi() : server_(Loopback()) {
  const auto answer = [this](const http::Request& request) { return Answer(request); };
  for (const char* method : {"GET", "POST", "PATCH", "DELETE"}) {
    for (const char* pattern :
         {"/v1/{kind}", "/v1/{kind}/{ns}/{name}", "/v1/{kind}/{ns}/{name}:cancel",
          "/v1/{kind}/{ns}/{name}:release", "/v1/pods:acquire"}) {
      server_.Handle(method, pattern, answer);
    }
  }
  LS_CHECK(server_.Start().has_value());
}

std::string FakeManagerApi::url() const {
  return "http://127.0.0.1:" + std::to_string(server_.port());
}

void FakeManagerApi::On(const std::string& method_and_path, Json body, int status) {
  http::Response response;
  response.status = status;
  response.body = body.dump();
  MutexLock lock(mutex_);
  answers_[method_and_path].push_back(std::move(response));
}

std::vector<FakeManagerApi::Asked> FakeManagerApi::asked() const {
  MutexLock lock(mutex_);
  return asked_;
}

std::vector<std::string> FakeManagerApi::lines() const {
  std::vector<std::string> lines;
  for (const Asked& asked : asked()) lines.push_back(asked.line);
  return lines;
}

http::Response FakeManagerApi::Answer(const http::Request& request) {
  std::string line = request.method + " " + request.path;
  const std::string key = line;
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    line += separator + name + "=" + value;
    separator = '&';
  }
  MutexLock lock(mutex_);
  asked_.push_back({line, request.Header("authorization"), request.Header("idempotency-key"),
                    request.body.empty() ? Json() : *api::ParseJson(request.body)});
  const auto found = answers_.find(key);
  if (found == answers_.end()) return http::Problem(NotFound(key + " is not scripted"));
  http::Response response = found->second.front();
  if (found->second.size() > 1) found->second.erase(found->second.begin());
  return response;
}

}  // namespace longshore::cli

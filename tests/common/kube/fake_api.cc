// SPDX-License-Identifier: Apache-2.0
#include "tests/common/kube/fake_api.h"

#include <chrono>

namespace longshore::kube {
namespace {

constexpr char kLeasePath[] = "/apis/coordination.k8s.io/v1/namespaces/n/leases";
constexpr char kPath[] = "/api/v1/namespaces/n/configmaps";

void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

}  // namespace

FakeApi::FakeApi() : server_({.address = "127.0.0.1", .threads = 8}) {
  const auto answer = [this](const http::Request& request) { return Answer(request); };
  for (const char* method : {"GET", "POST"}) server_.Handle(method, kPath, answer);
  for (const char* method : {"GET", "PUT", "PATCH", "DELETE"}) {
    server_.Handle(method, std::string(kPath) + "/{name}", answer);
  }
  server_.Handle("POST", kLeasePath, answer);
  for (const char* method : {"GET", "PUT"}) {
    server_.Handle(method, std::string(kLeasePath) + "/{name}", answer);
  }
  for (const Resource& review : {kTokenReviews, kSubjectAccessReviews}) {
    server_.Handle("POST", ResourcePath(review, ""), answer);
  }
  server_.Handle("POST", "/apis/events.k8s.io/v1/namespaces/n/events", answer);
  server_.Handle("PATCH", "/apis/events.k8s.io/v1/namespaces/n/events/{name}", answer);
  server_.Handle("PATCH", "/apis/apps/v1/namespaces/longshore-system/deployments/{name}", answer);
  const Status started = server_.Start();
  EXPECT_TRUE(started.has_value()) << started.error().ToString();
}

Config FakeApi::config() const {
  Config config;
  config.server = "http://127.0.0.1:" + std::to_string(server_.port());
  return config;
}

void FakeApi::Queue(Responses FakeApi::* queue, http::Response response) {
  MutexLock lock(mutex_);
  (this->*queue).push_back(std::move(response));
}

void FakeApi::Require(const std::string& token) {
  MutexLock lock(mutex_);
  required_ = token;
}

std::vector<std::string> FakeApi::asked() const {
  MutexLock lock(mutex_);
  return asked_;
}

bool FakeApi::Wait(size_t calls) const {
  return Soon([&] { return asked().size() >= calls; });
}

http::Response FakeApi::Next(Responses& queue, http::Response otherwise) {
  if (queue.empty()) return otherwise;
  http::Response next = std::move(queue.front());
  queue.pop_front();
  return next;
}

http::Response FakeApi::Answer(const http::Request& request) {
  const bool watch = request.Query("watch") == "true";
  const bool list = request.method == "GET" && request.path == kPath && !watch;
  MutexLock lock(mutex_);
  if (watch) {
    asked_.push_back("watch " + request.Query("resourceVersion"));
  } else if (list) {
    const std::string next = request.Query("continue");
    asked_.push_back(std::string("list") + (request.Query("limit").empty() ? " all" : "") +
                     (next.empty() ? "" : " continue=" + next));
  } else {
    asked_.push_back(request.method + " " + request.path);
  }
  if (!required_.empty() && request.Header("authorization") != "Bearer " + required_) {
    return Refusal(401, "Unauthorized", "Unauthorized");
  }
  if (watch) return Next(watches_, WatchThatStays(""));
  return Next(list ? lists_ : calls_, Refusal(500, "InternalError", "nothing was queued"));
}

Json Map(const std::string& name, int version, const std::string& uid) {
  return {{"metadata",
           {{"name", name},
            {"namespace", "n"},
            {"uid", uid.empty() ? "uid-" + name : uid},
            {"resourceVersion", std::to_string(version)}}}};
}

http::Response ListOf(const std::vector<Json>& items, int version, const std::string& next) {
  Json list = {{"kind", "ConfigMapList"},
               {"metadata", {{"resourceVersion", std::to_string(version)}, {"continue", next}}},
               {"items", items}};
  return {.body = list.dump()};
}

http::Response Refusal(int code, const std::string& reason, const std::string& message) {
  const Json status = {
      {"kind", "Status"}, {"status", "Failure"}, {"reason", reason}, {"message", message}};
  return {.status = code, .body = status.dump()};
}

http::Response RetryLater(int code, int seconds) {
  http::Response response = Refusal(code, "TooManyRequests", "later");
  response.headers["Retry-After"] = std::to_string(seconds);
  return response;
}

std::string Event(const std::string& type, const Json& object) {
  return Json{{"type", type}, {"object", object}}.dump() + "\n";
}

std::string ErrorEvent(int code, const std::string& reason) {
  return Event("ERROR",
               {{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", "no"}});
}

std::string Bookmark(int version) {
  return Event("BOOKMARK", {{"kind", "ConfigMap"},
                            {"metadata", {{"resourceVersion", std::to_string(version)}}}});
}

http::Response WatchThatEnds(const std::string& bytes) {
  return {.stream = [bytes](const http::StreamWriter& write, const std::function<bool()>&) {
    write(bytes);
  }};
}

http::Response WatchThatStays(const std::string& bytes) {
  return {
      .stream = [bytes](const http::StreamWriter& write, const std::function<bool()>& stopping) {
        if (!bytes.empty() && !write(bytes)) return;
        while (!stopping()) Pause();
      }};
}

bool Soon(const std::function<bool()>& reached) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!reached()) {
    if (std::chrono::steady_clock::now() > end) return false;
    Pause();
  }
  return true;
}

}  // namespace longshore::kube

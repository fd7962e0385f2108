// SPDX-License-Identifier: Apache-2.0
#include "tests/common/kube/fake_lists.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/common/kube/fake_api.h"

namespace longshore::kube {
namespace {

std::string Plural(const Resource& resource) { return std::string(resource.plural); }

}  // namespace

FakeLists::FakeLists() : server_({.address = "127.0.0.1", .threads = 16}) {
  const auto answer = [this](const http::Request& request) { return Answer(request); };
  server_.Handle("GET", "/api/v1/{plural}", answer);
  server_.Handle("GET", "/apis/{group}/{version}/{plural}", answer);
  const Status started = server_.Start();
  EXPECT_TRUE(started.has_value()) << started.error().ToString();
}

void FakeLists::Put(const Resource& resource, Json object) {
  MutexLock lock(mutex_);
  objects_[Plural(resource)].push_back(std::move(object));
}
void FakeLists::Deny(const Resource& resource) {
  MutexLock lock(mutex_);
  denied_.insert(Plural(resource));
}
void FakeLists::Withhold(const Resource& resource) {
  MutexLock lock(mutex_);
  withheld_.insert(Plural(resource));
}
void FakeLists::Allow(const Resource& resource) {
  MutexLock lock(mutex_);
  denied_.erase(Plural(resource));
  withheld_.erase(Plural(resource));
}

Config FakeLists::config() const {
  Config config;
  config.server = url();
  return config;
}

std::string FakeLists::Kubeconfig() const {
  return "{current-context: c, contexts: [{name: c, context: {cluster: c}}], clusters: [{name: c, "
         "cluster: {server: '" +
         url() + "'}}]}";
}

http::Response FakeLists::Answer(const http::Request& request) {
  const std::string plural = request.path_params.at("plural");
  const bool watch = request.Query("watch") == "true";
  MutexLock lock(mutex_);
  if (denied_.contains(plural) && !watch) {
    return Refusal(403, "Forbidden",
                   plural + " is forbidden: User \"test\" cannot list resource \"" + plural + "\"");
  }
  if (withheld_.contains(plural)) return Refusal(503, "ServiceUnavailable");
  if (!watch) return ListOf(objects_[plural], 7);
  return {.stream = [this, plural](const http::StreamWriter& write,
                                   const std::function<bool()>& stopping) {
    while (!stopping() && !IsDenied(plural)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (!stopping()) write(ErrorEvent(410, "Expired"));
  }};
}

bool FakeLists::IsDenied(const std::string& plural) const {
  MutexLock lock(mutex_);
  return denied_.contains(plural);
}

}  // namespace longshore::kube

// SPDX-License-Identifier: Apache-2.0
//
// The storage manager API on a loopback port, between a real HTTP client and a fake Kubernetes.
// User "manager" (token "good") may do everything in namespace "backup", "other" nothing.
#pragma once

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "common/base/strings.h"
#include "common/http/client.h"
#include "controller/api/server.h"
#include "tests/controller/api/fake_kube.h"

namespace longshore::controller {

// What the leader knows from its streams, as the test says.
class FakeLive : public LiveView {
 public:
  std::vector<UsageSample> Usage(const std::string& pod_uid, size_t limit) const override {
    const auto found = usage.find(pod_uid);
    if (found == usage.end()) return {};
    const auto& all = found->second;
    return {all.end() - static_cast<long>(std::min(limit, all.size())), all.end()};
  }
  std::optional<api::OperationProgress> Progress(const std::string&,
                                                 const std::string& operation) const override {
    const auto found = progress.find(operation);
    return found == progress.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<Verdict> Verdicts(const std::string&) const override { return verdicts; }
  std::optional<ScalingNotes> Scaling(const std::string& request_uid) const override {
    const auto found = scaling.find(request_uid);
    return found == scaling.end() ? std::nullopt : std::optional(found->second);
  }
  placement::PressureMap NodePressure() const override { return {}; }
  int64_t WorkerAgeMs(const std::string& pod_uid) const override {
    MutexLock lock(mutex);
    const auto found = worker_age_ms.find(pod_uid);
    return found == worker_age_ms.end() ? -1 : found->second;
  }

  std::map<std::string, std::vector<UsageSample>> usage;
  std::map<std::string, api::OperationProgress> progress;
  std::vector<Verdict> verdicts;
  std::map<std::string, ScalingNotes> scaling;
  void SetWorkerAge(const std::string& pod_uid, int64_t age_ms) {
    MutexLock lock(mutex);
    worker_age_ms[pod_uid] = age_ms;
  }

  // The others are set before the calls that read them.
  mutable Mutex mutex;
  std::map<std::string, int64_t> worker_age_ms LS_GUARDED_BY(mutex);
};

class ApiTest : public ::testing::Test {
 protected:
  static constexpr char kUser[] = "manager";

  void SetUp() override {
    kube_.AddToken("good", kUser);
    kube_.AddToken("powerless", "other");
    for (const char* plural : {"computerequests", "backuppods", "operations", "backupsources"}) {
      for (const char* verb : {"get", "list", "create", "update", "delete", "acquire", "restore"}) {
        kube_.Grant(kUser, verb, plural, "backup");
      }
    }
    client_ = *kube::Client::Create(kube_.config(), "longshore-test");
    state_ = std::make_unique<ClusterState>(*client_);
    ApiOptions options;
    options.http.address = "127.0.0.1";
    options.max_waiting = 4;
    options.metrics = &metrics_;
    options.ready = [this] {
      return ready_ ? Status() : Status(Unavailable("starting"));
    };  // the informers are fed by hand
    Configure(options);
    server_ = std::make_unique<ApiServer>(*client_, *state_, live_, events_, options);
    ASSERT_TRUE(server_->Start().has_value());
    http_ = NewClient();
  }
  void TearDown() override { server_->Stop(); }
  virtual void Configure(ApiOptions&) {}

  struct Reply {
    int status = 0;
    Json body;
    std::map<std::string, std::string> headers;
    std::string detail() const { return body.value("detail", ""); }
  };
  Reply Call(const std::string& method, const std::string& path, const std::string& body = "",
             std::map<std::string, std::string> headers = {}) {
    http::ClientRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.headers = std::move(headers);
    if (!request.headers.contains("Authorization")) {
      request.headers["Authorization"] = "Bearer good";
    }
    const auto response = http_->Send(request);
    EXPECT_TRUE(response.has_value()) << response.error().ToString();
    if (!response) return {};
    return {response->status, *api::ParseJson(response->body), response->headers};
  }
  // For calls beside others: a client makes one call at a time.
  std::unique_ptr<http::Client> NewClient() const {
    http::ClientOptions http;
    http.base_url = "http://127.0.0.1:" + std::to_string(server_->port());
    return *http::Client::Create(http);
  }
  Reply Get(const std::string& path) { return Call("GET", path); }
  Reply Post(const std::string& path, const Json& body, const std::string& key = "") {
    std::map<std::string, std::string> headers;
    if (!key.empty()) headers["Idempotency-Key"] = key;
    return Call("POST", path, body.dump(), headers);
  }

  // Objects are put into the fake and into the informer, as a watch would.
  Json PutRequest(const std::string& name, const std::string& source = "orders") {
    const Json object =
        kube_.Put("computerequests", "backup",
                  {{"metadata", {{"name", name}}}, {"spec", {{"sourceRef", {{"name", source}}}}}});
    state_->requests.Observe(object);
    return object;
  }
  Json PutPod(const std::string& name, const std::string& state = "Available",
              const std::string& tier = "Node", const std::string& request = "req-1") {
    Json object = kube_.Put(
        "backuppods", "backup",
        {{"metadata", {{"name", name}}},
         {"spec",
          {{"requestRef", {{"name", request}}}, {"sourceRef", {{"name", "orders"}}}, {"slot", 0}}},
         {"status",
          {{"state", state},
           {"epoch", 3},
           {"tier", tier},
           {"nodeName", "node-1"},
           {"podUID", "pod-" + name}}}});
    live_.SetWorkerAge("pod-" + name, 100);
    state_->backup_pods.Observe(object);
    return object;
  }
  Json PutOperation(const std::string& name, const Json& spec, const Json& status) {
    const Json object =
        kube_.Put("operations", "backup",
                  {{"metadata", {{"name", name}}}, {"spec", spec}, {"status", status}});
    state_->operations.Observe(object);
    return object;
  }
  Json PutSource(const std::string& name, const std::vector<std::string>& parts) {
    const Json object = kube_.Put(
        "backupsources", "backup",
        {{"metadata", {{"name", name}}}, {"spec", {{"kind", "postgresql"}, {"parts", parts}}}});
    state_->sources.Observe(object);
    return object;
  }

  static Json RequestBody(int max = 4) {
    return {{"namespace", "backup"},
            {"spec",
             {{"sourceRef", {{"name", "orders"}}},
              {"policyRef", {{"name", "standard"}}},
              {"pods", {{"initial", 2}, {"max", max}}}}}};
  }

  std::atomic<bool> ready_ = true;
  metrics::Registry metrics_;
  FakeKube kube_;
  FakeLive live_;
  EventLog events_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<ClusterState> state_;
  std::unique_ptr<ApiServer> server_;
  std::unique_ptr<http::Client> http_;
};

}  // namespace longshore::controller

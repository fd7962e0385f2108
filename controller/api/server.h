// SPDX-License-Identifier: Apache-2.0
//
// The storage manager API: HTTPS + JSON, described by openapi.json beside this file. A view of the
// cluster's objects, never a second truth: reads come from the informers and the live view, writes
// go to the Kubernetes API with the preconditions that make them safe. Constructed by main.cc.
#pragma once

#include <functional>
#include <memory>

#include "common/base/clock.h"
#include "common/http/server.h"
#include "common/kube/client.h"
#include "common/metrics/registry.h"
#include "controller/cluster_state.h"
#include "controller/event_log.h"
#include "controller/live_view.h"

namespace longshore::controller {

struct ApiOptions {
  http::ServerOptions http;                       // port, TLS files
  std::string audience = "longshore-controller";  // of the bearer tokens
  std::chrono::seconds token_cache{30};           // how long a TokenReview's answer is believed
  std::chrono::seconds access_cache{5};  // how long a SubjectAccessReview's answer is believed
  int max_waiting = 64;  // long polls, event streams and acquires that wait; more get 503
  const Clock* clock = &Clock::Real();
  // Until it is OK every route answers 503 with its message: half a list would be taken for the
  // whole, and a replica that does not lead knows half. Empty: the informers have their first list.
  std::function<Status()> ready;
  metrics::Registry* metrics = nullptr;  // counts answers, if set
};

class ApiServer {
 public:
  // Registers for changes of `state`: construct it before state.Start(). All references must
  // outlive the server.
  ApiServer(kube::Client& kube, ClusterState& state, const LiveView& live, EventLog& events,
            ApiOptions options);
  ~ApiServer();  // stops
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  Status Start();
  void Stop();  // idempotent; ends waiting requests first
  int port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::controller

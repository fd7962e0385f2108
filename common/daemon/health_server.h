// SPDX-License-Identifier: Apache-2.0
//
// The health port of a daemon, plain HTTP: /healthz (503: restart me), /readyz (503: not yet) and
// /metrics. Apart from the data port, so that neither starves the other.
#pragma once

#include <functional>
#include <string>

#include "common/http/server.h"

namespace longshore::daemon {

class HealthServer {
 public:
  // Called on the server's threads, concurrently.
  struct Answers {
    std::function<std::string()> stuck;    // why it must be restarted; absent or empty: it is well
    std::function<std::string()> unready;  // why it isn't ready; empty: it is
    std::function<std::string()> metrics;  // Prometheus' text format
  };

  // `threads` are there from the start, and four times as many when they are needed.
  HealthServer(int port, Answers answers, int threads = 2);

  Status Start() { return server_.Start(); }  // Errors: kUnavailable (the port is in use)
  int port() const { return server_.port(); }
  void Stop() { server_.Stop(); }  // idempotent

 private:
  http::Server server_;
};

}  // namespace longshore::daemon

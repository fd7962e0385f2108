// SPDX-License-Identifier: Apache-2.0
//
// What the storage manager API answers, counted by route and class of status, and how long it took.
// Routes that wait (acquire, events) count their waiting, too.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "common/metrics/registry.h"

namespace longshore::controller {

class ApiMetrics {
 public:
  // `registry` may be null: then nothing is counted. Routes as "GET /v1/pods".
  ApiMetrics(metrics::Registry* registry, const std::vector<std::string>& routes);
  // Thread-safe. `route` is an index into the list above.
  void Answered(size_t route, int status, std::chrono::nanoseconds took) const;

 private:
  struct Series {
    std::array<metrics::Counter*, 3> by_class{};  // 2xx, 4xx, 5xx
    metrics::Histogram* seconds = nullptr;
  };
  std::vector<Series> series_;
};

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/api/api_metrics.h"

namespace longshore::controller {

ApiMetrics::ApiMetrics(metrics::Registry* registry, const std::vector<std::string>& routes) {
  if (registry == nullptr) return;
  static constexpr const char* kClasses[] = {"2xx", "4xx", "5xx"};
  for (const std::string& route : routes) {
    Series& series = series_.emplace_back();
    for (size_t i = 0; i < series.by_class.size(); ++i) {
      series.by_class[i] = &registry->MakeCounter("longshore_controller_api_requests_total",
                                                  "Calls of the storage manager API answered.",
                                                  {{"route", route}, {"class", kClasses[i]}});
    }
    series.seconds = &registry->MakeHistogram(
        "longshore_controller_api_request_duration_seconds",
        "Time from a call of the storage manager API to its answer, waiting included.",
        {0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60}, {{"route", route}});
  }
}

void ApiMetrics::Answered(size_t route, int status, std::chrono::nanoseconds took) const {
  if (route >= series_.size()) return;
  const size_t status_class = status >= 500 ? 2 : status >= 400 ? 1 : 0;
  series_[route].by_class[status_class]->Increment();
  series_[route].seconds->Observe(std::chrono::duration<double>(took).count());
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// The controller's metrics of what its reconcilers do: counted when it happens, through a Tally.
// What is read when Prometheus asks is in scrape_metrics.h. Constructed by main.cc and by tests.
#pragma once

#include <map>
#include <string>

#include "common/metrics/registry.h"
#include "controller/tally.h"

namespace longshore::controller {

class ControllerMetrics {
 public:
  // The registry outlives it.
  explicit ControllerMetrics(metrics::Registry& registry);

  // Borrows this object. What a name is not known for is counted as "Other": label sets are fixed.
  Tally MakeTally() const;

 private:
  using Counters = std::map<std::string, metrics::Counter*>;
  using Histograms = std::map<std::string, metrics::Histogram*>;

  Counters pod_moves_, operation_moves_, decisions_, limits_;  // by the value of their label
  metrics::Counter& out_of_memory_;
  Histograms reconciles_;  // by kind of key
  metrics::Histogram& crossing_to_decision_;
  metrics::Histogram& crossing_to_announced_;
  metrics::Histogram& sample_to_decision_;
  metrics::Histogram& planned_to_available_;
};

}  // namespace longshore::controller

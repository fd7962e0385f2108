// SPDX-License-Identifier: Apache-2.0
//
// The controller's metrics, and the Tally through which the reconcilers count. Used by main.cc.
#pragma once

#include <map>
#include <string>

#include "common/metrics/registry.h"
#include "controller/environment.h"
#include "controller/leadership.h"
#include "controller/reconcile_loop.h"
#include "controller/stream_hub.h"

namespace longshore::controller {

class ControllerMetrics {
 public:
  ControllerMetrics();

  Tally MakeTally();
  // For parts that make their own: the storage manager API.
  metrics::Registry& registry() { return registry_; }
  // Sets what is counted elsewhere, then renders everything.
  std::string Text(const ReconcileLoop& loop, const StreamHub& hub, const kube::WorkQueue& queue,
                   const UsageStore& usage, std::chrono::milliseconds cache_age,
                   const Leadership& leadership);

 private:
  metrics::Registry registry_;
  std::map<std::string, metrics::Counter*> pod_moves_, operation_moves_, decisions_;
  metrics::Histogram& crossing_to_decision_;
  metrics::Histogram& planned_to_available_;
  std::map<std::string, metrics::Gauge*> gauges_;
};

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// The controller's metrics of what is, or is counted elsewhere: read when Prometheus asks. What the
// reconcilers count is in controller_metrics.h. Constructed by main.cc, which takes the reading.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/kube/work_queue.h"
#include "common/metrics/registry.h"
#include "controller/census.h"
#include "controller/cluster_state.h"
#include "controller/reconcile_loop.h"
#include "controller/stream_hub.h"

namespace longshore::controller {

// How far the copy of one resource may be behind.
struct CacheAge {
  std::chrono::milliseconds silence{0};  // since the watch last showed life, if only a bookmark
  std::chrono::milliseconds lag{0};      // age of the oldest write of ours it has not shown
};

struct Reading {
  bool leading = false;
  int64_t leader_epoch = 0;
  Census census;
  size_t nodes = 0;       // of the cluster
  size_t usage_pods = 0;  // that samples are kept of
  StreamHub::Counts streams;
  ReconcileLoop::Counts reconciles;
  kube::WorkQueue::Depth queue;
  std::map<std::string, CacheAge> caches;         // by resource, as in "backuppods"
  std::map<std::string, uint64_t> announcements;  // by type
};

// Of every watch. Thread-safe.
std::map<std::string, CacheAge> CacheAges(const ClusterState& state);

class ScrapeMetrics {
 public:
  // The registry outlives it. Of which resources there are caches does not change: a reading of
  // others is left out.
  ScrapeMetrics(metrics::Registry& registry, const std::map<std::string, CacheAge>& caches);

  void Set(const Reading& reading);  // thread-safe

 private:
  std::vector<metrics::Gauge*> gauges_;                           // as in the table of them
  std::vector<metrics::Counter*> totals_;                         // likewise
  std::map<std::string, metrics::Gauge*> pods_, operations_;      // by state
  std::map<std::string, metrics::Gauge*> cache_age_, cache_lag_;  // by resource
  std::map<std::string, metrics::Counter*> announcements_;        // by type
  metrics::Gauge &leases_working_, &leases_acquired_;
};

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// The agent's own metrics: what it sent and what it costs. What it measures is in usage_metrics.h.
// Called by daemon.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/metrics/registry.h"
#include "nodeagent/collector.h"
#include "nodeagent/reporter.h"
#include "nodeagent/text_scan.h"

namespace longshore::nodeagent {

// Written by the measuring thread only.
class AgentMetrics {
 public:
  explicit AgentMetrics(metrics::Registry& registry);

  void SetLoaded(bool loaded);
  void AfterSample(const Sample& sample, std::chrono::nanoseconds took,
                   const Reporter::Counts& reports);
  void MissedTicks(uint64_t count);

 private:
  OpenFiles open_files_{1};
  KeptFile statm_{open_files_};
  metrics::Gauge& loaded_;
  metrics::Gauge& pods_;
  metrics::Gauge& unknown_pods_;
  metrics::Gauge& connected_;
  metrics::Gauge& resident_bytes_;
  metrics::Histogram& sample_seconds_;
  metrics::Counter& missed_ticks_;
  metrics::Counter &sent_, &replaced_, &finals_dropped_, &cpu_seconds_;  // follow totals
};

}  // namespace longshore::nodeagent

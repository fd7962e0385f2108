// SPDX-License-Identifier: Apache-2.0
//
// The agent as a daemon: a thread that takes a sample each interval and hands it to the reporter,
// and the health port. Made and stopped by main.cc.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/daemon/health_server.h"
#include "common/metrics/registry.h"
#include "nodeagent/measurement.h"
#include "nodeagent/metrics.h"
#include "nodeagent/options.h"
#include "nodeagent/reporter.h"
#include "nodeagent/usage_metrics.h"

namespace longshore::nodeagent {

// How far into each interval a node takes its sample: by its name, so that a thousand nodes don't
// report in the same millisecond.
std::chrono::nanoseconds PhaseOf(std::string_view node, std::chrono::nanoseconds interval);

class Daemon {
 public:
  Daemon(Options options, const Clock& clock);
  ~Daemon();
  // Errors are of the configuration: the health port. A kernel that refuses our programs and a
  // controller that is away are retried, and said at /readyz and in the metrics. Once it measures,
  // /healthz says when no sample came for 30 s (or ten intervals, where these are longer).
  Status Start();
  void Stop();  // idempotent
  int health_port() const { return health_.port(); }

 private:
  void Run(const std::stop_token& stop);
  std::unique_ptr<Measurement> Prepare(const std::stop_token& stop);
  void Measure(Measurement& measurement, const std::stop_token& stop);
  void WarnOfUnknown(const Sample& sample);
  MonotonicTime FirstTick() const;
  std::string Epoch() const;
  messages::AgentHello Hello(const Measurement& measurement, const std::string& epoch) const;
  void SetUnready(const std::string& reason);
  std::string Unready();
  void ShowLife();
  std::string Stuck();
  bool SleepFor(const std::stop_token& stop, std::chrono::milliseconds time);

  const Options options_;
  const Clock& clock_;
  metrics::Registry registry_;
  AgentMetrics metrics_;
  UsageMetrics usage_;
  daemon::HealthServer health_;
  Mutex mutex_;
  ConditionVariable stopped_;
  std::string unready_ LS_GUARDED_BY(mutex_) = "starting";
  std::optional<MonotonicTime> alive_ LS_GUARDED_BY(mutex_);  // when it began, then each sample
  KernelCounters* waking_ LS_GUARDED_BY(mutex_) = nullptr;    // what Stop() must wake
  uint64_t unknown_pods_ = 0;  // of the last sample; by the measuring thread only
  std::jthread thread_;
};

}  // namespace longshore::nodeagent

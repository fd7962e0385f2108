// SPDX-License-Identifier: Apache-2.0
//
// What was measured, for Prometheus: the busiest pods apart and the others as one, who disturbs the
// watched ones (disturbances.h), and the node (node_metrics.h). The number of series has a bound
// whatever runs on the node. Filled by daemon.cc each sample, read by the health port.
//
// What a pod used is in a series of its own or in that of the others, and never lost with it: what
// it used since it was last read, or all of it if it never was, goes to the others when it ends.
// Where several read, each has its own share of that.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "nodeagent/disturbances.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

// Who is shown is chosen anew so often; a new pod is shown at once where there is room.
inline constexpr std::chrono::seconds kChooseAgain{60};

class UsageMetrics {
 public:
  // Of how many pods each series is shown.
  // `clock` outlives this.
  UsageMetrics(size_t max_pods, const Clock& clock)
      : max_pods_(max_pods), clock_(clock), disturbances_(max_pods) {}

  void Update(std::shared_ptr<const Sample> sample, std::vector<ProgramCost> costs);
  std::string Text();  // thread-safe, as is Update()

 private:
  static constexpr size_t kCounters = 15;
  using Values = std::array<uint64_t, kCounters>;  // of one pod, in the order of the families
  struct Tracked {
    Values told{};  // what has been read, or is among the others
    uint64_t cpu_when_chosen = 0;
    bool shown = false;
  };
  struct PodCounter;
  static const std::array<PodCounter, kCounters> kPodCounters;
  static Values Read(const Usage& usage);

  void Follow(const Sample& now) LS_REQUIRES(mutex_);
  void Choose(const Sample& now) LS_REQUIRES(mutex_);
  void ChooseAgain(const Sample& now) LS_REQUIRES(mutex_);
  void AddToOthers(Tracked& pod, const Usage& usage) LS_REQUIRES(mutex_);
  void AddPods(Exposition& out) const LS_REQUIRES(mutex_);
  void AddMemory(Exposition& out) const LS_REQUIRES(mutex_);
  void AddPressure(Exposition& out) const LS_REQUIRES(mutex_);
  void AddSums(Exposition& out) const LS_REQUIRES(mutex_);

  const size_t max_pods_;
  const Clock& clock_;
  mutable Mutex mutex_;
  std::shared_ptr<const Sample> sample_ LS_GUARDED_BY(mutex_);
  std::vector<Tracked> tracked_ LS_GUARDED_BY(mutex_);  // its pods, in the same order
  std::vector<ProgramCost> costs_ LS_GUARDED_BY(mutex_);
  MonotonicTime chosen_ LS_GUARDED_BY(mutex_){};
  // Of all pods while they were not shown, and the rest of those that ended: it never falls,
  // whoever is shown.
  Values others_ LS_GUARDED_BY(mutex_){};
  Disturbances disturbances_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// What was measured, for Prometheus: the busiest pods apart and the others as one, the node, its
// devices, what the programs cost and what the audit found. The number of series has a bound
// whatever runs on the node. Filled by daemon.cc each sample, read by the health port.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/base/mutex.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

// Who is shown is chosen anew so often; a new pod is shown at once where there is room.
inline constexpr std::chrono::seconds kChooseAgain{60};

class UsageMetrics {
 public:
  // Of how many pods each series is shown.
  explicit UsageMetrics(size_t max_pods) : max_pods_(max_pods) {}

  void Update(std::shared_ptr<const Sample> sample, std::vector<ProgramCost> costs);
  std::string Text() const;  // thread-safe, as is Update()

 private:
  void Choose(const Sample& now) LS_REQUIRES(mutex_);
  // What a pod used since the last sample.
  Usage Increase(const PodSample& pod) const LS_REQUIRES(mutex_);

  const size_t max_pods_;
  mutable Mutex mutex_;
  std::shared_ptr<const Sample> sample_ LS_GUARDED_BY(mutex_);
  std::vector<ProgramCost> costs_ LS_GUARDED_BY(mutex_);
  std::unordered_map<std::string, const PodSample*> last_ LS_GUARDED_BY(mutex_);
  std::unordered_map<std::string, uint64_t> cpu_when_chosen_ LS_GUARDED_BY(mutex_);
  std::unordered_set<std::string> shown_ LS_GUARDED_BY(mutex_);
  MonotonicTime chosen_ LS_GUARDED_BY(mutex_){};
  // Increases of all pods while they were not shown: it never falls, whoever is shown.
  Usage other_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::nodeagent

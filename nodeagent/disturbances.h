// SPDX-License-Identifier: Apache-2.0
//
// Whose fault it is that a watched pod waits, for Prometheus: how often it had to leave its CPU,
// what then ran, its part in the devices that it shares (the device's own series say the whole),
// and how long it waited for CPU, fsync and devices. By whom in particular is in the reports and in
// `top`: pairs of pods would be series without a bound. Used by usage_metrics.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "nodeagent/exposition.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

// Thread-compatible.
class Disturbances {
 public:
  // Of how many pods series are shown.
  explicit Disturbances(size_t max_pods) : max_pods_(max_pods) {}

  // `before`: the sample before, none at first. A pair that falls or ends takes nothing back.
  void Follow(const Sample* before, const Sample& now);
  void AddTo(Exposition& out, const Sample& sample) const;

 private:
  struct Preempted {
    uint64_t count = 0, offender_ns = 0;
  };
  void AddWaits(Exposition& out, const Sample& sample) const;

  const size_t max_pods_;
  std::map<std::string, Preempted> preempted_;  // watched pods, by UID
};

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// spec.scaling of a ComputeRequest in the units of samples: percentages are resolved against the
// resources of the pod.
#pragma once

#include <chrono>
#include <vector>

#include "common/api/request.h"
#include "common/api/source.h"
#include "common/scaling/samples.h"

namespace longshore::scaling {

// A signal's thresholds in the units of Sample.
struct SignalRule {
  Signal signal;
  double up = 0, down = 0;
  std::chrono::seconds window{3};
};

struct Policy {
  std::vector<SignalRule> rules;
  std::chrono::seconds idle{120};
  std::chrono::seconds startup_grace{0};
  bool follow_demand = false;   // a pod for each operation that is known
  bool require_demand = false;  // usage adds none beyond that
  int warm_pods = 0;
  double cpu_limit_milli = 0;  // of a pod; 0: it has none
};

// Percentages of cpu and memory are of the pod's resource requests, others of the time. Errors:
// kInvalidArgument naming the field.
Result<Policy> ResolvePolicy(const api::Scaling& scaling,
                             const api::ResourceRequirements& resources);

}  // namespace longshore::scaling

// SPDX-License-Identifier: Apache-2.0
//
// How many there are now, by what the objects say: pods, leases and operations by state, the
// longest drain. Read from the caches when somebody asks for the metrics; pure.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "common/api/request.h"
#include "common/base/clock.h"
#include "common/kube/informer.h"

namespace longshore::controller {

// States that a row of a pod, and an operation, may have, in their usual order.
inline constexpr const char* kPodStates[] = {"Planned",  "Provisioning",  "Available", "Assigned",
                                             "Draining", "Deconstructed", "Failed",    "Lost"};
inline constexpr const char* kOperationStates[] = {"Queued",     "Preparing",  "Running",
                                                   "Committing", "Succeeded",  "Failed",
                                                   "Cancelled",  "Interrupted"};

struct Census {
  std::map<std::string, int> pods, operations;  // by state
  int leases_working = 0;                       // pods held for an operation
  int leases_acquired = 0;  // pods held by a storage manager that has not named one yet
  int64_t wanted_pods = 0;  // of all requests
  // Of pods that drain, or will when their work is done, since their request is ending. Zero: none.
  std::chrono::nanoseconds oldest_drain{0};
};

// Costs about a microsecond an object: nothing is parsed but what is counted, and requests that
// have an end.
Census TakeCensus(const std::vector<kube::ObjectPtr>& requests,
                  const std::vector<api::BackupPodPtr>& backup_pods,
                  const std::vector<kube::ObjectPtr>& operations, WallTime now);

}  // namespace longshore::controller

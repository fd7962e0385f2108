// SPDX-License-Identifier: Apache-2.0
//
// From changes in the cluster to keys in the work queue. Wired by main.cc before the informers
// start.
#pragma once

#include "common/kube/work_queue.h"
#include "controller/cluster_state.h"
#include "controller/pod_index.h"

namespace longshore::controller {

// All of them outlive the informers.
void ConnectTriggers(ClusterState& state, PodIndex& index, kube::WorkQueue& queue);

}  // namespace longshore::controller

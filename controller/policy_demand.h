// SPDX-License-Identifier: Apache-2.0
//
// What a PodPolicy says of where its pods can go. One answer for the Pod itself, for steering, and
// for what the API shows of both.
#pragma once

#include <vector>

#include "common/api/source.h"
#include "common/placement/ranking.h"

namespace longshore::controller {

// How long a pod of ours stays on a node that is gone before the cluster gives it up.
inline constexpr int kNodeLossSeconds = 30;

// What the policy's pods tolerate: first the loss of their node, for kNodeLossSeconds.
std::vector<api::Toleration> TolerationsOf(const api::PodPolicySpec& policy);
inline constexpr size_t kNodeLossTolerations = 2;

// For a pod of that policy.
void AddPolicy(const api::PodPolicySpec& policy, placement::PodDemand& demand);

}  // namespace longshore::controller

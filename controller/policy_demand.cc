// SPDX-License-Identifier: Apache-2.0
#include "controller/policy_demand.h"

#include <algorithm>

namespace longshore::controller {
namespace {

constexpr int kMostHeadroomPercent = 50;  // as the schema has it

}  // namespace

std::vector<api::Toleration> TolerationsOf(const api::PodPolicySpec& policy) {
  std::vector<api::Toleration> all = {
      {"node.kubernetes.io/not-ready", "Exists", "", "NoExecute"},
      {"node.kubernetes.io/unreachable", "Exists", "", "NoExecute"},
  };
  all.insert(all.end(), policy.tolerations.begin(), policy.tolerations.end());
  return all;
}

void AddPolicy(const api::PodPolicySpec& policy, placement::PodDemand& demand) {
  demand.tolerations = TolerationsOf(policy);
  demand.headroom_percent = std::clamp(policy.node_headroom_percent, 0, kMostHeadroomPercent);
}

}  // namespace longshore::controller

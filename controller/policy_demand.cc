// SPDX-License-Identifier: Apache-2.0
#include "controller/policy_demand.h"

namespace longshore::controller {

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
}

}  // namespace longshore::controller

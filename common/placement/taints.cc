// SPDX-License-Identifier: Apache-2.0
#include "common/placement/taints.h"

#include <algorithm>

#include "common/kube/informer.h"

namespace longshore::placement {
namespace {

using kube::StringAt;

// Set and taken away by Kubernetes with the Ready condition and spec.unschedulable.
bool FollowsFromTheNode(std::string_view key) {
  return key == "node.kubernetes.io/not-ready" || key == "node.kubernetes.io/unreachable" ||
         key == "node.kubernetes.io/unschedulable";
}

}  // namespace

std::vector<Taint> ReadTaints(const api::Json& taints) {
  std::vector<Taint> read;
  if (!taints.is_array()) return read;
  for (const api::Json& taint : taints) {
    const std::string_view key = StringAt(taint, "/key"), effect = StringAt(taint, "/effect");
    // PreferNoSchedule keeps nobody away.
    const bool keeps_away = effect == "NoSchedule" || effect == "NoExecute";
    if (key.empty() || !keeps_away || FollowsFromTheNode(key)) continue;
    read.push_back({std::string(key), std::string(StringAt(taint, "/value")), std::string(effect)});
  }
  return read;
}

bool Tolerates(const api::Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.op == "Exists") return true;
  return (toleration.op.empty() || toleration.op == "Equal") && toleration.value == taint.value;
}

std::vector<Taint> Untolerated(const std::vector<Taint>& taints,
                               const std::vector<api::Toleration>& tolerations) {
  std::vector<Taint> left;
  for (const Taint& taint : taints) {
    const auto tolerates = [&](const api::Toleration& t) { return Tolerates(t, taint); };
    if (std::none_of(tolerations.begin(), tolerations.end(), tolerates)) left.push_back(taint);
  }
  return left;
}

std::string TaintText(const Taint& taint) {
  return taint.key + (taint.value.empty() ? "" : "=" + taint.value) + ":" + taint.effect;
}

}  // namespace longshore::placement

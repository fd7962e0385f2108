// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a pod may not run on because of their taints, by the rules of kube-scheduler
// (TaintToleration). Used by ranking.cc, levers.cc and records.cc.
#pragma once

#include <string>
#include <vector>

#include "common/api/archive.h"
#include "common/api/source.h"
#include "common/placement/location.h"

namespace longshore::placement {

// From spec.taints of a node: those that keep pods away, without what `ready` and `schedulable` of
// a NodeInfo say already. What is malformed is left out.
std::vector<Taint> ReadTaints(const api::Json& taints);

bool Tolerates(const api::Toleration& toleration, const Taint& taint);
// Those that no toleration is for.
std::vector<Taint> Untolerated(const std::vector<Taint>& taints,
                               const std::vector<api::Toleration>& tolerations);

// "dedicated=db:NoSchedule", as kubectl writes it.
std::string TaintText(const Taint& taint);

}  // namespace longshore::placement

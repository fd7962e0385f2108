// SPDX-License-Identifier: Apache-2.0
//
// The node for Prometheus: the machine, its devices and interfaces, what could not be attributed,
// what our programs cost, and what the audit found. Used by usage_metrics.cc. At most 16 devices
// and 16 interfaces, so the number of series has a bound.
#pragma once

#include <vector>

#include "nodeagent/exposition.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

void AddNode(Exposition& out, const Sample& sample, const std::vector<ProgramCost>& costs);

}  // namespace longshore::nodeagent

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

// The pressure of a node or a pod, as series of one family.
struct PressureSeries {
  std::string_view resource, kind;
  uint64_t Pressure::* total_us;
};
inline constexpr PressureSeries kPressureSeries[] = {
    {"cpu", "some", &Pressure::cpu_some_us},       {"cpu", "full", &Pressure::cpu_full_us},
    {"io", "some", &Pressure::io_some_us},         {"io", "full", &Pressure::io_full_us},
    {"memory", "some", &Pressure::memory_some_us}, {"memory", "full", &Pressure::memory_full_us}};

void AddNode(Exposition& out, const Sample& sample, const std::vector<ProgramCost>& costs);

}  // namespace longshore::nodeagent

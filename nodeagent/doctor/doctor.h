// SPDX-License-Identifier: Apache-2.0
//
// `longshore-nodeagent doctor`: tries everything that the agent needs, and says what is missing and
// what to change. Called by main.cc.
#pragma once

#include "nodeagent/measurement.h"

namespace longshore::nodeagent::doctor {

// The exit status: 0 all is well, 1 degraded, 2 nothing can be measured.
int RunDoctor(const MeasurementOptions& options, bool json);

}  // namespace longshore::nodeagent::doctor

// SPDX-License-Identifier: Apache-2.0
//
// `longshore-nodeagent top`: what each pod of this node uses, live in the terminal, or as plain
// text or JSON where there is none. Called by main.cc.
#pragma once

#include <chrono>

#include "nodeagent/measurement.h"
#include "nodeagent/top/top_options.h"

namespace longshore::nodeagent::top {

// The exit status: 0; 1 when there is no such pod; 2 when nothing can be measured here.
int RunTop(const TopOptions& options, const MeasurementOptions& what,
           std::chrono::milliseconds interval);

}  // namespace longshore::nodeagent::top

// SPDX-License-Identifier: Apache-2.0
//
// Turns samples into tables and JSON for people and programs (--once, --interval). Pure functions.
// Called by main.cc.
#pragma once

#include <string>

#include "nodeagent/sample.h"

namespace longshore::nodeagent {

// Rates between two samples of one collector; a pod that is new in `now` has its rates from zero.
// Rows are sorted by CPU, the busiest first.
std::string RenderTable(const Sample& before, const Sample& now);
// One JSON object, without a line end: {"time", "node": {…}, "pods": [{…}]}.
std::string RenderJson(const Sample& before, const Sample& now);

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// `top -o json`: one object a sample, for programs. Names of fields carry their unit; a signal
// that this kernel doesn't give is null, never 0.
#pragma once

#include <string>

#include "nodeagent/top/pod_names.h"
#include "nodeagent/top/rates.h"
#include "nodeagent/top/text.h"

namespace longshore::nodeagent::top {

// {"time", "intervalSeconds", "node": {…}, "pods": [{…}]}, without a line end; pods in the order of
// `options`. With `only`, of the pods just that one, with who preempted it and who shares its
// devices.
std::string RenderJson(const Sample& before, const Sample& now, const TableOptions& options,
                       PodNames& names, const std::string& only = "");

}  // namespace longshore::nodeagent::top

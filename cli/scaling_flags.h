// SPDX-License-Identifier: Apache-2.0
//
// --up cpu=60% --down cpu=15% --window 3 --idle 2m --follow-demand --warm 1: the scaling of a
// request as flags. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/api/archive.h"

namespace longshore::cli {

struct ScalingFlags {
  std::vector<std::string> up, down;                   // SIGNAL=PERCENT% or SIGNAL=QUANTITY
  std::string window, idle;                            // durations
  bool follow_demand = false, require_demand = false;  // one of them at most
  std::optional<int> warm;
};

// spec.scaling, or null when no flag was given (the cluster's defaults then hold).
// Errors: kInvalidArgument naming the flag.
Result<api::Json> ScalingSpec(const ScalingFlags& flags);

}  // namespace longshore::cli

// SPDX-License-Identifier: Apache-2.0
//
// The inputs of a ranking that could have been better for a node, each by small steps. Pulled by
// counterfactual.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/placement/counterfactual.h"

namespace longshore::placement {

// Level 0 is as it is; from level 1 on none is worse than the one before.
struct Lever {
  std::string input;
  std::string was;
  int64_t levels = 0;  // 0: it cannot be better than it is
  std::function<void(Premise&, int64_t level)> apply;
  struct Wording {
    int64_t value;
    std::string needed;
  };
  std::function<Wording(int64_t level)> say;
};

// In the order in which they are told: what may change by itself first.
std::vector<Lever> LeversOf(const Premise& premise);
// All that is of the node alone, at its best.
Lever AllOf(const std::vector<Lever>& levers);

}  // namespace longshore::placement

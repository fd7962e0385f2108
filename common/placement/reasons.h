// SPDX-License-Identifier: Apache-2.0
//
// What a node has its points for, in sentences for people. Used by the ranking where it explains.
#pragma once

#include <string>

#include "common/placement/ranking.h"

namespace longshore::placement {

std::string Signed(int points);  // "+5", "-2"
std::string PressureText(const Pressure& pressure, int points);
// `avoided`: the node holds the data, and why it is not preferred for that; empty: it is.
std::string LocalityText(const Location& location, Tier tier, const std::string& avoided,
                         int points);

}  // namespace longshore::placement

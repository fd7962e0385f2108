// SPDX-License-Identifier: Apache-2.0
#include "common/placement/reasons.h"

#include "common/base/strings.h"

namespace longshore::placement {

std::string Signed(int points) { return (points < 0 ? "" : "+") + std::to_string(points); }

std::string PressureText(const Pressure& pressure, int points) {
  if (pressure.age_ms < 0) return "pressure never reported (" + Signed(points) + ")";
  if (!pressure.known()) {
    return "pressure unknown: last report " + std::to_string(pressure.age_ms / 1000) + " s ago (" +
           Signed(points) + ")";
  }
  std::string text = "pressure: cpu ";
  text +=
      pressure.cpu_capacity_milli > 0
          ? std::to_string(100 * int64_t{pressure.cpu_used_milli} / pressure.cpu_capacity_milli) +
                " %"
          : "unknown";
  if (pressure.psi_valid) {
    text += ", waiting cpu " + std::to_string(pressure.psi_cpu_permille / 10) + " %, io " +
            std::to_string(pressure.psi_io_permille / 10) + " %, memory " +
            std::to_string(pressure.psi_memory_permille / 10) + " %";
  }
  if (pressure.age_ms > kFreshPressureAgeMs) {
    text += ", " + std::to_string(pressure.age_ms / 1000) + " s ago and so counting less";
  }
  return text + " (" + Signed(points) + ")";
}

std::string LocalityText(const Location& location, Tier tier, const std::string& avoided,
                         int points) {
  if (!avoided.empty()) {
    return "the data is on this node, " + avoided + " (" + Signed(points) + ")";
  }
  if (location.external) return "the data is outside of the cluster (" + Signed(points) + ")";
  if (!location.known()) return "where the data is, is unknown: " + location.reason;
  switch (tier) {
    case Tier::kNode:
      return "the data is on this node (" + Signed(points) + ")";
    case Tier::kNone:
      return "the data is in another region or zone (" + Signed(points) + ")";
    case Tier::kUnknown:
      return "the node has no topology labels to compare (" + Signed(points) + ")";
    default:
      return "the data is in this node's " + ToLower(TierName(tier)) + " (" + Signed(points) + ")";
  }
}

}  // namespace longshore::placement

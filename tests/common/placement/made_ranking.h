// SPDX-License-Identifier: Apache-2.0
//
// Sources, demands and pressures written down by hand, for the tests of how nodes are ranked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/placement/ranking.h"
#include "tests/common/placement/fake_view.h"

namespace longshore::placement {

inline api::BackupSource OnN1(const std::string& mode = "Prefer",
                              const std::string& tier = "Node") {
  return MakeSource({.node_name = "n1"}, mode, tier);
}

inline const PodDemand kSmall{250, int64_t{256} << 20, {}};

inline std::vector<std::string> Names(const std::vector<NodeScore>& ranked) {
  std::vector<std::string> names;
  for (const NodeScore& score : ranked) names.push_back(score.node);
  return names;
}

inline std::vector<NodeScore> Ranked(const api::BackupSource& source, const View& view,
                                     const PressureMap& pressure = {},
                                     const std::map<std::string, int>& reserved = {},
                                     const PodDemand& demand = kSmall) {
  return RankNodes(source, Locate(source, view), view, demand, pressure, reserved);
}

inline Pressure Busy(int64_t age_ms = 500) {
  return {.cpu_used_milli = 4000,
          .cpu_capacity_milli = 4000,
          .psi_io_permille = 900,
          .psi_valid = true,
          .age_ms = age_ms};
}
inline Pressure Calm(int64_t age_ms = 500) {
  return {.cpu_used_milli = 0, .cpu_capacity_milli = 4000, .psi_valid = true, .age_ms = age_ms};
}

}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// How good is a node for a backup pod of a source? One scoring for the controller's steering and
// the extender's verdicts, so that they never disagree on policy, only on freshness.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/placement/location.h"

namespace longshore::placement {

// From the node agents, through the leader. Permille of the last second.
struct Pressure {
  int cpu_used_milli = 0, cpu_capacity_milli = 0;
  int psi_cpu_permille = 0, psi_io_permille = 0, psi_memory_permille = 0;
  bool psi_valid = false;
  int64_t age_ms = -1;  // -1: never heard; over 5000: unknown, which is neutral
  bool known() const { return age_ms >= 0 && age_ms <= 5000; }
};
using PressureMap = std::map<std::string, Pressure>;  // by node

// What the pod needs.
struct PodDemand {
  int64_t cpu_milli = 0, memory_bytes = 0;
  std::map<std::string, std::string> node_selector;
};

struct NodeScore {
  std::string node;
  Tier tier = Tier::kUnknown;
  bool feasible = true;        // false: filtered, `reasons` says why
  bool unresolvable = false;   // infeasible whatever is evicted (placement required elsewhere)
  int score = 0;               // 0..100, higher is better; 0 when infeasible
  int locality_points = 0;     // parts of the score, for explain
  int pressure_points = 0;
  int room_points = 0;
  std::vector<std::string> reasons;  // one line each, for people
};

// `reserved`: pods of ours just placed on each node and not yet seen bound (spreads a burst).
NodeScore ScoreNode(const api::BackupSource& source, const Location& location, const NodeInfo& node,
                    const PodDemand& demand, const Pressure& pressure, int reserved);

// All nodes of the view, best first (score, then fewest reserved, then name).
std::vector<NodeScore> RankNodes(const api::BackupSource& source, const Location& location,
                                 const View& view, const PodDemand& demand,
                                 const PressureMap& pressure,
                                 const std::map<std::string, int>& reserved);

// The candidates for steering: the feasible nodes of the best tier that has room, at most `limit`;
// when placement is preferred, followed by none. Empty: nothing feasible.
std::vector<std::string> SteeringCandidates(const std::vector<NodeScore>& ranked, size_t limit);

}  // namespace longshore::placement

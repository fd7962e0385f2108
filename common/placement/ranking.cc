// SPDX-License-Identifier: Apache-2.0
#include "common/placement/ranking.h"

#include <algorithm>
#include <tuple>

#include "common/base/strings.h"

namespace longshore::placement {
namespace {

int LocalityPoints(Tier tier) {
  switch (tier) {
    case Tier::kNode:
      return kNodePoints;
    case Tier::kRack:
      return kRackPoints;
    case Tier::kZone:
      return kZonePoints;
    case Tier::kRegion:
      return kRegionPoints;
    case Tier::kNone:
      return kNonePoints;
    case Tier::kUnknown:
      break;
  }
  return kUnknownPoints;
}

Tier WantedTier(const std::string& name) {
  for (const Tier tier : {Tier::kRack, Tier::kZone, Tier::kRegion}) {
    if (name == TierName(tier)) return tier;
  }
  return Tier::kNode;
}

// The busiest of CPU, and of the shares of time in which some task waited, in permille.
int LoadPermille(const Pressure& pressure) {
  int64_t load = 0;
  if (pressure.cpu_capacity_milli > 0) {
    load = int64_t{1000} * std::max(0, pressure.cpu_used_milli) / pressure.cpu_capacity_milli;
  }
  if (pressure.psi_valid) {
    load = std::max<int64_t>(
        {load, pressure.psi_cpu_permille, pressure.psi_io_permille, pressure.psi_memory_permille});
  }
  return static_cast<int>(std::clamp<int64_t>(load, 0, 1000));
}

int PressurePoints(const Pressure& pressure) {
  if (!pressure.known()) return kNeutralPressurePoints;
  const int calm = 1000 - LoadPermille(pressure);
  return (calm * kMaxPressurePoints + 500) / 1000;
}

// What is left of `allocatable` after this pod and those just placed; may be negative.
int64_t LeftAfter(int64_t allocatable, int64_t requested, int64_t demand, int reserved) {
  return allocatable - requested - demand * (1 + int64_t{std::max(0, reserved)});
}

int64_t SharePermille(int64_t left, int64_t allocatable) {
  if (allocatable <= 0) return 0;
  return std::clamp<int64_t>(left / std::max<int64_t>(1, allocatable / 1000), 0, 1000);
}

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
  return text + " (" + Signed(points) + ")";
}

std::string LocalityText(const Location& location, Tier tier, int points) {
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

}  // namespace

int Points::Total() const {
  return std::clamp(locality + pressure + room - reserved_penalty, 0, 100);
}

Scorer::Scorer(const api::BackupSource& source, const Location& location, const PodDemand& demand)
    : location_(location),
      demand_(demand),
      wanted_(WantedTier(source.spec.placement.tier)),
      required_(source.spec.placement.mode == "Require") {}

Obstacle Scorer::FindObstacle(const NodeInfo& node, Tier tier, int reserved) const {
  // Placement first: it is the one that no freed capacity and no other node state can change.
  if (required_ && !location_.unbound) {
    if (!location_.known()) return Obstacle::kLocationUnknown;
    if (tier > wanted_) return Obstacle::kTooFar;
  }
  if (!node.ready) return Obstacle::kNotReady;
  if (!node.schedulable) return Obstacle::kCordoned;
  for (const auto& [key, value] : demand_.node_selector) {
    const auto label = node.labels.find(key);
    if (label == node.labels.end() || label->second != value) return Obstacle::kSelector;
  }
  if (LeftAfter(node.cpu_allocatable_milli, node.cpu_requested_milli, demand_.cpu_milli, reserved) <
      0) {
    return Obstacle::kCpu;
  }
  if (LeftAfter(node.memory_allocatable_bytes, node.memory_requested_bytes, demand_.memory_bytes,
                reserved) < 0) {
    return Obstacle::kMemory;
  }
  if (node.max_pods > 0 && node.pods + std::max(0, reserved) >= node.max_pods) {
    return Obstacle::kPods;
  }
  return Obstacle::kNone;
}

int Scorer::RoomPoints(const NodeInfo& node, int reserved) const {
  const int64_t cpu =
      LeftAfter(node.cpu_allocatable_milli, node.cpu_requested_milli, demand_.cpu_milli, reserved);
  const int64_t memory = LeftAfter(node.memory_allocatable_bytes, node.memory_requested_bytes,
                                   demand_.memory_bytes, reserved);
  const int64_t share = std::min(SharePermille(cpu, node.cpu_allocatable_milli),
                                 SharePermille(memory, node.memory_allocatable_bytes));
  return static_cast<int>((share * kMaxRoomPoints + 500) / 1000);
}

Points Scorer::Score(const NodeInfo& node, const Pressure& pressure, int reserved) const {
  Points points;
  points.tier = Nearness(location_, node);
  // Nearer than wanted is not better: then pressure and room decide.
  points.locality = LocalityPoints(std::max(points.tier, wanted_));
  points.pressure = PressurePoints(pressure);
  points.room = RoomPoints(node, reserved);
  points.reserved_penalty = std::clamp(reserved, 0, kMaxReservedPenalty);
  points.obstacle = FindObstacle(node, points.tier, reserved);
  return points;
}

std::string Scorer::ObstacleText(Obstacle obstacle, const NodeInfo& node, Tier tier,
                                 int reserved) const {
  const auto left = [&](int64_t allocatable, int64_t requested, int64_t demand) {
    return LeftAfter(allocatable, requested, demand, reserved) + demand;
  };
  switch (obstacle) {
    case Obstacle::kNone:
      break;
    case Obstacle::kNotReady:
      return "the node is not ready";
    case Obstacle::kCordoned:
      return "the node is cordoned";
    case Obstacle::kSelector:
      return "the node's labels do not match the pod's node selector";
    case Obstacle::kCpu:
      return "too little CPU: " + std::to_string(demand_.cpu_milli) + "m wanted, " +
             std::to_string(
                 left(node.cpu_allocatable_milli, node.cpu_requested_milli, demand_.cpu_milli)) +
             "m free";
    case Obstacle::kMemory:
      return "too little memory: " + FormatBytes(static_cast<double>(demand_.memory_bytes)) +
             " wanted, " +
             FormatBytes(
                 static_cast<double>(left(node.memory_allocatable_bytes,
                                          node.memory_requested_bytes, demand_.memory_bytes))) +
             " free";
    case Obstacle::kPods:
      return "the node has its " + std::to_string(node.max_pods) + " pods";
    case Obstacle::kTooFar:
      return std::string("placement requires tier ") + TierName(wanted_) + ", this node is at " +
             TierName(tier) + " (" + location_.reason + ")";
    case Obstacle::kLocationUnknown:
      return std::string("placement requires tier ") + TierName(wanted_) +
             ", but where the data is, is unknown: " + location_.reason;
  }
  return "";
}

NodeScore Scorer::Explain(const NodeInfo& node, const Pressure& pressure, int reserved) const {
  const Points points = Score(node, pressure, reserved);
  NodeScore score;
  score.node = node.name;
  score.tier = points.tier;
  score.feasible = points.obstacle == Obstacle::kNone;
  score.unresolvable =
      points.obstacle == Obstacle::kTooFar || points.obstacle == Obstacle::kSelector;
  score.locality_points = points.locality;
  score.pressure_points = points.pressure;
  score.room_points = points.room;
  score.score = score.feasible ? points.Total() : 0;
  if (!score.feasible) {
    score.reasons.push_back(ObstacleText(points.obstacle, node, points.tier, reserved));
  }
  score.reasons.push_back(LocalityText(location_, points.tier, points.locality));
  score.reasons.push_back(PressureText(pressure, points.pressure));
  score.reasons.push_back("room for it (" + Signed(points.room) + ")");
  if (points.reserved_penalty > 0) {
    score.reasons.push_back(std::to_string(reserved) + " of our pods just placed here (" +
                            Signed(-points.reserved_penalty) + ")");
  }
  return score;
}

NodeScore ScoreNode(const api::BackupSource& source, const Location& location, const NodeInfo& node,
                    const PodDemand& demand, const Pressure& pressure, int reserved) {
  return Scorer(source, location, demand).Explain(node, pressure, reserved);
}

std::vector<NodeScore> RankNodes(const api::BackupSource& source, const Location& location,
                                 const View& view, const PodDemand& demand,
                                 const PressureMap& pressure,
                                 const std::map<std::string, int>& reserved) {
  const Scorer scorer(source, location, demand);
  const auto reserved_on = [&](const std::string& node) {
    const auto found = reserved.find(node);
    return found == reserved.end() ? 0 : found->second;
  };
  std::vector<NodeScore> ranked;
  for (const NodeInfo* node : view.Nodes()) {
    const auto found = pressure.find(node->name);
    ranked.push_back(scorer.Explain(*node, found == pressure.end() ? Pressure{} : found->second,
                                    reserved_on(node->name)));
  }
  std::sort(ranked.begin(), ranked.end(), [&](const NodeScore& a, const NodeScore& b) {
    return std::make_tuple(!a.feasible, -a.score, reserved_on(a.node), std::cref(a.node)) <
           std::make_tuple(!b.feasible, -b.score, reserved_on(b.node), std::cref(b.node));
  });
  return ranked;
}

std::vector<std::string> SteeringCandidates(const std::vector<NodeScore>& ranked, size_t limit) {
  std::vector<std::string> candidates;
  int near_enough = 0;
  for (const NodeScore& score : ranked) {
    if (!score.feasible) continue;
    if (candidates.empty()) near_enough = score.locality_points;
    if (score.locality_points != near_enough || candidates.size() == limit) break;
    candidates.push_back(score.node);
  }
  return candidates;
}

}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
#include "common/placement/ranking.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>
#include <utility>

#include "common/base/strings.h"
#include "common/placement/reasons.h"
#include "common/placement/taints.h"

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

std::optional<int> PermilleOf(const std::optional<int>& percent) {
  return percent ? std::optional<int>(10 * std::clamp(*percent, 0, 100)) : std::nullopt;
}

// What is left of `allocatable` after this pod and those just placed; may be negative.
int64_t LeftAfter(int64_t allocatable, int64_t requested, int64_t demand, int reserved) {
  return allocatable - requested - demand * (1 + int64_t{std::max(0, reserved)});
}

int64_t CpuLeft(const NodeInfo& node, const PodDemand& demand, int reserved) {
  return LeftAfter(node.cpu_allocatable_milli, node.cpu_requested_milli, demand.cpu_milli,
                   reserved);
}

int64_t MemoryLeft(const NodeInfo& node, const PodDemand& demand, int reserved) {
  return LeftAfter(node.memory_allocatable_bytes, node.memory_requested_bytes, demand.memory_bytes,
                   reserved);
}

std::string BytesText(int64_t bytes) { return FormatBytes(static_cast<double>(bytes)); }

bool IsLessThan(int percent, int64_t left, int64_t allocatable) {
  return left * 100 < allocatable * percent;
}

// "less than 5 % of its CPU would be left: 199m of 4000m", of a node where that is so.
std::string HeadroomText(int percent, const NodeInfo& node, const PodDemand& demand, int reserved) {
  const int64_t cpu_left = CpuLeft(node, demand, reserved);
  const std::string text = "less than " + std::to_string(percent) + " % of its ";
  if (IsLessThan(percent, cpu_left, node.cpu_allocatable_milli)) {
    return text + "CPU would be left: " + std::to_string(cpu_left) + "m of " +
           std::to_string(node.cpu_allocatable_milli) + "m";
  }
  return text + "memory would be left: " + BytesText(MemoryLeft(node, demand, reserved)) + " of " +
         BytesText(node.memory_allocatable_bytes);
}

// From how many permille on there are 1, 2, … points: the share times the most points, rounded.
constexpr auto kRoomSteps = [] {
  std::array<int64_t, kMaxRoomPoints> steps{};
  for (int points = 1; points <= kMaxRoomPoints; ++points) {
    steps[points - 1] = (1000 * points - 500 + kMaxRoomPoints - 1) / kMaxRoomPoints;
  }
  return steps;
}();

// Compared with each step instead of divided: hot.
int PointsOfShare(const Amount& amount, int64_t demand) {
  const int64_t left = amount.free - demand;
  int points = 0;
  for (const int64_t step : kRoomSteps) points += left >= step * amount.permille ? 1 : 0;
  return amount.permille > 0 ? points : 0;
}

// All of a score but its reasons.
NodeScore Brief(const NodeInfo& node, const Points& points) {
  NodeScore score;
  score.node = node.name;
  score.tier = points.tier;
  score.feasible = points.obstacle == Obstacle::kNone;
  score.unresolvable = points.obstacle == Obstacle::kTooFar ||
                       points.obstacle == Obstacle::kTainted ||
                       points.obstacle == Obstacle::kSelector;
  score.locality_points = points.locality;
  score.pressure_points = points.pressure;
  score.room_points = points.room;
  score.image_points = points.image;
  score.score = score.feasible ? points.Total() : 0;
  return score;
}

}  // namespace

int FreshPressurePoints(const Pressure& pressure) {
  const int calm = 1000 - LoadPermille(pressure);
  return (calm * kMaxPressurePoints + 500) / 1000;
}

int PressurePoints(const Pressure& pressure) {
  return AgedPressurePoints(FreshPressurePoints(pressure), pressure.age_ms);
}

bool Requires(const api::BackupSource& source) { return source.spec.placement.mode == "Require"; }

int Points::Total() const {
  return std::clamp(locality + pressure + room + image - reserved_penalty, 0, 100);
}

Scorer::Scorer(const api::BackupSource& source, const Location& location, const PodDemand& demand)
    : location_(location),
      demand_(demand),
      image_key_(ImageKey(demand.image)),
      wanted_(WantedTier(source.spec.placement.tier)),
      required_(Requires(source) && !demand.relaxed),
      relaxed_(Requires(source) && demand.relaxed),
      avoid_above_permille_(PermilleOf(source.spec.placement.avoid_node_above_percent)) {}

bool Scorer::IsBusierThan(const Pressure& pressure) const {
  if (*avoid_above_permille_ == 0) return true;
  return pressure.known() && LoadPermille(pressure) > *avoid_above_permille_;
}

std::string Scorer::AvoidedText(const Pressure& pressure) const {
  const std::string limit = "avoidNodeAbovePercent " + std::to_string(*avoid_above_permille_ / 10);
  if (*avoid_above_permille_ == 0) return "which is never better than its zone: " + limit;
  return "whose load of " + std::to_string(LoadPermille(pressure) / 10) + " % is above " + limit;
}

Obstacle Scorer::PlacementObstacle(Tier tier) const {
  // Data that is outside is as near to one node as to another.
  if (required_ && !location_.unbound && !location_.external) {
    if (!location_.known()) return Obstacle::kLocationUnknown;
    if (tier > wanted_) return Obstacle::kTooFar;
  }
  return Obstacle::kNone;
}

Obstacle Scorer::OwnObstacle(const NodeInfo& node, int reserved) const {
  if (!node.ready) return Obstacle::kNotReady;
  if (!node.schedulable) return Obstacle::kCordoned;
  if (demand_.tolerations && !Untolerated(node.taints, *demand_.tolerations).empty()) {
    return Obstacle::kTainted;
  }
  for (const auto& [key, value] : demand_.node_selector) {
    const auto label = node.labels.find(key);
    if (label == node.labels.end() || label->second != value) return Obstacle::kSelector;
  }
  if (demand_.max_backup_pods > 0 &&
      node.backup_pods + std::max(0, reserved) >= demand_.max_backup_pods) {
    return Obstacle::kBackupPods;
  }
  const int64_t cpu_left = CpuLeft(node, demand_, reserved);
  const int64_t memory_left = MemoryLeft(node, demand_, reserved);
  if (cpu_left < 0) return Obstacle::kCpu;
  if (memory_left < 0) return Obstacle::kMemory;
  if (node.max_pods > 0 && node.pods + std::max(0, reserved) >= node.max_pods) {
    return Obstacle::kPods;
  }
  if (IsLessThan(demand_.headroom_percent, cpu_left, node.cpu_allocatable_milli) ||
      IsLessThan(demand_.headroom_percent, memory_left, node.memory_allocatable_bytes)) {
    return Obstacle::kHeadroom;
  }
  return Obstacle::kNone;
}

int Scorer::RoomPoints(const Room& room, int reserved) const {
  const int pods = 1 + std::max(0, reserved);
  return std::min(PointsOfShare(room.cpu_milli, demand_.cpu_milli * pods),
                  PointsOfShare(room.memory_bytes, demand_.memory_bytes * pods));
}

Points Scorer::Score(const NodeInfo& node, const Pressure& pressure, int reserved) const {
  return Score(node, Nearness(location_, node), pressure, reserved);
}

Points Scorer::Score(const NodeInfo& node, Tier tier, const Pressure& pressure,
                     int reserved) const {
  Points points = Score(tier, CountsAs(tier, node, pressure), RoomOf(node),
                        PressurePoints(pressure), reserved, HasImage(node));
  // Placement first: it is the one that no freed capacity and no other node state can change.
  if (points.obstacle == Obstacle::kNone && !OnItsVolumesNode(node.name)) {
    points.obstacle = Obstacle::kAttached;
  }
  if (points.obstacle == Obstacle::kNone) points.obstacle = OwnObstacle(node, reserved);
  return points;
}

Points Scorer::Score(Tier tier, Tier counts_as, const Room& room, int pressure_points, int reserved,
                     bool has_image) const {
  Points points;
  points.tier = tier;
  points.avoided = counts_as != tier;
  // Nearer than wanted is not better: then pressure and room decide.
  points.locality = LocalityPoints(std::max(counts_as, wanted_));
  points.pressure = pressure_points;
  points.room = RoomPoints(room, reserved);
  points.image = has_image ? kImagePoints : 0;
  points.reserved_penalty = std::clamp(reserved, 0, kMaxReservedPenalty);
  points.obstacle = PlacementObstacle(tier);
  return points;
}

std::string Scorer::ObstacleText(Obstacle obstacle, const NodeInfo& node, Tier tier,
                                 int reserved) const {
  const int64_t cpu_left = CpuLeft(node, demand_, reserved);
  const int64_t memory_left = MemoryLeft(node, demand_, reserved);
  switch (obstacle) {
    case Obstacle::kNone:
      break;
    case Obstacle::kNotReady:
      return "the node is not ready";
    case Obstacle::kCordoned:
      return "the node is cordoned";
    case Obstacle::kTainted:
      return "the node has the taint " +
             TaintText(Untolerated(node.taints, *demand_.tolerations).front()) +
             ", which the pod's policy does not tolerate";
    case Obstacle::kSelector:
      return "the node's labels do not match the pod's node selector";
    case Obstacle::kCpu:
      return "too little CPU: " + std::to_string(demand_.cpu_milli) + "m wanted, " +
             std::to_string(cpu_left + demand_.cpu_milli) + "m free";
    case Obstacle::kMemory:
      return "too little memory: " + BytesText(demand_.memory_bytes) + " wanted, " +
             BytesText(memory_left + demand_.memory_bytes) + " free";
    case Obstacle::kPods:
      return "the node has its " + std::to_string(node.max_pods) + " pods";
    case Obstacle::kHeadroom:
      return HeadroomText(demand_.headroom_percent, node, demand_, reserved);
    case Obstacle::kTooFar:
      return std::string("placement requires tier ") + TierName(wanted_) + ", this node is at " +
             TierName(tier) + " (" + location_.reason + ")";
    case Obstacle::kLocationUnknown:
      return std::string("placement requires tier ") + TierName(wanted_) +
             ", but where the data is, is unknown: " + location_.reason;
    case Obstacle::kAttached:
      return "its volume can be on one node at a time and is attached to " + demand_.attached_to;
    case Obstacle::kBackupPods:
      return "the node has " + std::to_string(node.backup_pods + std::max(0, reserved)) +
             " of at most " + std::to_string(demand_.max_backup_pods) +
             " backup pods, those just placed included";
    case Obstacle::kNotChosen:
      return "another node was chosen: with maxPodsPerNode it gets one only";
  }
  return "";
}

NodeScore Scorer::Explain(const NodeInfo& node, const Pressure& pressure, int reserved,
                          Obstacle known) const {
  Points points = Score(node, pressure, reserved);
  if (points.obstacle == Obstacle::kNone) points.obstacle = known;
  NodeScore score = Brief(node, points);
  if (!score.feasible) {
    score.reasons.push_back(ObstacleText(points.obstacle, node, points.tier, reserved));
  }
  score.reasons.push_back(LocalityText(
      location_, points.tier, points.avoided ? AvoidedText(pressure) : "", points.locality));
  if (relaxed_ && points.tier > wanted_) {
    score.reasons.push_back(std::string("tier ") + TierName(wanted_) +
                            " was required until requireTimeoutSeconds had passed");
  }
  if (score.feasible && demand_.waived_headroom_percent > 0) {
    score.reasons.push_back(HeadroomText(demand_.waived_headroom_percent, node, demand_, reserved) +
                            ", but nodeHeadroomPercent is waived: no node has so much");
  }
  score.reasons.push_back(PressureText(pressure, points.pressure));
  const Room room = RoomOf(node);
  score.inputs = {pressure, room.cpu_milli.free, room.memory_bytes.free, node.pods,
                  reserved, HasImage(node)};
  score.reasons.push_back("free for it: " + std::to_string(room.cpu_milli.free) + "m CPU and " +
                          BytesText(room.memory_bytes.free) + " of memory (" + Signed(points.room) +
                          ")");
  if (!demand_.image.empty()) {
    score.reasons.push_back(points.image > 0 ? "its image is there (" + Signed(points.image) + ")"
                                             : "its image would have to be fetched (+0)");
  }
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
                                 const std::map<std::string, int>& reserved, size_t explained) {
  struct Ranked {
    const NodeInfo* node;
    Pressure pressure;
    int reserved;
    Points points;
  };
  const Scorer scorer(source, location, demand);
  std::vector<Ranked> ranked;
  const std::vector<Tier> tiers = view.Table().Tiers(location);
  for (const NodeInfo* node : view.Nodes()) {
    const auto heard = pressure.find(node->name);
    const auto held = reserved.find(node->name);
    Ranked& entry = ranked.emplace_back(Ranked{node,
                                               heard == pressure.end() ? Pressure{} : heard->second,
                                               held == reserved.end() ? 0 : held->second,
                                               {}});
    entry.points = scorer.Score(*node, tiers[ranked.size() - 1], entry.pressure, entry.reserved);
  }
  const auto stands_at_any = [&](Obstacle obstacle) {
    return std::any_of(ranked.begin(), ranked.end(),
                       [&](const Ranked& entry) { return entry.points.obstacle == obstacle; });
  };
  if (stands_at_any(Obstacle::kHeadroom) && !stands_at_any(Obstacle::kNone)) {
    PodDemand without = demand;
    without.waived_headroom_percent = std::exchange(without.headroom_percent, 0);
    return RankNodes(source, location, view, without, pressure, reserved, explained);
  }
  const auto order = [](const Ranked& entry) {
    const bool infeasible = entry.points.obstacle != Obstacle::kNone;
    return std::make_tuple(infeasible, infeasible ? 0 : -entry.points.Total(), entry.reserved,
                           std::string_view(entry.node->name));
  };
  std::sort(ranked.begin(), ranked.end(),
            [&](const Ranked& a, const Ranked& b) { return order(a) < order(b); });
  std::vector<NodeScore> scores;
  scores.reserve(ranked.size());
  for (const Ranked& entry : ranked) {
    scores.push_back(scores.size() < explained
                         ? scorer.Explain(*entry.node, entry.pressure, entry.reserved)
                         : Brief(*entry.node, entry.points));
  }
  return scores;
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

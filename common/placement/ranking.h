// SPDX-License-Identifier: Apache-2.0
//
// How good is a node for a backup pod of a source? One scoring for the controller's steering and
// the extender's verdicts, so that they never disagree on policy, only on freshness.
//
// Locality decides first: the step between two tiers (21) is more than pressure (0..8), room (0..6)
// and the image (0 or 2) together can give, so a loaded node near the data still beats an idle one
// further away.
// docs/placement.md has the numbers and the reasons.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/placement/location.h"

namespace longshore::placement {

// A report counts in full up to the first age, as reports come about once a second, then ever less,
// and from the second on not at all: what is unknown is neutral.
inline constexpr int64_t kFreshPressureAgeMs = 2500, kMaxPressureAgeMs = 5000;

// From the node agents, through the leader. Permille of the last second.
struct Pressure {
  int cpu_used_milli = 0, cpu_capacity_milli = 0;
  int psi_cpu_permille = 0, psi_io_permille = 0, psi_memory_permille = 0;
  bool psi_valid = false;
  int64_t age_ms = -1;  // -1: never heard
  bool known() const { return age_ms >= 0 && age_ms <= kMaxPressureAgeMs; }
};
int FreshPressurePoints(const Pressure& pressure);    // 0 (busy) .. kMaxPressurePoints, at any age
int PressurePoints(const Pressure& pressure);         // what is left of them at its age
using PressureMap = std::map<std::string, Pressure>;  // by node

// What the pod needs.
struct PodDemand {
  int64_t cpu_milli = 0, memory_bytes = 0;
  std::map<std::string, std::string> node_selector;
  bool relaxed = false;     // nearness that its source requires is only preferred for it
  std::string attached_to;  // View::AttachedTo of the claim that it mounts
  std::string image;        // empty: whether nodes have it is not looked at
  int max_backup_pods = 0;  // on its node, itself included; 0: as many as fit
  // Nothing: taints are not looked at, since kube-scheduler has done that already.
  std::optional<std::vector<api::Toleration>> tolerations = {};
  // Of the node's allocatable CPU and memory: what has to be left for others, 0 to 100.
  int headroom_percent = 0;
  // What was wanted of it and is not looked at, since no node has so much: for the reasons.
  int waived_headroom_percent = 0;
};

inline constexpr int kNodePoints = 84, kRackPoints = 63, kZonePoints = 42, kRegionPoints = 21;
inline constexpr int kUnknownPoints = 11, kNonePoints = 0;
inline constexpr int kMaxPressurePoints = 8, kNeutralPressurePoints = 4, kMaxRoomPoints = 6;
inline constexpr int kImagePoints = 2;         // the image is there already
inline constexpr int kMaxReservedPenalty = 4;  // one for each pod just placed

// What is left of the points of a fresh report, between them and neutral.
inline int AgedPressurePoints(int points, int64_t age_ms) {
  if (age_ms >= 0 && age_ms <= kFreshPressureAgeMs) return points;
  if (age_ms < 0 || age_ms >= kMaxPressureAgeMs) return kNeutralPressurePoints;
  constexpr int64_t kSpan = kMaxPressureAgeMs - kFreshPressureAgeMs;
  const int64_t weighed = (points - kNeutralPressurePoints) * (kMaxPressureAgeMs - age_ms);
  const int64_t rounding = weighed < 0 ? -kSpan / 2 : kSpan / 2;
  return kNeutralPressurePoints + static_cast<int>((weighed + rounding) / kSpan);
}

// Why a node cannot take the pod; the first that applies.
enum class Obstacle {
  kNone,
  kNotReady,
  kCordoned,
  kTainted,
  kSelector,
  kCpu,
  kMemory,
  kPods,
  kHeadroom,         // it has room, but too little of it would be left
  kTooFar,           // Require: the data is known to be elsewhere
  kLocationUnknown,  // Require: where the data is, is not known now
  kAttached,         // a volume that it mounts is attached to another node
  kBackupPods,       // the node has as many backup pods as the pod's policy allows
  kNotChosen,        // it may go to one node only, and another one is better
};

// A score without its texts: what hot paths work with.
struct Points {
  Tier tier = Tier::kUnknown;
  Obstacle obstacle = Obstacle::kNone;
  bool avoided = false;  // it holds the data, and is too busy to be preferred for that
  int locality = 0, pressure = 0, room = 0, image = 0, reserved_penalty = 0;
  int Total() const;  // 0..100, whether there is an obstacle or not
};

// What the points of a node were given for, besides its tier.
struct NodeInputs {
  Pressure pressure;
  int64_t cpu_free_milli = 0, memory_free_bytes = 0;  // before the pod
  int pods = 0;
  int reserved = 0;  // pods of ours just placed there
  bool has_image = false;
};

struct NodeScore {
  std::string node;
  Tier tier = Tier::kUnknown;
  bool feasible = true;       // false: filtered, `reasons` says why
  bool unresolvable = false;  // infeasible whatever is evicted (placement required elsewhere)
  int score = 0;              // 0..100, higher is better; 0 when infeasible
  int locality_points = 0;    // parts of the score, for explain
  int pressure_points = 0;
  int room_points = 0;
  int image_points = 0;
  std::vector<std::string> reasons;  // one line each, for people
  std::optional<NodeInputs> inputs;  // where there are reasons
};

// Whether nodes further away than spec.placement.tier are refused.
bool Requires(const api::BackupSource& source);

// Scores many nodes for one pod. What it is made of must outlive it.
class Scorer {
 public:
  Scorer(const api::BackupSource& source, const Location& location, const PodDemand& demand);
  Points Score(const NodeInfo& node, const Pressure& pressure, int reserved) const;
  // Of a node whose tier is known.
  Points Score(const NodeInfo& node, Tier tier, const Pressure& pressure, int reserved) const;
  // The same where the obstacle is one of nearness or none: nothing else is looked at.
  Points Score(Tier tier, Tier counts_as, const Room& room, int pressure_points, int reserved,
               bool has_image) const;
  // With the reasons, for people; of an obstacle that only the caller can know, if there is none
  // else.
  NodeScore Explain(const NodeInfo& node, const Pressure& pressure, int reserved,
                    Obstacle known = Obstacle::kNone) const;
  // spec.placement: the tier that is near enough, and whether further away is refused.
  Tier wanted() const { return wanted_; }
  bool required() const { return required_; }
  // Whether a node of that tier is too busy to be preferred for the data that it holds.
  bool Avoids(Tier tier, const Pressure& pressure) const {
    return tier == Tier::kNode && avoid_above_permille_ && IsBusierThan(pressure);
  }
  std::string AvoidedText(const Pressure& pressure) const;
  // The tier that a node of the given one has the points of: an avoided one is as near as another
  // node beside it, and no nearer than its zone.
  Tier CountsAs(Tier tier, const NodeInfo& node, const Pressure& pressure) const {
    return Avoids(tier, pressure) ? std::max(Tier::kZone, NearnessBeside(location_, node)) : tier;
  }
  bool HasImage(const NodeInfo& node) const {
    return image_key_ != 0 && node.images.Has(image_key_);
  }
  // False: no volume of the pod lets it go there.
  bool OnItsVolumesNode(std::string_view node) const {
    return demand_.attached_to.empty() || demand_.attached_to == node;
  }

 private:
  bool IsBusierThan(const Pressure& pressure) const;
  Obstacle PlacementObstacle(Tier tier) const;
  Obstacle OwnObstacle(const NodeInfo& node, int reserved) const;
  std::string ObstacleText(Obstacle obstacle, const NodeInfo& node, Tier tier, int reserved) const;
  int RoomPoints(const Room& room, int reserved) const;

  const Location& location_;
  const PodDemand& demand_;
  const uint64_t image_key_;
  const Tier wanted_;
  const bool required_;
  const bool relaxed_;  // was required
  const std::optional<int> avoid_above_permille_;
};

// `reserved`: pods of ours just placed on each node and not yet seen bound (spreads a burst).
NodeScore ScoreNode(const api::BackupSource& source, const Location& location, const NodeInfo& node,
                    const PodDemand& demand, const Pressure& pressure, int reserved);

// All nodes of the view, best first (score, then fewest reserved, then name); the reasons of the
// first `explained` only, since sentences about 5000 nodes take longer than ranking them. Where
// only the headroom keeps the last node out, they are ranked as if none was wanted, and say so.
std::vector<NodeScore> RankNodes(const api::BackupSource& source, const Location& location,
                                 const View& view, const PodDemand& demand,
                                 const PressureMap& pressure,
                                 const std::map<std::string, int>& reserved,
                                 size_t explained = SIZE_MAX);

// The candidates for steering: the feasible nodes of the best tier that has room (of all tiers that
// are near enough), at most `limit`. Empty: nothing feasible.
std::vector<std::string> SteeringCandidates(const std::vector<NodeScore>& ranked, size_t limit);

}  // namespace longshore::placement

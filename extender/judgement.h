// SPDX-License-Identifier: Apache-2.0
//
// What one call was judged by, and what came out for each node.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/api/source.h"
#include "common/base/clock.h"
#include "common/placement/location.h"
#include "common/placement/node_table.h"
#include "common/placement/ranking.h"
#include "extender/pressure_table.h"
#include "extender/protocol.h"
#include "extender/reservations.h"

namespace longshore::extender {

struct Located {
  placement::Location location;
  std::vector<placement::Tier> tiers;  // by place in the view's table
};

// Snapshots only, which outlive the call: the verdict is written down after the reply.
struct Grounds {
  Grounds() = default;
  Grounds(const Grounds&) = delete;  // the scorer points into it
  Grounds& operator=(const Grounds&) = delete;

  std::shared_ptr<const placement::View> view;
  std::shared_ptr<const api::BackupSource> source;
  std::shared_ptr<const Located> located;
  std::shared_ptr<const PressureTable> pressure;
  std::shared_ptr<const std::vector<PressureTable::Points>> pressure_points;  // along the view
  // Whether nodes have the pod's image, along the view; null: it names none.
  std::shared_ptr<const std::vector<uint8_t>> have_image;
  Reservations::Counts reserved;  // by other pods
  // Where the pod's policy has a cap: places under it that other pods hold, and whether this one
  // can hold another.
  Reservations::Counts held;
  bool can_hold = true;
  placement::PodDemand demand;
  std::optional<placement::Scorer> scorer;
  std::string no_opinion;  // why, if there is no source to judge by
  MonotonicTime now{};
};

struct NodeJudgement {
  // None: not in the snapshot (just added, or a template of an autoscaler).
  uint32_t place = placement::NodeTable::kNone;
  int reserved = 0;
  placement::Points points;
  bool judged = false;  // false: the deadline came first
};

// Neither CPU, memory nor readiness is ours to refuse: the scheduler checked them before it asked,
// on newer data. Ours is where the data is.
inline Outcome OutcomeOf(const NodeJudgement& node, const placement::Scorer& scorer) {
  using placement::Obstacle;
  if (!node.judged && node.points.obstacle == Obstacle::kNone) return Outcome::kPassed;
  switch (node.points.obstacle) {
    case Obstacle::kLocationUnknown:
    case Obstacle::kAttached:
    case Obstacle::kBackupPods:
    case Obstacle::kNotChosen:
      return Outcome::kFailed;
    case Obstacle::kTooFar:
      break;
    default:
      return Outcome::kPassed;
  }
  // Of a node that is not in the snapshot only the name is known.
  const bool by_name = scorer.wanted() == placement::Tier::kNode;
  return node.place != placement::NodeTable::kNone || by_name ? Outcome::kNever : Outcome::kPassed;
}

// All that is known of a node outside the snapshot.
inline placement::NodeInfo BareNode(std::string_view name) {
  placement::NodeInfo bare;
  bare.name = name;
  return bare;
}

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
#include "controller/steering.h"

#include <algorithm>
#include <set>

#include "controller/environment.h"
#include "controller/pod_template.h"
#include "controller/policy_demand.h"

namespace longshore::controller {
namespace {

using std::chrono::nanoseconds;

constexpr size_t kFirstCandidates = 3;
constexpr size_t kWiderCandidates = 10;
constexpr size_t kAllCandidates = 64;  // what the row has room for

placement::PodDemand Demand(const SteerInput& in, bool relaxed) {
  auto demand = DemandOf(EffectiveResources(in.references.image.spec, in.references.policy.spec));
  demand.relaxed = relaxed;
  demand.image = in.references.image.spec.image;
  AddPolicy(in.references.policy.spec, demand);
  demand.max_backup_pods = in.references.policy.spec.max_pods_per_node.value_or(0);
  if (MountsClaim(in.references.source, in.request)) {
    demand.attached_to =
        in.view.AttachedTo(in.references.source.metadata.ns,
                           in.references.source.spec.filesystem->persistent_volume_claim);
  }
  return demand;
}

// `last`: no attempt after it will be offered more, so it may have what is kept for others.
std::vector<placement::NodeScore> Rank(const SteerInput& in, const placement::Location& location,
                                       const Expected& expected, bool relaxed, bool last) {
  auto demand = Demand(in, relaxed);
  if (last) demand.headroom_percent = 0;
  return placement::RankNodes(in.references.source, location, in.view, demand, in.pressure,
                              expected, /*explained=*/0);
}

std::vector<std::string> Feasible(const std::vector<placement::NodeScore>& ranked, size_t limit) {
  std::vector<std::string> nodes;
  for (const placement::NodeScore& score : ranked) {
    if (score.feasible && nodes.size() < limit) nodes.push_back(score.node);
  }
  return nodes;
}

}  // namespace

Expected ExpectedOn(const std::vector<api::BackupPodPtr>& looking, const placement::View& view,
                    WallTime now) {
  Expected expected;
  for (const api::BackupPodPtr& row : looking) {
    const api::ObjectMeta& meta = row->metadata;
    const std::string& moved = row->status.last_transition_time;
    if (Since(moved.empty() ? meta.creation_timestamp : moved, now) >= kHoldsPlace) continue;
    // Those that are bound, the view counts.
    if (!view.NodeOfPod(meta.ns, meta.name, row->status.pod_uid).empty()) continue;
    ++expected[row->spec.candidate_nodes.front()];
  }
  return expected;
}

Steer SteerPod(const SteerInput& in, const Expected& expected, int widening, bool relaxed) {
  const placement::Location location = placement::Locate(in.references.source, in.view);
  const auto ranked = Rank(in, location, expected, relaxed, widening > 1);
  const bool required = placement::Requires(in.references.source) && !relaxed;
  Steer steer;
  steer.location = location.reason;
  if (widening == 0) {
    steer.candidates = placement::SteeringCandidates(ranked, kFirstCandidates);
  } else if (widening == 1) {
    steer.candidates = Feasible(ranked, kWiderCandidates);
  } else if (required) {
    steer.candidates = Feasible(ranked, kAllCandidates);
  }
  steer.possible = !steer.candidates.empty() || !required;
  return steer;
}

std::optional<nanoseconds> RequirementLeft(const api::BackupSource& source, nanoseconds waited) {
  const auto& timeout = source.spec.placement.require_timeout_seconds;
  if (!timeout || !placement::Requires(source)) return std::nullopt;
  return std::max(nanoseconds(0), std::chrono::seconds(*timeout) - waited);
}

std::optional<int> PlacesUnderNodeCap(const SteerInput& in) {
  const int cap = in.references.policy.spec.max_pods_per_node.value_or(0);
  if (cap <= 0) return std::nullopt;
  auto demand = Demand(in, /*relaxed=*/false);
  demand.cpu_milli = demand.memory_bytes = demand.headroom_percent = 0;
  const placement::Location location = placement::Locate(in.references.source, in.view);
  const placement::Scorer scorer(in.references.source, location, demand);
  int places = 0;
  for (const placement::NodeInfo* node : in.view.Nodes()) {
    const auto points = scorer.Score(*node, {}, /*reserved=*/0);
    if (points.obstacle == placement::Obstacle::kNone) places += cap - node->backup_pods;
  }
  return places;
}

bool WiderExists(const SteerInput& in, const api::BackupPod& row) {
  if (row.spec.candidate_nodes.empty()) return false;
  const bool relaxed = !row.spec.placement_mode.empty();
  if (relaxed || !placement::Requires(in.references.source)) return true;
  const auto ranked =
      Rank(in, placement::Locate(in.references.source, in.view), {}, relaxed, /*last=*/true);
  const std::set<std::string> offered(row.spec.candidate_nodes.begin(),
                                      row.spec.candidate_nodes.end());
  const auto all = Feasible(ranked, kAllCandidates);
  return std::any_of(all.begin(), all.end(),
                     [&](const std::string& node) { return !offered.contains(node); });
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/steering.h"

#include <algorithm>
#include <set>

#include "controller/pod_template.h"

namespace longshore::controller {
namespace {

constexpr size_t kFirstCandidates = 3;
constexpr size_t kWiderCandidates = 10;
constexpr size_t kAllCandidates = 64;  // what the row has room for

bool Required(const References& refs) { return refs.source.spec.placement.mode == "Require"; }

std::vector<placement::NodeScore> Rank(const References& refs, const placement::Location& location,
                                       const placement::View& view,
                                       const placement::PressureMap& pressure,
                                       const std::map<std::string, int>& reserved) {
  const auto demand = DemandOf(EffectiveResources(refs.image.spec, refs.policy.spec));
  return placement::RankNodes(refs.source, location, view,
                              demand ? *demand : placement::PodDemand{}, pressure, reserved);
}

std::vector<std::string> Feasible(const std::vector<placement::NodeScore>& ranked, size_t limit) {
  std::vector<std::string> nodes;
  for (const placement::NodeScore& score : ranked) {
    if (score.feasible && nodes.size() < limit) nodes.push_back(score.node);
  }
  return nodes;
}

std::map<std::string, int> Reserved(const Crew& crew) {
  std::map<std::string, int> reserved;
  for (const CrewMember& member : crew.members) {
    const bool unbound = member.on_its_way() && member.row.status.node_name.empty();
    if (unbound && !member.row.spec.candidate_nodes.empty()) {
      ++reserved[member.row.spec.candidate_nodes.front()];
    }
  }
  return reserved;
}

}  // namespace

Steer SteerPod(const References& refs, const placement::View& view,
               const placement::PressureMap& pressure, const Crew& crew, int widening) {
  const placement::Location location = placement::Locate(refs.source, view);
  const auto ranked = Rank(refs, location, view, pressure, Reserved(crew));
  Steer steer;
  steer.location = location.reason;
  if (widening == 0) {
    steer.candidates = placement::SteeringCandidates(ranked, kFirstCandidates);
  } else if (widening == 1) {
    steer.candidates = Feasible(ranked, kWiderCandidates);
  } else if (Required(refs)) {
    steer.candidates = Feasible(ranked, kAllCandidates);
  }
  steer.possible = !steer.candidates.empty() || !Required(refs);
  return steer;
}

bool WiderExists(const References& refs, const placement::View& view,
                 const placement::PressureMap& pressure, const api::BackupPod& row) {
  if (row.spec.candidate_nodes.empty()) return false;
  if (!Required(refs)) return true;
  const auto ranked = Rank(refs, placement::Locate(refs.source, view), view, pressure, {});
  const std::set<std::string> offered(row.spec.candidate_nodes.begin(),
                                      row.spec.candidate_nodes.end());
  const auto all = Feasible(ranked, kAllCandidates);
  return std::any_of(all.begin(), all.end(),
                     [&](const std::string& node) { return !offered.contains(node); });
}

}  // namespace longshore::controller

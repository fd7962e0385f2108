// SPDX-License-Identifier: Apache-2.0
#include "extender/refusals.h"

namespace longshore::extender {

using placement::Obstacle;

Refusals::Refusals(const Grounds& grounds, const std::vector<NodeJudgement>& nodes)
    : grounds_(grounds), outcomes_(nodes.size()) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    outcomes_[i].outcome = OutcomeOf(nodes[i], *grounds.scorer);
    if (outcomes_[i].outcome == Outcome::kPassed) continue;
    ++failed_;
    outcomes_[i].reason = Reason(nodes[i].points);
  }
  if (failed_ == 0) outcomes_.clear();
}

const std::string& Refusals::Reason(const placement::Points& points) {
  std::string& reason = points.obstacle == Obstacle::kTooFar
                            ? too_far_[static_cast<size_t>(points.tier)]
                            : other_[static_cast<size_t>(points.obstacle)];
  if (reason.empty()) reason = "longshore: " + TextOf(points);
  return reason;
}

std::string Refusals::TextOf(const placement::Points& points) const {
  const placement::PodDemand& demand = grounds_.demand;
  const std::string required = std::string("tier ") +
                               placement::TierName(grounds_.scorer->wanted()) +
                               " of the data is required, ";
  switch (points.obstacle) {
    case Obstacle::kTooFar:
      return required + "this node is at " + placement::TierName(points.tier);
    case Obstacle::kLocationUnknown:
      return required + "but where the data is, is unknown: " + grounds_.located->location.reason;
    case Obstacle::kAttached:
      return "a volume of the pod is attached to " + demand.attached_to +
             " and can be on one node at a time";
    case Obstacle::kBackupPods:
      return "the node has as many backup pods as maxPodsPerNode of the PodPolicy allows: " +
             std::to_string(demand.max_backup_pods);
    case Obstacle::kNotChosen:
      return "another node was chosen, as maxPodsPerNode demands";
    default:
      return "refused";
  }
}

}  // namespace longshore::extender

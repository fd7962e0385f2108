// SPDX-License-Identifier: Apache-2.0
#include "extender/decision.h"

#include "extender/refusals.h"
#include "extender/verdict.h"

namespace longshore::extender {
namespace {

using placement::NodeTable;
using placement::Obstacle;
using placement::Scorer;

// How many nodes are judged between two looks at the clock.
constexpr size_t kNodesPerClockCheck = 256;

// What is held on each node by pods that were just placed.
class Reserved {
 public:
  Reserved(const Reservations::Counts& by_name, const NodeTable& table) : by_name_(by_name) {
    if (by_name_.empty()) return;
    by_place_.resize(table.size());
    for (const auto& [node, count] : by_name_) {
      const uint32_t place = table.Find(node);
      if (place != NodeTable::kNone) by_place_[place] = count;
    }
  }
  int At(uint32_t place) const { return by_place_.empty() ? 0 : by_place_[place]; }
  int On(std::string_view node) const {
    const auto found = by_name_.find(std::string(node));
    return found == by_name_.end() ? 0 : found->second;
  }

 private:
  const Reservations::Counts& by_name_;
  std::vector<int> by_place_;  // empty: none anywhere
};

// The node of the first of the pod's volumes that leaves it no choice, or "".
std::string AttachedTo(const placement::View& view, const PodArgument& pod) {
  for (const std::string_view claim : pod.claims) {
    std::string node = view.AttachedTo(std::string(pod.ns), std::string(claim));
    if (!node.empty()) return node;
  }
  return "";
}

// All nodes but the one that has the pod's volume. Nearness is judged first, as in Scorer::Score:
// it is what stays so.
void RefuseDetached(Decision& decision) {
  const Scorer& scorer = *decision.grounds->scorer;
  for (size_t i = 0; i < decision.nodes.size(); ++i) {
    placement::Points& points = decision.nodes[i].points;
    if (points.obstacle == Obstacle::kNone &&
        !scorer.OnItsVolumesNode(decision.arguments.names[i])) {
      points.obstacle = Obstacle::kAttached;
    }
  }
}

std::vector<int> Grades(Decision& decision) {
  std::vector<int> grades(decision.nodes.size());
  size_t best = 0;
  int bests = 0;
  for (size_t i = 0; i < grades.size(); ++i) {
    grades[i] = Grade(decision.nodes[i], *decision.grounds->scorer);
    if (grades[i] > grades[best] || i == 0) {
      best = i;
      bests = 0;
    }
    if (grades[i] == grades[best]) ++bests;
  }
  if (bests == 1 && grades[best] > 0) decision.taken = best;
  return grades;
}

}  // namespace

const char* VerbName(Verb verb) { return verb == Verb::kFilter ? "filter" : "prioritize"; }

placement::PodDemand DemandOf(const PodArgument& pod, const placement::View& view) {
  return {.cpu_milli = pod.cpu_milli,
          .memory_bytes = pod.memory_bytes,
          .node_selector = {},
          .relaxed = pod.placement_mode == api::kPrefer,
          .attached_to = AttachedTo(view, pod),
          .image = std::string(pod.image),
          .max_backup_pods = pod.max_backup_pods};
}

int Grade(const NodeJudgement& node, const Scorer& scorer) {
  if (!node.judged || OutcomeOf(node, scorer) != Outcome::kPassed) return 0;
  return node.points.Total() / 10;
}

void JudgeNodes(Decision& decision, const std::function<bool(size_t judged)>& late) {
  const Grounds& grounds = *decision.grounds;
  const Scorer& scorer = *grounds.scorer;
  const auto& names = decision.arguments.names;
  const NodeTable& table = grounds.view->Table();
  const std::vector<uint32_t> places = table.FindAll(names);
  const Reserved reserved(grounds.reserved, table);
  const int64_t elapsed_ms = grounds.pressure->ElapsedMs(grounds.now);
  const uint8_t* have_image = grounds.have_image == nullptr ? nullptr : grounds.have_image->data();
  decision.nodes.resize(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    if (i % kNodesPerClockCheck == 0 && i > 0 && late(i)) break;
    ++decision.judged;
    NodeJudgement& node = decision.nodes[i];
    node.place = places[i];
    node.judged = true;
    if (node.place == NodeTable::kNone) {
      node.reserved = reserved.On(names[i]);
      node.points = scorer.Score(BareNode(names[i]), grounds.pressure->Of(names[i], grounds.now),
                                 node.reserved);
    } else {
      node.reserved = reserved.At(node.place);
      const placement::Tier tier = grounds.located->tiers[node.place];
      const placement::Tier counts_as =
          tier != placement::Tier::kNode
              ? tier
              : scorer.CountsAs(tier, table.node(node.place),
                                grounds.pressure->Of(names[i], grounds.now));
      node.points =
          scorer.Score(tier, counts_as, table.room(node.place),
                       (*grounds.pressure_points)[node.place].At(elapsed_ms), node.reserved,
                       have_image != nullptr && have_image[node.place] != 0);
    }
  }
  if (!grounds.demand.attached_to.empty()) RefuseDetached(decision);
}

bool LeavesOneNode(Verb verb, const Decision& decision) {
  return verb == Verb::kFilter && decision.arguments.pod.max_backup_pods > 0;
}

bool HasPlace(const Decision& decision, size_t i) {
  const Grounds& grounds = *decision.grounds;
  const std::string name(decision.arguments.names[i]);
  const placement::NodeInfo* info = grounds.view->Node(name);
  const auto held = grounds.held.find(name);
  const int there =
      (info == nullptr ? 0 : info->backup_pods) + (held == grounds.held.end() ? 0 : held->second);
  return grounds.can_hold && there < grounds.demand.max_backup_pods;
}

void ChooseOneNode(Decision& decision) {
  const Scorer& scorer = *decision.grounds->scorer;
  auto& nodes = decision.nodes;
  for (const size_t i : BestFirst(nodes, scorer, nodes.size())) {
    if (OutcomeOf(nodes[i], scorer) != Outcome::kPassed) break;
    if (decision.taken) {
      nodes[i].points.obstacle = Obstacle::kNotChosen;
    } else if (HasPlace(decision, i)) {
      decision.taken = i;
    } else {
      nodes[i].points.obstacle = Obstacle::kBackupPods;
    }
  }
}

std::string WriteReply(Verb verb, std::string& body, Decision& decision) {
  const bool judges = decision.grounds->scorer.has_value();
  if (verb == Verb::kPrioritize) {
    // Points for some nodes only would take the pod away from the others, the best ones included.
    const bool whole = judges && decision.judged == decision.arguments.names.size();
    return whole ? PrioritizeReply(decision.arguments, Grades(decision)) : NeutralPrioritizeReply();
  }
  if (!judges) return FilterReply(std::move(body), decision.arguments, {});
  const Refusals refusals(*decision.grounds, decision.nodes);
  decision.refused = refusals.failed();
  return FilterReply(std::move(body), decision.arguments, refusals.outcomes());
}

std::string MalformedReply(Verb verb, const Error& error) {
  return verb == Verb::kFilter ? FilterErrorReply("longshore-extender: " + error.message)
                               : NeutralPrioritizeReply();
}

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
#include "extender/replay.h"

#include <algorithm>

#include "common/placement/changed_view.h"
#include "extender/verdict.h"

namespace longshore::extender {
namespace {

using placement::Location;
using placement::Obstacle;
using placement::Premise;
using placement::Standing;
using placement::View;

Verb VerbOf(const Recording& recording) {
  return recording.verb == VerbName(Verb::kFilter) ? Verb::kFilter : Verb::kPrioritize;
}

placement::PressureMap PressureOf(const Recording& recording) {
  placement::PressureMap map;
  for (const auto& [node, pressure] : recording.pressure) map[node] = pressure;
  return map;
}

// With the ages of the time of the call.
placement::PressureMap AgedPressureOf(const Recording& recording) {
  placement::PressureMap map = PressureOf(recording);
  for (auto& [node, pressure] : map) pressure.age_ms += recording.pressure_elapsed_ms;
  return map;
}

int CountOn(const std::map<std::string, int>& counts, const std::string& node) {
  const auto found = counts.find(node);
  return found == counts.end() ? 0 : found->second;
}

// Of a recording that has a source.
struct Inputs {
  std::shared_ptr<const View> view;
  std::shared_ptr<const api::BackupSource> source;
  Location location;
  placement::PodDemand demand;
  placement::PressureMap pressure;
  std::chrono::milliseconds pressure_elapsed{0};
  Reservations::Counts reserved, held;
  bool can_hold = true;
};

void Ground(Inputs inputs, Decision& decision) {
  Grounds& grounds = *decision.grounds;
  grounds.view = std::move(inputs.view);
  grounds.source = std::move(inputs.source);
  auto located = std::make_shared<Located>();
  located->tiers = grounds.view->Table().Tiers(inputs.location);
  located->location = std::move(inputs.location);
  grounds.located = std::move(located);
  // Only the time between the two counts.
  grounds.pressure = std::make_shared<const PressureTable>(inputs.pressure, MonotonicTime{});
  grounds.now = MonotonicTime{} + inputs.pressure_elapsed;
  grounds.pressure_points = std::make_shared<const std::vector<PressureTable::Points>>(
      grounds.pressure->Along(grounds.view->Table()));
  if (!inputs.demand.image.empty()) {
    grounds.have_image = std::make_shared<const std::vector<uint8_t>>(
        grounds.view->Table().HaveImage(inputs.demand.image));
  }
  grounds.reserved = std::move(inputs.reserved);
  grounds.held = std::move(inputs.held);
  grounds.can_hold = inputs.can_hold;
  grounds.demand = std::move(inputs.demand);
  grounds.scorer.emplace(*grounds.source, grounds.located->location, grounds.demand);
}

// Ranks the offered nodes as the call did, but for what the premise says.
class Ranking {
 public:
  Ranking(const Recording& recording, const View& view, const std::string& node)
      : recording_(recording), view_(view), node_(node) {}

  Standing operator()(const Premise& premise) const {
    auto source = std::make_shared<api::BackupSource>(*recording_.source);
    source->spec.placement = premise.placement;
    Inputs inputs{.view = std::make_shared<placement::ChangedView>(view_, premise.node),
                  .source = std::move(source),
                  .location = premise.location,
                  .demand = premise.demand,
                  .pressure = AgedPressureOf(recording_),
                  .reserved = {recording_.reserved.begin(), recording_.reserved.end()},
                  .held = {recording_.held.begin(), recording_.held.end()},
                  .can_hold = recording_.can_hold};
    inputs.pressure[node_] = premise.pressure;
    inputs.reserved[node_] = premise.reserved;
    inputs.held[node_] = premise.held;
    Decision decision;
    decision.arguments = *ReadArguments(recording_.body);
    Ground(std::move(inputs), decision);
    JudgeNodes(decision, [](size_t) { return false; });
    if (LeavesOneNode(VerbOf(recording_), decision)) ChooseOneNode(decision);
    return StandingOf(decision);
  }

 private:
  Standing StandingOf(const Decision& decision) const {
    Standing standing;
    int grade = -1, rival_grade = -1;
    bool taken = false;
    for (size_t i = 0; i < decision.nodes.size(); ++i) {
      const NodeJudgement& node = decision.nodes[i];
      const Obstacle obstacle = ObstacleOf(decision, i);
      const bool in = obstacle == Obstacle::kNone || obstacle == Obstacle::kNotChosen;
      const int score = node.points.Total();
      if (decision.arguments.names[i] == node_) {
        standing.obstacle = obstacle;
        standing.score = score;
        grade = in ? Grade(node, *decision.grounds->scorer) : -1;
        taken = decision.taken == i;
      } else if (in && (rival_grade < 0 || score > standing.rival_score)) {
        rival_grade = Grade(node, *decision.grounds->scorer);
        standing.rival = decision.arguments.names[i];
        standing.rival_score = score;
      }
    }
    const Verb verb = VerbOf(recording_);
    standing.wins = LeavesOneNode(verb, decision) ? taken
                    : verb == Verb::kFilter       ? grade >= 0
                                                  : grade >= 0 && grade >= rival_grade;
    return standing;
  }

  // That another node was chosen hides that there is no place on this one.
  static Obstacle ObstacleOf(const Decision& decision, size_t i) {
    const NodeJudgement& node = decision.nodes[i];
    if (OutcomeOf(node, *decision.grounds->scorer) == Outcome::kPassed) return Obstacle::kNone;
    const Obstacle obstacle = node.points.obstacle;
    return obstacle == Obstacle::kNotChosen && !HasPlace(decision, i) ? Obstacle::kBackupPods
                                                                      : obstacle;
  }

  const Recording& recording_;
  const View& view_;
  const std::string& node_;
};

}  // namespace

Result<Replay> AnswerAgain(const Recording& recording) {
  Decision decision;
  std::string body = recording.body;
  LS_ASSIGN_OR_RETURN(decision.arguments, ReadArguments(body));
  Replay replay;
  std::shared_ptr<const SeenView> view;
  if (recording.source) {
    view = std::make_shared<const SeenView>(recording.cluster);
    auto source = std::make_shared<const api::BackupSource>(*recording.source);
    Ground({.view = view,
            .source = source,
            .location = placement::Locate(*source, *view),
            .demand = DemandOf(decision.arguments.pod, *view),
            .pressure = PressureOf(recording),
            .pressure_elapsed = std::chrono::milliseconds(recording.pressure_elapsed_ms),
            .reserved = {recording.reserved.begin(), recording.reserved.end()},
            .held = {recording.held.begin(), recording.held.end()},
            .can_hold = recording.can_hold},
           decision);
    const auto judged = static_cast<size_t>(recording.judged);
    if (judged > 0) JudgeNodes(decision, [&](size_t done) { return done >= judged; });
    if (LeavesOneNode(VerbOf(recording), decision)) ChooseOneNode(decision);
    replay.unanswered = view->unanswered();
  } else {
    decision.grounds->no_opinion = "the source was not known";
  }
  replay.verdict =
      WriteVerdict(DraftVerdict(VerbOf(recording), decision, decision.arguments.names.size()));
  replay.verdict.set_snapshot_age_ms(recording.snapshot_age_ms);
  replay.reply = WriteReply(VerbOf(recording), body, decision);
  return replay;
}

Result<placement::Counterfactual> WhatWouldChange(const Recording& recording,
                                                  const std::string& node) {
  if (!recording.source) {
    return Error{Code::kFailedPrecondition,
                 "the source was not known: there was no opinion about any node"};
  }
  LS_ASSIGN_OR_RETURN(const Arguments arguments, ReadArguments(recording.body));
  const auto& names = arguments.names;
  if (std::find(names.begin(), names.end(), node) == names.end()) {
    return NotFound("node " + node + " was not among the " + std::to_string(names.size()) +
                    " that kube-scheduler offered");
  }
  const SeenView view(recording.cluster);
  const placement::NodeInfo* info = view.Node(node);
  if (info == nullptr) return NotFound("node " + node + " was not in the snapshot yet");
  Premise premise;
  premise.placement = recording.source->spec.placement;
  premise.location = placement::Locate(*recording.source, view);
  premise.demand = DemandOf(arguments.pod, view);
  premise.node = *info;
  const auto pressure = AgedPressureOf(recording);
  if (const auto heard = pressure.find(node); heard != pressure.end()) {
    premise.pressure = heard->second;
  }
  premise.reserved = CountOn(recording.reserved, node);
  premise.held = CountOn(recording.held, node);
  return placement::WhatWouldChange(std::move(premise), Ranking(recording, view, node),
                                    VerbOf(recording) == Verb::kPrioritize ? "won"
                                    : arguments.pod.max_backup_pods > 0    ? "been chosen"
                                                                           : "passed");
}

}  // namespace longshore::extender

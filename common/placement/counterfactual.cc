// SPDX-License-Identifier: Apache-2.0
#include "common/placement/counterfactual.h"

#include <optional>

#include "common/base/strings.h"
#include "common/placement/changed_view.h"
#include "common/placement/levers.h"

namespace longshore::placement {
namespace {

class Search {
 public:
  Search(Premise premise, const Rank& rank, const std::string& goal)
      : premise_(std::move(premise)), rank_(rank), goal_(goal) {}

  Counterfactual Run() {
    Counterfactual result;
    result.standing = now_ = rank_(premise_);
    while (!now_.wins && Round()) {
    }
    result.changes = std::move(changes_);
    return result;
  }

 private:
  using Test = std::function<bool(const Standing&)>;

  Standing With(const Lever& lever, int64_t level) const {
    Premise changed = premise_;
    lever.apply(changed, level);
    return rank_(changed);
  }

  // The first level that does it, by halving: no level is worse than the one before.
  std::optional<int64_t> Smallest(const Lever& lever, const Test& does) const {
    if (lever.levels == 0 || !does(With(lever, lever.levels))) return std::nullopt;
    int64_t no = 0, yes = lever.levels;
    while (yes - no > 1) {
      const int64_t middle = no + (yes - no) / 2;
      (does(With(lever, middle)) ? yes : no) = middle;
    }
    return yes;
  }

  // What a single change can do; true: the node is let in by one of them, and may be asked about
  // further.
  bool Round() {
    const std::vector<Lever> levers = LeversOf(premise_);
    const bool kept_out = IsKeptOut(now_);
    bool won = false, room_is_told = false;
    const Lever* opens = nullptr;
    int64_t opens_at = 0;
    std::vector<Change> lets_in, not_enough;
    for (const Lever& lever : levers) {
      if (lever.input == "room" && room_is_told) continue;
      if (const auto level = Smallest(lever, [](const Standing& s) { return s.wins; })) {
        changes_.push_back(Tell(lever, *level));
        won = true;
        room_is_told |= IsOfRoom(lever);
      } else if (const auto in = kept_out ? Smallest(lever, IsLetIn()) : std::nullopt) {
        lets_in.push_back(Tell(lever, *in));
        room_is_told |= IsOfRoom(lever);
        if (opens == nullptr) opens = &lever;
        if (opens == &lever) opens_at = *in;
      } else if (!kept_out && lever.levels > 0 && With(lever, lever.levels).score > now_.score) {
        not_enough.push_back(Tell(lever, lever.levels));
      }
    }
    changes_.insert(changes_.end(), lets_in.begin(), lets_in.end());
    if (won) return false;
    changes_.insert(changes_.end(), not_enough.begin(), not_enough.end());
    if (opens != nullptr) {
      given_.push_back(opens->say(opens_at).needed);
      opens->apply(premise_, opens_at);
      now_ = rank_(premise_);
      return true;
    }
    changes_.push_back(kept_out ? Nothing() : Tell(AllOf(levers), 1));
    return false;
  }

  // That another node was chosen is a matter of points.
  static bool IsKeptOut(const Standing& standing) {
    return standing.obstacle != Obstacle::kNone && standing.obstacle != Obstacle::kNotChosen;
  }
  static bool IsOfRoom(const Lever& lever) {
    return lever.input == "cpu" || lever.input == "memory";
  }
  Test IsLetIn() const {
    return [before = now_.obstacle](const Standing& s) { return s.obstacle != before; };
  }

  Change Nothing() const {
    Change change{.input = "none", .effect = "NotEnough", .score = now_.score};
    change.rival = now_.rival;
    change.rival_score = now_.rival_score;
    change.text = (given_.empty() ? "" : "with " + Join(given_, " and ") + ", ") +
                  "no change of one input alone would have let it in";
    return change;
  }

  Change Tell(const Lever& lever, int64_t level) const {
    const Standing then = With(lever, level);
    const auto [value, needed] = lever.say(level);
    Change change{.input = lever.input, .value = value, .needed = needed, .was = lever.was};
    change.score = then.score;
    change.rival = then.rival;
    change.rival_score = then.rival_score;
    std::vector<std::string> all = given_;
    all.push_back(needed + " (was " + lever.was + ")");
    const std::string with = Join(all, " and ");
    const bool compares = goal_ != "passed" && !then.rival.empty();
    const std::string against = !compares
                                    ? ""
                                    : ": " + std::to_string(then.score) + " points against " +
                                          std::to_string(then.rival_score) + " of " + then.rival;
    if (then.wins) {
      change.effect = "Wins";
      change.text = "would have " + goal_ + " with " + with + against;
    } else if (!IsKeptOut(now_)) {
      change.effect = "NotEnough";
      change.text = "not even with " + with + against;
    } else if (!IsKeptOut(then)) {
      change.effect = "Passes";
      change.text = "would have passed with " + with + ", but not " + goal_ + against;
    } else {
      change.effect = "Clears";
      change.text = "would have been kept out for the next reason only with " + with;
    }
    return change;
  }

  Premise premise_;
  const Rank& rank_;
  const std::string& goal_;
  Standing now_;
  std::vector<std::string> given_;  // what was changed already
  std::vector<Change> changes_;
};

}  // namespace

Counterfactual WhatWouldChange(Premise premise, const Rank& rank, const std::string& goal) {
  return Search(std::move(premise), rank, goal).Run();
}

api::Json CounterfactualView(const std::string& node, const Counterfactual& counterfactual) {
  const Standing& standing = counterfactual.standing;
  return {{"node", node},
          {"wins", standing.wins},
          {"score", standing.score},
          {"rival", standing.rival},
          {"rivalScore", standing.rival_score},
          {"changes", api::WriteJson(counterfactual.changes)}};
}

Counterfactual WhatWouldChange(const api::BackupSource& source, const Location& location,
                               const View& view, const PodDemand& demand,
                               const PressureMap& pressure,
                               const std::map<std::string, int>& reserved, const NodeInfo& node) {
  api::BackupSource asked = source;
  PressureMap pressures = pressure;
  std::map<std::string, int> held = reserved;
  const Rank rank = [&](const Premise& premise) {
    asked.spec.placement = premise.placement;
    pressures[premise.node.name] = premise.pressure;
    held[premise.node.name] = premise.reserved;
    const ChangedView changed(view, premise.node);
    Standing standing;
    standing.obstacle = Scorer(asked, premise.location, premise.demand)
                            .Score(premise.node, premise.pressure, premise.reserved)
                            .obstacle;
    const auto ranked = RankNodes(asked, premise.location, changed, premise.demand, pressures, held,
                                  /*explained=*/0);
    for (const NodeScore& score : ranked) {
      if (score.node == premise.node.name) {
        standing.score = score.score;
        // A headroom that none of the nodes has does not count.
        if (score.feasible) standing.obstacle = Obstacle::kNone;
        standing.wins = &score == &ranked.front() && score.feasible;
      } else if (standing.rival.empty()) {
        standing.rival = score.node;
        standing.rival_score = score.score;
      }
    }
    return standing;
  };
  return WhatWouldChange({.placement = source.spec.placement,
                          .location = location,
                          .demand = demand,
                          .node = node,
                          .pressure = pressures[node.name],
                          .reserved = held[node.name]},
                         rank);
}

}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// What would have made a node win that did not? Nothing is derived from the formula of the score:
// one input after the other is changed, as little as it takes, and the whole ranking made again.
// Used by `longshore explain` (how the nodes rank now) and `longshore-extender replay` (what it
// answered).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/api/archive.h"
#include "common/placement/ranking.h"

namespace longshore::placement {

// What a ranking goes by where one node is asked about. All of it can be otherwise.
struct Premise {
  api::SourcePlacement placement;
  Location location;
  PodDemand demand;
  NodeInfo node;
  Pressure pressure;
  int reserved = 0;
  int held = 0;  // places under the pod's cap that others hold there, besides its backup pods
};

struct Standing {
  Obstacle obstacle = Obstacle::kNone;
  bool wins = false;
  int score = 0;
  std::string rival;  // the best of the others; empty: there is none
  int rival_score = 0;
};

// Ranks all nodes with what the premise says of one.
using Rank = std::function<Standing(const Premise&)>;

struct Change {
  // "pressure" (percent), "cpu" (millicores free), "memory" (MiB free), "room" (both), "reserved"
  // (pods), "pods", "backupPods", "maxPodsPerNode", "nodeHeadroomPercent", "ready",
  // "schedulable", "taint", "selector", "volume", "image", "data", "avoidNodeAbovePercent", "mode",
  // "tier", "all"; "none": nothing does it alone.
  std::string input;
  int64_t value = 0;   // that it takes, of inputs that have a unit
  std::string needed;  // for people: "pressure cpu of at most 31 %"
  std::string was;     // "74 %"
  // "Wins", "Passes" (but does not win), "Clears" (one reason to be kept out, and there is
  // another), "NotEnough" (the most it can do).
  std::string effect;
  int score = 0;  // then
  std::string rival;
  int rival_score = 0;
  std::string text;  // one line with all of it, and the changes that have to come first
};
template <class A>
void Describe(A& a, Change& v) {
  a("input", v.input);
  a("value", v.value);
  a("needed", v.needed);
  a("was", v.was);
  a("effect", v.effect);
  a("score", v.score);
  a("rival", v.rival);
  a("rivalScore", v.rival_score);
  a("text", v.text);
}

struct Counterfactual {
  Standing standing;  // as it is
  // None for a node that wins. Each change on its own, the smallest of its kind; where a node is
  // kept out, first those that let it in, and the next ones come on top of the first of them.
  std::vector<Change> changes;
};

// `goal` is what the texts call winning; points are compared unless it is "passed", which takes
// none.
Counterfactual WhatWouldChange(Premise premise, const Rank& rank, const std::string& goal = "won");

// The same by RankNodes; to win is to come first. The node is one of the view.
Counterfactual WhatWouldChange(const api::BackupSource& source, const Location& location,
                               const View& view, const PodDemand& demand,
                               const PressureMap& pressure,
                               const std::map<std::string, int>& reserved, const NodeInfo& node);

// {"node","wins","score","rival","rivalScore","changes":[{"input",…}]}
api::Json CounterfactualView(const std::string& node, const Counterfactual& counterfactual);

}  // namespace longshore::placement

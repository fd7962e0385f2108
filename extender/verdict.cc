// SPDX-License-Identifier: Apache-2.0
#include "extender/verdict.h"

#include <algorithm>
#include <array>

#include "common/base/clock.h"
#include "common/placement/score_view.h"

namespace longshore::extender {
namespace {

using placement::NodeInfo;
using placement::NodeScore;
using placement::NodeTable;

constexpr size_t kRanks = 2 * 101;  // passed or not, and 100 points or fewer

size_t Rank(const NodeJudgement& node, const placement::Scorer& scorer) {
  const bool passed = OutcomeOf(node, scorer) == Outcome::kPassed;
  return static_cast<size_t>((passed ? 0 : 101) + 100 - node.points.Total());
}

void WriteNode(const Grounds& grounds, const std::string& name, const NodeJudgement& node,
               messages::NodeVerdict& verdict) {
  const bool known = node.place != NodeTable::kNone;
  const NodeInfo bare = BareNode(name);
  const NodeInfo& info = known ? grounds.view->Table().node(node.place) : bare;
  NodeScore score = grounds.scorer->Explain(info, grounds.pressure->Of(name, grounds.now),
                                            node.reserved, node.points.obstacle);
  // What was decided, where that is not what is explained: late, or by a tier known beforehand.
  score.node = name;
  score.feasible = OutcomeOf(node, *grounds.scorer) == Outcome::kPassed;
  score.score = node.points.Total();
  score.locality_points = node.points.locality;
  score.pressure_points = node.points.pressure;
  score.room_points = node.points.room;
  score.image_points = node.points.image;
  if (!known) {
    // All else would be said of a node without room, readiness or labels.
    score.reasons = {"the node is not in the snapshot (yet)"};
    score.inputs.reset();
  }
  if (!node.judged) {
    score.reasons.insert(score.reasons.begin(), "not judged: the deadline came first");
  }
  verdict = ToMessage(score);
}

}  // namespace

// A counting sort: a call names thousands of nodes, and there are few ranks.
std::vector<size_t> BestFirst(const std::vector<NodeJudgement>& nodes,
                              const placement::Scorer& scorer, size_t count) {
  std::vector<uint8_t> ranks(nodes.size());
  std::array<size_t, kRanks> of_rank{};
  for (size_t i = 0; i < nodes.size(); ++i) {
    const size_t rank = Rank(nodes[i], scorer);
    ranks[i] = static_cast<uint8_t>(rank);
    ++of_rank[rank];
  }
  count = std::min(count, nodes.size());
  std::vector<size_t> best(count);
  std::array<size_t, kRanks> next{};  // where the rank's next node belongs
  size_t before = 0;
  for (size_t rank = 0; rank < kRanks; before += of_rank[rank++]) next[rank] = before;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const size_t place = next[ranks[i]]++;
    if (place < count) best[place] = i;
  }
  return best;
}

VerdictDraft DraftVerdict(Verb verb, const Decision& decision, size_t explained) {
  const PodArgument& pod = decision.arguments.pod;
  VerdictDraft draft{.verdict = {}, .grounds = decision.grounds, .nodes = {}};
  draft.verdict.set_pod_namespace(std::string(pod.ns));
  draft.verdict.set_pod_name(std::string(pod.name));
  draft.verdict.set_pod_uid(std::string(pod.uid));
  draft.verdict.set_verb(VerbName(verb));
  draft.verdict.set_nodes_offered(static_cast<uint32_t>(decision.arguments.names.size()));
  if (!decision.grounds->scorer) return draft;
  for (const size_t i : BestFirst(decision.nodes, *decision.grounds->scorer, explained)) {
    draft.nodes.emplace_back(decision.arguments.names[i], decision.nodes[i]);
  }
  return draft;
}

messages::PlacementVerdict WriteVerdict(const VerdictDraft& draft) {
  const Grounds& grounds = *draft.grounds;
  messages::PlacementVerdict verdict = draft.verdict;
  verdict.set_location(grounds.scorer ? grounds.located->location.reason : grounds.no_opinion);
  for (const auto& [name, node] : draft.nodes) WriteNode(grounds, name, node, *verdict.add_nodes());
  return verdict;
}

Result<messages::PlacementVerdict> VerdictOf(const VerdictDraft& draft, const std::string& node) {
  const Grounds& grounds = *draft.grounds;
  if (!grounds.scorer) return Error{Code::kFailedPrecondition, grounds.no_opinion};
  const uint32_t place = grounds.view->Table().Find(node);
  if (place == NodeTable::kNone) {
    return NotFound("node " + node + " was not in the snapshot that the call was judged by");
  }
  messages::PlacementVerdict verdict = draft.verdict;
  verdict.set_location(grounds.located->location.reason);
  const auto judged = std::find_if(draft.all.begin(), draft.all.end(),
                                   [&](const auto& judgement) { return judgement.place == place; });
  if (judged != draft.all.end()) {
    WriteNode(grounds, node, *judged, *verdict.add_nodes());
    return verdict;
  }
  // By the same grounds, though the scheduler did not ask for it.
  const auto held = grounds.reserved.find(node);
  NodeJudgement judgement{.place = place,
                          .reserved = held == grounds.reserved.end() ? 0 : held->second,
                          .points = {},
                          .judged = true};
  judgement.points =
      grounds.scorer->Score(grounds.view->Table().node(place),
                            grounds.pressure->Of(node, grounds.now), judgement.reserved);
  messages::NodeVerdict& written = *verdict.add_nodes();
  WriteNode(grounds, node, judgement, written);
  const bool none = draft.all.empty() && verdict.nodes_offered() > 0;
  written.add_reasons(none ? "no node was judged: none could be refused"
                           : "it was not offered to the extender");
  return verdict;
}

api::Json VerdictJson(const messages::PlacementVerdict& verdict) {
  const WallTime time{std::chrono::microseconds(verdict.time_unix_us())};
  api::Json nodes = api::Json::array();
  for (const auto& node : verdict.nodes()) {
    api::Json view = placement::ScoreView(placement::FromMessage(node));
    view["passed"] = view["feasible"];
    view.erase("feasible");
    nodes.push_back(std::move(view));
  }
  return {{"namespace", verdict.pod_namespace()},
          {"pod", verdict.pod_name()},
          {"uid", verdict.pod_uid()},
          {"verb", verdict.verb()},
          {"time", FormatTime(time)},
          {"location", verdict.location()},
          {"snapshotAgeMs", verdict.snapshot_age_ms()},
          {"nodesOffered", verdict.nodes_offered()},
          {"nodes", std::move(nodes)}};
}

}  // namespace longshore::extender

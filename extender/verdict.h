// SPDX-License-Identifier: Apache-2.0
//
// A verdict in two steps: what is worth telling is picked while the scheduler waits, which is
// quick, and written down with its reasons afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/api/archive.h"
#include "common/messages/placement.pb.h"
#include "extender/decision.h"

namespace longshore::extender {

struct VerdictDraft {
  messages::PlacementVerdict verdict;  // about which call it is
  std::shared_ptr<const Grounds> grounds;
  std::vector<std::pair<std::string, NodeJudgement>> nodes;  // by name, best first
  std::shared_ptr<const placement::View> retired;            // freed with it, after the reply
  std::vector<NodeJudgement> all;  // of the call, in the order offered; empty: none was judged
};

// Indices of the `count` nodes that are worth showing: passed ones first, best first, in the order
// offered.
std::vector<size_t> BestFirst(const std::vector<NodeJudgement>& nodes,
                              const placement::Scorer& scorer, size_t count);

// Of the call's first `explained` nodes in that order.
VerdictDraft DraftVerdict(Verb verb, const Decision& decision, size_t explained);
messages::PlacementVerdict WriteVerdict(const VerdictDraft& draft);
// The same of any one node, whether it was offered or not. Errors: kNotFound (it was not in the
// snapshot), kFailedPrecondition (there was no ground for an opinion).
Result<messages::PlacementVerdict> VerdictOf(const VerdictDraft& draft, const std::string& node);

// {"pod","verb","time","location","snapshotAgeMs","nodesOffered","nodes":[{"node",…}]}
api::Json VerdictJson(const messages::PlacementVerdict& verdict);

}  // namespace longshore::extender

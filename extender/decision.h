// SPDX-License-Identifier: Apache-2.0
//
// From what a call was given to the bytes of its reply, by its inputs alone: no clock, no cache, no
// counter. So a call that was recorded is answered again by the code that answered it. Called by
// service.cc while the scheduler waits, and by replay.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "extender/judgement.h"

namespace longshore::extender {

enum class Verb { kFilter, kPrioritize };
const char* VerbName(Verb verb);  // "filter", "prioritize"

struct Decision {
  Arguments arguments;
  std::shared_ptr<Grounds> grounds = std::make_shared<Grounds>();
  std::vector<NodeJudgement> nodes;  // parallel to arguments.names; empty: none was to be judged
  size_t judged = 0;                 // of them, from the front: then the deadline came
  size_t refused = 0;                // by filter
  // The one node that the scheduler will take: the only one that filter leaves it, or the one that
  // prioritize gives more than all others (of equals it picks any, which spreads by itself).
  std::optional<size_t> taken;
  // Snapshots that nobody may need any more: to free one takes as long as half a call, so it is
  // done after the reply.
  std::shared_ptr<const placement::View> retired;
};

placement::PodDemand DemandOf(const PodArgument& pod, const placement::View& view);

// The extender's 0..10. Floors, so that the tiers' ranges don't meet: Node 8..10, Rack 6..7, …
// They meet only below Node, on a busy and full node where pods were just placed: it gets one less.
int Grade(const NodeJudgement& node, const placement::Scorer& scorer);

// Judges the offered nodes in order. Asked now and then with how many are judged, `late` ends it;
// what is not judged by then passes.
void JudgeNodes(Decision& decision, const std::function<bool(size_t judged)>& late);

// Which of several nodes the scheduler takes, it does not tell; so a pod whose policy has a cap is
// left one node, on which it then holds its place.
bool LeavesOneNode(Verb verb, const Decision& decision);
// There are fewer backup pods on the node, and held for it, than the pod's cap.
bool HasPlace(const Decision& decision, size_t node);
// The best one that has a place; the others are refused.
void ChooseOneNode(Decision& decision);

// The reply's body. The request's is what the decision's views point into; filter may take it and
// make it the reply.
std::string WriteReply(Verb verb, std::string& body, Decision& decision);
std::string MalformedReply(Verb verb, const Error& error);

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
//
// Answers a recorded call again, from the recording alone, and with a node's inputs otherwise than
// they were. Used by replay_command.cc.
#pragma once

#include <string>
#include <vector>

#include "common/messages/placement.pb.h"
#include "common/placement/counterfactual.h"
#include "extender/recording.h"

namespace longshore::extender {

struct Replay {
  std::string reply;
  messages::PlacementVerdict verdict;   // of all nodes that were judged
  std::vector<std::string> unanswered;  // what this version asks for and the recording lacks
};

// Errors: kInvalidArgument for a recording whose request cannot be read.
Result<Replay> AnswerAgain(const Recording& recording);

// To win is to pass for filter (under a cap: to be the one node that does), and to have the highest
// grade for prioritize (of equals the scheduler picks any). Errors: kNotFound for a node that was
// not offered, kFailedPrecondition where there was no opinion about any.
Result<placement::Counterfactual> WhatWouldChange(const Recording& recording,
                                                  const std::string& node);

}  // namespace longshore::extender

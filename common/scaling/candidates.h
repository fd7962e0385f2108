// SPDX-License-Identifier: Apache-2.0
//
// Who wants how many pods: usage, saturation, demand, warm pods, the deadline. Parts of
// EvaluateScaling.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/scaling/scaling.h"

namespace longshore::scaling {

struct Candidate {
  const char* name = "";   // api::kCandidate…
  const char* cause = "";  // of the decision that it leads to
  int pods = 0;
  std::string message;  // of a level: free of what changes each second
  std::vector<api::DecisionInput> inputs;
  std::string crossing_time;  // RFC 3339
  // Of its own, whatever the caps are: that it gets no more. Only where it wants more.
  std::optional<api::ScalingLimit> limit = {};

  int granted() const { return limit ? limit->pods : pods; }
};

// Usage and Saturation are there while a signal is over its upper threshold and nothing is on its
// way, and get no more where there is no work for another pod. The others are levels: they are
// there as long as they were asked for, and nothing shrinks below them.
std::vector<Candidate> Candidates(const ScalingInput& in);

// The one that gets most; of equals the first. Null when there is none.
const Candidate* Largest(const std::vector<Candidate>& candidates);
// What is not to be gone below.
int Floor(const std::vector<Candidate>& candidates, const ScalingInput& in);

}  // namespace longshore::scaling

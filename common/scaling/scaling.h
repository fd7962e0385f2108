// SPDX-License-Identifier: Apache-2.0
//
// Grow, shrink or hold? One pure function from what was measured and what was asked to a decision
// with the inputs that made it. No I/O, no clock of its own: the request reconciler calls it when a
// report of one of its pods has come in, tests and the simulator call it with made-up time.
//
// The candidates (candidates.h) each want a number of pods, the largest is chosen, the tightest cap
// limits it. Usage has two thresholds and two windows: any pod with its fresh samples over `up` for
// `window` grows the crew (evidence.h); a pod without an operation whose every signal stayed under
// `down` for the whole idle time may go. Unknown is neither: it never grows and never shrinks
// anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/api/request.h"
#include "common/scaling/growth.h"
#include "common/scaling/rules.h"
#include "common/scaling/samples.h"

namespace longshore::scaling {

struct PodUsage {
  std::string name;
  int slot = 0;
  bool idle = false;                   // Available: no lease
  std::chrono::nanoseconds age{0};     // in its state
  std::chrono::nanoseconds uptime{0};  // of its container
  std::vector<Sample> samples;         // oldest first, of a little more than the idle time
};

struct ScalingInput {
  MonotonicTime now;
  WallTime wall;
  MonotonicTime settled_since;  // since when no pod is on its way in or out, as we saw it
  int desired = 0, min = 0, max = 0;
  int pending = 0;             // Planned, Provisioning or Draining, but for those in trouble
  int troubled = 0;            // cannot start: for how long, nobody knows
  bool work_waiting = false;   // nothing may go
  int queued = 0;              // operations that any of these pods could do
  int demand = 0;              // more that the storage manager announced
  std::vector<PodUsage> pods;  // Available and Assigned
  Policy policy;
  std::vector<api::ScalingLimit> limits;  // beside max
  GrowthMemory growth;                    // of the verdict before
  int deadline_pods = 0;                  // that the deadline takes (deadline.h); 0: no more
  std::string deadline_message;
};

struct ScalingVerdict {
  bool change = false;
  api::ScalingDecision decision;  // set when change
  std::string victim;             // shrink: the BackupPod that goes
  // Pods without a fresh sample; "POD (SIGNAL)" where only a signal of the rules is not measured.
  std::vector<std::string> silent;
  std::vector<api::ScalingCandidate> candidates;
  std::optional<api::ScalingLimit> limit;  // what the largest candidate ran into
  GrowthMemory growth;                     // for the next input, whether or not this is acted on
};

ScalingVerdict EvaluateScaling(const ScalingInput& input);

// The cap that is hit first: max or one of the others.
api::ScalingLimit TightestCap(int max, const std::vector<api::ScalingLimit>& others);

// How far back the evaluation looks at the samples of a pod: of one that idles the whole idle time,
// of one that works its windows and what growth is judged by.
std::chrono::seconds SpanNeeded(const Policy& policy, bool idle);

}  // namespace longshore::scaling

// SPDX-License-Identifier: Apache-2.0
//
// Recorded usage against another policy: what EvaluateScaling would have decided, and when. The
// load of each second (cpu, memory, bytes, operations of all pods together) is spread evenly over
// the pods that would have had work, shares of the time and latencies stay what they were. So it
// answers when a policy reacts and what it costs, not what a saturated source would have given:
// throughput is what was recorded, and growth is not judged.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/scaling/scaling.h"

namespace longshore::scaling {

// What was measured of one pod in one interval.
struct TraceSample {
  std::string pod;
  bool busy = false;
  std::map<Signal, double> values;
};
struct TraceStep {
  WallTime time;   // end of the interval
  int queued = 0;  // operations that waited
  std::vector<TraceSample> pods;
};

// One line each: {"time","pod","state","usage":{"cpu":"412m",…},"queued"}; lines with the same time
// are one step, and times only grow. Errors: kInvalidArgument naming the line.
Result<std::vector<TraceStep>> ReadTrace(std::string_view text);

struct ReplayInput {
  api::PodCounts pods;
  Policy policy;
  std::vector<TraceStep> trace;
  std::chrono::seconds provisioning{2};  // from a decision to a pod that works
};
struct ReplayResult {
  std::vector<api::ScalingDecision> decisions;
  double pod_seconds = 0, recorded_pod_seconds = 0;
  int most_pods = 0;
};

ReplayResult Replay(const ReplayInput& input);

}  // namespace longshore::scaling

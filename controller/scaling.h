// SPDX-License-Identifier: Apache-2.0
//
// Grow, shrink or hold? One pure function from what was measured and what was asked to a decision
// with the inputs that made it. No I/O, no clock of its own: the request reconciler calls it when a
// report of one of its pods has come in, tests and (later) the simulator call it with made-up time.
//
// Two thresholds and two windows: any pod with every fresh sample over `up` for `window` grows the
// crew by one; a pod without an operation whose every signal stayed under `down` for the whole idle
// time may go. Unknown is neither: it never grows and never shrinks anything.
#pragma once

#include <string>
#include <vector>

#include "common/api/request.h"
#include "common/api/source.h"
#include "controller/usage_store.h"

namespace longshore::controller {

inline constexpr char kCauseRequested[] = "Requested";
inline constexpr char kCauseThreshold[] = "ThresholdExceeded";
inline constexpr char kCauseIdle[] = "Idle";
inline constexpr char kCauseReplaced[] = "Replaced";
inline constexpr char kCauseResized[] = "Resized";
inline constexpr char kCauseReleased[] = "Released";
inline constexpr char kCausePodBusy[] = "PodBusy";

// A signal's thresholds in the units of Sample.
struct SignalRule {
  Signal signal;
  double up = 0, down = 0;
  std::chrono::seconds window{3};
};

// Percentages are of the pod's resource requests. Errors: kInvalidArgument naming the field.
Result<std::vector<SignalRule>> ResolveRules(const api::Scaling& scaling,
                                             const api::ResourceRequirements& resources);

struct PodUsage {
  std::string name;
  int slot = 0;
  bool idle = false;                // Available: no lease
  std::chrono::nanoseconds age{0};  // in its state
  std::vector<Sample> samples;      // oldest first, of a little more than the idle time
};

struct ScalingInput {
  MonotonicTime now;
  WallTime wall;
  MonotonicTime settled_since;  // since when no pod is on its way in or out, as we saw it
  int desired = 0, min = 0, max = 0;
  int pending = 0;             // Planned, Provisioning or Draining
  bool work_waiting = false;   // operations queued for these pods
  std::vector<PodUsage> pods;  // Available and Assigned
  std::vector<SignalRule> rules;
  std::chrono::seconds idle{120};
};

struct ScalingVerdict {
  bool change = false;
  api::ScalingDecision decision;    // set when change
  std::string victim;               // shrink: the BackupPod that goes
  std::vector<std::string> silent;  // pods without a fresh sample
  bool at_max = false;              // it would grow, but for max
};

ScalingVerdict EvaluateScaling(const ScalingInput& input);

// How many samples the evaluation wants to see.
std::chrono::seconds SpanNeeded(std::chrono::seconds idle);

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// What an evaluation saw, for people: each pod's signals beside their thresholds, and why nothing
// changes now. Pure; kept by the controller for the API, printed by `longshore why`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/scaling/scaling.h"

namespace longshore::scaling {

struct SignalState {
  std::string signal;
  std::string value;  // empty: unknown
  std::string up, down;
  int over_seconds = 0;    // of samples over `up` in a row, but for one in five
  int window_seconds = 0;  // how long that must last
};
template <class A>
void Describe(A& a, SignalState& v) {
  a("signal", v.signal);
  a("value", v.value);
  a("up", v.up);
  a("down", v.down);
  a("overSeconds", v.over_seconds);
  a("windowSeconds", v.window_seconds);
}

struct PodState {
  std::string name;
  bool busy = false;
  int idle_seconds = 0;  // without an operation and with every signal under `down`
  std::vector<SignalState> signals;
};
template <class A>
void Describe(A& a, PodState& v) {
  a("name", v.name);
  a("busy", v.busy);
  a("idleSeconds", v.idle_seconds);
  a("signals", v.signals);
}

struct Explanation {
  std::string time;  // of the evaluation, RFC 3339
  int desired = 0;
  int idle_seconds = 0;  // how long a pod must be idle to go
  std::vector<api::ScalingCandidate> candidates;
  std::optional<api::ScalingLimit> limit;
  std::vector<std::string> growth;  // what holds it, or what would make it grow
  std::vector<std::string> shrink;  // the same of shrinking
  std::vector<PodState> pods;
};
template <class A>
void Describe(A& a, Explanation& v) {
  a("time", v.time);
  a("desired", v.desired);
  a("idleSeconds", v.idle_seconds);
  a("candidates", v.candidates);
  a("limit", v.limit);
  a("growth", v.growth);
  a("shrink", v.shrink);
  a("pods", v.pods);
}

Explanation Explain(const ScalingInput& in, const ScalingVerdict& verdict);

}  // namespace longshore::scaling

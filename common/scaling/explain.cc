// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/explain.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/scaling/evidence.h"

namespace longshore::scaling {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using std::chrono::seconds;

int Whole(nanoseconds time) { return static_cast<int>(std::chrono::round<seconds>(time).count()); }

SignalState StateOf(const PodUsage& pod, const SignalRule& rule, const ScalingInput& in) {
  SignalState state;
  state.signal = SignalName(rule.signal);
  const auto value =
      Fresh(pod, in.now) ? pod.samples.back().value(rule.signal) : std::optional<double>();
  if (value) state.value = FormatSignal(rule.signal, *value);
  state.up = FormatSignal(rule.signal, rule.up);
  state.down = FormatSignal(rule.signal, rule.down);
  state.window_seconds = static_cast<int>(rule.window.count());
  if (const auto run = RunOverUp(pod, rule, in)) state.over_seconds = Whole(run->covered);
  return state;
}

// Since the last sample that was not under every `down`, and at most as long as it has no
// operation.
int IdleSeconds(const PodUsage& pod, const ScalingInput& in) {
  if (!pod.idle || !Fresh(pod, in.now)) return 0;
  nanoseconds idle{0};
  for (auto sample = pod.samples.rbegin(); sample != pod.samples.rend(); ++sample) {
    for (const SignalRule& rule : in.policy.rules) {
      const auto value = sample->value(rule.signal);
      if (!value || *value >= rule.down) return Whole(std::min(idle, pod.age));
    }
    idle = in.now - sample->received + sample->length;
  }
  return Whole(std::min(idle, pod.age));
}

std::string OnTheirWay(int pending) {
  return std::to_string(pending) +
         (pending == 1 ? " pod is starting or leaving: the next step waits for it"
                       : " pods are starting or leaving: the next step waits for them");
}

std::string WhatGrows(const SignalRule& rule) {
  const auto level = [&](double value, seconds lasts) {
    return FormatSignal(rule.signal, value) + " for " + std::to_string(lasts.count()) + " s";
  };
  std::string text = "more pods when " + std::string(SignalName(rule.signal)) +
                     " of any pod is over " + level(rule.up, rule.window);
  const double far = kFarOver * rule.up;
  const bool possible = !IsTimeShare(rule.signal) || far <= 100;
  if (possible && FarWindow(rule) < rule.window) text += ", or " + level(far, FarWindow(rule));
  return text;
}

std::vector<std::string> Growth(const ScalingInput& in, const ScalingVerdict& verdict) {
  std::vector<std::string> says;
  if (in.pending > 0) says.push_back(OnTheirWay(in.pending));
  if (in.troubled > 0 && in.troubled >= static_cast<int>(in.pods.size())) {
    says.push_back(std::to_string(in.troubled) + " cannot start, and " +
                   std::to_string(in.pods.size()) + " work: usage asks for no more until then");
  }
  if (verdict.limit) says.push_back(verdict.limit->reason + ": " + verdict.limit->message);
  if (in.desired >= in.max && !verdict.limit) {
    says.push_back("it has spec.pods.max of " + std::to_string(in.max) + " pods");
  }
  for (const SignalRule& rule : in.policy.rules) {
    says.push_back(WhatGrows(rule));
  }
  if (in.policy.follow_demand) says.emplace_back("a pod for each operation that waits");
  if (in.policy.require_demand) says.emplace_back("usage adds no pod without work");
  return says;
}

std::vector<std::string> Shrinking(const ScalingInput& in, const ScalingVerdict& verdict) {
  std::vector<std::string> says;
  if (in.pending > 0) says.push_back(OnTheirWay(in.pending));
  if (in.desired <= in.min) {
    says.push_back("it has spec.pods.min of " + std::to_string(in.min) + " pods");
  }
  if (in.work_waiting) says.emplace_back("operations wait: nothing goes");
  for (const api::ScalingCandidate& candidate : verdict.candidates) {
    if (candidate.pods < in.desired) continue;
    says.push_back(candidate.name + " wants " + std::to_string(candidate.pods) + ": " +
                   candidate.message);
  }
  if (!verdict.silent.empty()) {
    says.push_back("nothing is known of " + Join(verdict.silent, ", ") +
                   ": what is unknown is not idle");
  }
  if (in.policy.rules.empty()) {
    says.emplace_back("spec.scaling.signals is empty: no pod ever counts as idle");
  } else {
    says.push_back(
        "a pod goes when it had no operation and every signal under its lower "
        "threshold for " +
        std::to_string(in.policy.idle.count()) + " s");
  }
  return says;
}

}  // namespace

Explanation Explain(const ScalingInput& in, const ScalingVerdict& verdict) {
  Explanation made;
  made.time = FormatTime(in.wall);
  made.desired = in.desired;
  made.idle_seconds = static_cast<int>(in.policy.idle.count());
  made.candidates = verdict.candidates;
  made.limit = verdict.limit;
  made.growth = Growth(in, verdict);
  made.shrink = Shrinking(in, verdict);
  for (const PodUsage& pod : in.pods) {
    PodState state{pod.name, !pod.idle, IdleSeconds(pod, in), {}};
    for (const SignalRule& rule : in.policy.rules) state.signals.push_back(StateOf(pod, rule, in));
    made.pods.push_back(std::move(state));
  }
  return made;
}

}  // namespace longshore::scaling

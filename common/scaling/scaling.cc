// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/scaling.h"

#include <algorithm>

#include "common/scaling/candidates.h"
#include "common/scaling/evidence.h"

namespace longshore::scaling {
namespace {

// While it holds, whoever asks.
std::optional<api::ScalingLimit> Futile(const ScalingInput& in, const GrowthMemory& memory) {
  if (!memory.futile_until) return std::nullopt;
  return api::ScalingLimit{api::kLimitFutile, in.desired, memory.message};
}

std::vector<api::ScalingCandidate> Record(const std::vector<Candidate>& candidates) {
  const Candidate* largest = Largest(candidates);
  std::vector<api::ScalingCandidate> record;
  for (const Candidate& one : candidates) {
    record.push_back({one.name, one.pods, &one == largest, one.message});
  }
  return record;
}

void Change(const ScalingInput& in, int to, const char* cause, ScalingVerdict& verdict) {
  api::ScalingDecision& d = verdict.decision;
  verdict.change = true;
  d.time = FormatTime(in.wall);
  d.from = in.desired;
  d.to = to;
  d.cause = cause;
  d.candidates = verdict.candidates;
  d.limit = verdict.limit;
}

// Whether it wants more than there is, which then is all there is to decide.
bool Grow(const ScalingInput& in, const Candidate& wish, ScalingVerdict& verdict) {
  const bool futile = verdict.limit.has_value();
  if (!futile) verdict.limit = wish.limit;
  const int wanted = wish.granted();
  if (wanted <= in.desired) return false;
  if (futile) return true;
  api::ScalingLimit cap = TightestCap(in.max, in.limits);
  const bool asked = in.work_waiting || in.queued > 0 || in.demand > 0;
  if (!asked && wish.cause == api::kCauseThreshold)
    cap.message += " if more operations are to come: none waits now";
  if (wanted > cap.pods) verdict.limit = cap;
  int to = std::min(wanted, cap.pods);
  // Nobody works yet: one shows first that pods can start.
  if (in.pods.empty()) to = std::min(to, std::max(in.desired, 1));
  if (to <= in.desired) return true;
  Change(in, to, wish.cause, verdict);
  verdict.decision.inputs = wish.inputs;
  verdict.decision.crossing_time = wish.crossing_time;
  verdict.decision.message = wish.message;
  BeginTrial(in, to, verdict.growth);
  return true;
}

void Shrink(const ScalingInput& in, const PodUsage& pod, std::vector<api::DecisionInput> inputs,
            ScalingVerdict& verdict) {
  Change(in, in.desired - 1, api::kCauseIdle, verdict);
  verdict.victim = pod.name;
  verdict.decision.inputs = std::move(inputs);
  verdict.decision.message = pod.name +
                             " had no operation and every signal under its lower threshold for " +
                             std::to_string(in.policy.idle.count()) + " s";
}

// The newest slots first, so that the slots in use stay the low ones.
std::vector<const PodUsage*> NewestFirst(const ScalingInput& in) {
  std::vector<const PodUsage*> order;
  for (const PodUsage& pod : in.pods) order.push_back(&pod);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->slot > b->slot; });
  return order;
}

void ShrinkIfIdle(const ScalingInput& in, ScalingVerdict& verdict) {
  for (const PodUsage* pod : NewestFirst(in)) {
    auto inputs = IdleEvidence(*pod, in);
    if (inputs) return Shrink(in, *pod, *std::move(inputs), verdict);
  }
}

// The pod that brought nothing goes when it is free, or another one that is; one in all.
bool StepBack(const ScalingInput& in, ScalingVerdict& verdict) {
  if (verdict.growth.step_back == 0 || in.pending > 0 || in.desired <= in.min) return false;
  const auto free =
      std::count_if(in.pods.begin(), in.pods.end(), [](const PodUsage& pod) { return pod.idle; });
  if (free <= in.policy.warm_pods) return false;
  for (const PodUsage* pod : NewestFirst(in)) {
    if (!pod->idle || !Fresh(*pod, in.now)) continue;
    Change(in, in.desired - 1, api::kCauseFutile, verdict);
    verdict.victim = pod->name;
    verdict.decision.inputs = {verdict.growth.input};
    verdict.decision.inputs[0].pod = pod->name;
    verdict.decision.message = verdict.growth.message;
    verdict.growth.step_back = 0;
    return true;
  }
  return false;
}

std::vector<std::string> Silent(const ScalingInput& in) {
  std::vector<std::string> silent;
  for (const PodUsage& pod : in.pods) {
    if (!Fresh(pod, in.now)) {
      if (pod.age > kFresh) silent.push_back(pod.name);
      continue;
    }
    for (const SignalRule& rule : in.policy.rules) {
      if (pod.samples.back().value(rule.signal)) continue;
      silent.push_back(pod.name + " (" + SignalName(rule.signal) + ")");
    }
  }
  return silent;
}

}  // namespace

api::ScalingLimit TightestCap(int max, const std::vector<api::ScalingLimit>& others) {
  api::ScalingLimit tightest{api::kLimitMaxPods, max,
                             "spec.pods.max is " + std::to_string(max) + ": raise it"};
  for (const api::ScalingLimit& limit : others) {
    if (limit.pods < tightest.pods) tightest = limit;
  }
  return tightest;
}

std::chrono::seconds SpanNeeded(const Policy& policy, bool idle) {
  std::chrono::seconds needed = idle ? policy.idle : kThroughputSpan;
  // One sample in five may be passed over.
  for (const SignalRule& rule : policy.rules) needed = std::max(needed, rule.window * 5 / 4);
  return needed + std::chrono::seconds(15);
}

ScalingVerdict EvaluateScaling(const ScalingInput& in) {
  ScalingVerdict verdict;
  verdict.silent = Silent(in);
  const std::vector<Candidate> candidates = Candidates(in);
  verdict.candidates = Record(candidates);
  verdict.growth = Judge(in);
  verdict.limit = Futile(in, verdict.growth);
  if (StepBack(in, verdict)) return verdict;
  const Candidate* largest = Largest(candidates);
  if (largest != nullptr && Grow(in, *largest, verdict)) return verdict;
  if (in.pending == 0 && !in.work_waiting && in.desired > Floor(candidates, in)) {
    ShrinkIfIdle(in, verdict);
  }
  return verdict;
}

}  // namespace longshore::scaling

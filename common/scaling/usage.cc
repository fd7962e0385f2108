// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/evidence.h"

namespace longshore::scaling {
namespace {

constexpr double kWindowShare = 0.9;  // intervals jitter: three samples may cover 2.97 s
constexpr std::chrono::nanoseconds kLongestStep = std::chrono::milliseconds(2500);  // longer: a gap

// What a program does to get going says nothing about the load; what memory it takes is there.
bool InGrace(const PodUsage& pod, const Sample& sample, Signal signal, const ScalingInput& in) {
  const bool excused =
      signal == Signal::kCpu || signal == Signal::kCpuThrottling || signal == Signal::kCpuPressure;
  const auto began = pod.uptime - (in.now - (sample.received - sample.length));
  return excused && in.policy.startup_grace.count() > 0 && began < in.policy.startup_grace;
}

}  // namespace

bool Fresh(const PodUsage& pod, MonotonicTime now) {
  return !pod.samples.empty() && now - pod.samples.back().received <= kFresh;
}

api::DecisionInput Crossing::Input() const {
  return {pod->name, SignalName(rule->signal), FormatSignal(rule->signal, value),
          FormatSignal(rule->signal, rule->up), samples};
}

std::optional<Crossing> RunOverUp(const PodUsage& pod, const SignalRule& rule,
                                  const ScalingInput& in) {
  if (!Fresh(pod, in.now)) return std::nullopt;
  Crossing run{&pod, &rule, {}, 0, 0, {}};
  for (auto sample = pod.samples.rbegin(); sample != pod.samples.rend(); ++sample) {
    const std::optional<double> value = sample->value(rule.signal);
    const bool counts = value && *value > rule.up && sample->length <= kLongestStep &&
                        sample->received - sample->length >= in.settled_since &&
                        !InGrace(pod, *sample, rule.signal, in);
    if (!counts) break;
    if (run.samples == 0) run.value = *value;
    run.covered += sample->length;
    run.first_over = sample->end;
    ++run.samples;
  }
  if (run.samples == 0) return std::nullopt;
  return run;
}

bool Full(const Crossing& run) {
  return run.covered >=
         std::chrono::duration_cast<std::chrono::nanoseconds>(run.rule->window * kWindowShare);
}

}  // namespace longshore::scaling

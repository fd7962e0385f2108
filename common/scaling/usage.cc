// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/evidence.h"

namespace longshore::scaling {
namespace {

constexpr double kWindowShare = 0.9;  // intervals jitter: three samples may cover 2.97 s
constexpr std::chrono::nanoseconds kLongestStep = std::chrono::milliseconds(2500);  // longer: a gap
// One of five in a row may be under the threshold, in a run of three that are over it at least: two
// of three may be no more than a swing round it.
constexpr int64_t kOneIn = 5;
constexpr int64_t kLeastOver = 3;

// What a program does to get going says nothing about the load; what memory it takes is there.
bool InGrace(const PodUsage& pod, const Sample& sample, Signal signal, const ScalingInput& in) {
  const bool excused =
      signal == Signal::kCpu || signal == Signal::kCpuThrottling || signal == Signal::kCpuPressure;
  const auto began = pod.uptime - (in.now - (sample.received - sample.length));
  return excused && in.policy.startup_grace.count() > 0 && began < in.policy.startup_grace;
}

std::optional<double> Counting(const PodUsage& pod, const Sample& sample, Signal signal,
                               const ScalingInput& in) {
  const bool counts = sample.length <= kLongestStep &&
                      sample.received - sample.length >= in.settled_since &&
                      !InGrace(pod, sample, signal, in);
  return counts ? sample.value(signal) : std::nullopt;
}

}  // namespace

bool Fresh(const PodUsage& pod, MonotonicTime now) {
  return !pod.samples.empty() && now - pod.samples.back().received <= kFresh;
}

api::DecisionInput Crossing::Input() const {
  return {pod->name, SignalName(rule->signal), FormatSignal(rule->signal, value),
          FormatSignal(rule->signal, rule->up), samples};
}

std::string Crossing::Text() const {
  const api::DecisionInput input = Input();
  return input.signal + " of " + input.pod + " was over " + input.threshold + " for " +
         std::to_string(samples) + (samples == 1 ? " sample" : " samples") + ", now " + input.value;
}

std::optional<Crossing> RunOverUp(const PodUsage& pod, const SignalRule& rule,
                                  const ScalingInput& in) {
  if (!Fresh(pod, in.now)) return std::nullopt;
  Crossing run{&pod, &rule, {}, 0, 0, {}, {}};
  std::optional<Crossing> unbroken;  // what of it is newer than the first sample under `up`
  int64_t over = kOneIn - 1;         // samples since the last one under `up`
  for (auto sample = pod.samples.rbegin(); sample != pod.samples.rend(); ++sample) {
    const std::optional<double> value = Counting(pod, *sample, rule.signal, in);
    if (!value) break;
    if (*value <= rule.up) {
      if (run.samples == 0 || over < kOneIn - 1) break;
      if (!unbroken) unbroken = run;
      over = 0;
      continue;
    }
    const bool all_far = run.far == run.covered && !unbroken;
    if (run.samples == 0) run.value = *value;
    run.covered += sample->length;
    if (all_far && *value >= kFarOver * rule.up) run.far = run.covered;
    run.first_over = sample->end;
    ++run.samples;
    ++over;
  }
  if (unbroken && run.samples < kLeastOver) return unbroken;
  if (run.samples == 0) return std::nullopt;
  return run;
}

std::chrono::seconds FarWindow(const SignalRule& rule) {
  return std::chrono::ceil<std::chrono::seconds>(rule.window * 2 / 3.0);
}

bool Full(const Crossing& run) {
  return run.covered >= run.rule->window * kWindowShare ||
         run.far >= FarWindow(*run.rule) * kWindowShare;
}

std::optional<double> MeanUsage(const PodUsage& pod, const SignalRule& rule,
                                std::chrono::nanoseconds span, const ScalingInput& in) {
  if (!Fresh(pod, in.now)) return std::nullopt;
  double sum = 0;
  int count = 0;
  for (auto sample = pod.samples.rbegin(); sample != pod.samples.rend(); ++sample) {
    if (pod.samples.back().received - sample->received >= span) break;
    const auto value = Counting(pod, *sample, rule.signal, in);
    if (!value) continue;
    sum += *value;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

}  // namespace longshore::scaling

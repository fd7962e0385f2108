// SPDX-License-Identifier: Apache-2.0
#include "controller/scaling.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "common/base/strings.h"

namespace longshore::controller {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kFresh{5};          // an older sample is unknown
constexpr double kWindowShare = 0.9;  // intervals jitter: three samples may cover 2.97 s
constexpr double kIdleShare = 0.8;    // of the idle time must be covered by samples
constexpr nanoseconds kLongestStep = std::chrono::milliseconds(2500);  // longer: a gap

std::string FormatValue(Signal signal, double value) {
  const std::string number = std::to_string(std::llround(value));
  return signal == Signal::kCpu ? number + "m" : number;
}

bool Fresh(const PodUsage& pod, MonotonicTime now) {
  return !pod.samples.empty() && now - pod.samples.back().received <= kFresh;
}

struct Crossing {
  const PodUsage* pod = nullptr;
  const SignalRule* rule = nullptr;
  WallTime first_over;
  int64_t samples = 0;
};

// The newest unbroken run of samples over `up`, all measured after things had settled.
std::optional<Crossing> OverUp(const PodUsage& pod, const SignalRule& rule,
                               const ScalingInput& in) {
  if (!Fresh(pod, in.now)) return std::nullopt;
  Crossing found{&pod, &rule, {}, 0};
  nanoseconds covered{0};
  for (auto sample = pod.samples.rbegin(); sample != pod.samples.rend(); ++sample) {
    const bool counts = sample->value(rule.signal) > rule.up && sample->length <= kLongestStep &&
                        sample->received - sample->length >= in.settled_since;
    if (!counts) break;
    covered += sample->length;
    found.first_over = sample->end;
    ++found.samples;
  }
  const auto wanted = duration_cast<nanoseconds>(rule.window * kWindowShare);
  if (found.samples == 0 || covered < wanted) return std::nullopt;
  return found;
}

std::optional<Crossing> AnyOverUp(const ScalingInput& in) {
  for (const PodUsage& pod : in.pods) {
    for (const SignalRule& rule : in.rules) {
      if (auto found = OverUp(pod, rule, in)) return found;
    }
  }
  return std::nullopt;
}

struct IdleEvidence {
  std::vector<api::DecisionInput> inputs;  // one a rule: the highest value of the window
};

// Whether every signal of the pod stayed under `down` for the whole idle time, and the proof.
std::optional<IdleEvidence> IdleFor(const PodUsage& pod, const ScalingInput& in) {
  if (!pod.idle || in.rules.empty() || !Fresh(pod, in.now)) return std::nullopt;
  if (pod.age < in.idle) return std::nullopt;  // without an operation for as long, too
  const MonotonicTime start = in.now - in.idle;
  nanoseconds covered{0};
  bool from_the_start = false;
  int64_t count = 0;
  std::vector<double> highest(in.rules.size(), 0);
  for (const Sample& sample : pod.samples) {
    // The listening must span the window: a new leader, or a new pod, has not seen it all.
    if (sample.received - sample.length <= start + seconds(1)) from_the_start = true;
    if (sample.received < start) continue;
    covered += sample.length;
    ++count;
    for (size_t i = 0; i < in.rules.size(); ++i) {
      const double value = sample.value(in.rules[i].signal);
      if (value >= in.rules[i].down) return std::nullopt;
      highest[i] = std::max(highest[i], value);
    }
  }
  const auto wanted = duration_cast<nanoseconds>(in.idle * kIdleShare);
  if (!from_the_start || covered < wanted) return std::nullopt;
  IdleEvidence evidence;
  for (size_t i = 0; i < in.rules.size(); ++i) {
    const SignalRule& rule = in.rules[i];
    evidence.inputs.push_back({pod.name, SignalName(rule.signal),
                               FormatValue(rule.signal, highest[i]),
                               FormatValue(rule.signal, rule.down), count});
  }
  return evidence;
}

void Grow(const ScalingInput& in, const Crossing& crossing, ScalingVerdict& verdict) {
  const SignalRule& rule = *crossing.rule;
  const std::string value =
      FormatValue(rule.signal, crossing.pod->samples.back().value(rule.signal));
  const std::string up = FormatValue(rule.signal, rule.up);
  api::ScalingDecision& d = verdict.decision;
  verdict.change = true;
  d.time = FormatTime(in.wall);
  d.from = in.desired;
  d.to = in.desired + 1;
  d.cause = kCauseThreshold;
  d.crossing_time = FormatTime(crossing.first_over);
  d.inputs.push_back({crossing.pod->name, SignalName(rule.signal), value, up, crossing.samples});
  d.message = std::string(SignalName(rule.signal)) + " of " + crossing.pod->name + " was over " +
              up + " for " + std::to_string(crossing.samples) + " samples, now " + value;
}

void Shrink(const ScalingInput& in, const PodUsage& pod, IdleEvidence evidence,
            ScalingVerdict& verdict) {
  api::ScalingDecision& d = verdict.decision;
  verdict.change = true;
  verdict.victim = pod.name;
  d.time = FormatTime(in.wall);
  d.from = in.desired;
  d.to = in.desired - 1;
  d.cause = kCauseIdle;
  d.inputs = std::move(evidence.inputs);
  d.message = pod.name + " had no operation and every signal under its lower threshold for " +
              std::to_string(in.idle.count()) + " s";
}

Result<double> Resolve(const api::Threshold& threshold, Signal signal, const std::string& path,
                       const api::ResourceRequirements& resources) {
  if (!threshold.utilization_percent) {
    auto milli = ParseQuantityMilli(threshold.value);
    if (!milli) return Annotate(milli.error(), path + ".value");
    return signal == Signal::kCpu ? static_cast<double>(*milli) : *milli / 1000.0;
  }
  const std::string name = SignalName(signal);
  const auto request = resources.requests.find(name);
  if (request == resources.requests.end()) {
    return InvalidArgument(path + ".utilizationPercent: the pod has no request for " + name +
                           "; set one in the SourceImage or PodPolicy, or use a value");
  }
  LS_ASSIGN_OR_RETURN(const int64_t milli, ParseQuantityMilli(request->second));
  const double base = signal == Signal::kCpu ? milli : milli / 1000.0;
  return base * *threshold.utilization_percent / 100.0;
}

}  // namespace

Result<std::vector<SignalRule>> ResolveRules(const api::Scaling& scaling,
                                             const api::ResourceRequirements& resources) {
  std::vector<SignalRule> rules;
  for (const api::ScalingSignal& wanted : scaling.signals) {
    const std::string path = "spec.scaling.signals[" + wanted.name + "]";
    const auto signal = SignalByName(wanted.name);
    if (!signal) return InvalidArgument(path + ".name: no such signal");
    SignalRule rule{*signal, 0, 0, seconds(wanted.window_seconds)};
    LS_ASSIGN_OR_RETURN(rule.up, Resolve(wanted.up, *signal, path + ".up", resources));
    LS_ASSIGN_OR_RETURN(rule.down, Resolve(wanted.down, *signal, path + ".down", resources));
    rules.push_back(rule);
  }
  return rules;
}

std::chrono::seconds SpanNeeded(std::chrono::seconds idle) { return idle + seconds(15); }

ScalingVerdict EvaluateScaling(const ScalingInput& in) {
  ScalingVerdict verdict;
  for (const PodUsage& pod : in.pods) {
    if (!Fresh(pod, in.now) && pod.age > kFresh) verdict.silent.push_back(pod.name);
  }
  // Cooldown: one change at a time, and the window begins anew after it.
  if (in.pending > 0) return verdict;
  if (const auto crossing = AnyOverUp(in)) {
    verdict.at_max = in.desired >= in.max;
    if (!verdict.at_max) Grow(in, *crossing, verdict);
    return verdict;
  }
  if (in.work_waiting || in.desired <= in.min) return verdict;
  // The newest slot goes first, so that the slots in use stay the low ones.
  std::vector<const PodUsage*> order;
  for (const PodUsage& pod : in.pods) order.push_back(&pod);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->slot > b->slot; });
  for (const PodUsage* pod : order) {
    if (auto evidence = IdleFor(*pod, in)) {
      Shrink(in, *pod, *std::move(evidence), verdict);
      return verdict;
    }
  }
  return verdict;
}

}  // namespace longshore::controller

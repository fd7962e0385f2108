// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "common/scaling/evidence.h"

namespace longshore::scaling {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr double kIdleShare = 0.8;  // of the idle time must be covered by samples

bool Knows(const Sample& sample, const std::vector<SignalRule>& rules) {
  return std::all_of(rules.begin(), rules.end(),
                     [&](const SignalRule& rule) { return sample.value(rule.signal).has_value(); });
}

}  // namespace

std::optional<std::vector<api::DecisionInput>> IdleEvidence(const PodUsage& pod,
                                                            const ScalingInput& in) {
  const std::vector<SignalRule>& rules = in.policy.rules;
  const seconds idle = in.policy.idle;
  if (!pod.idle || rules.empty() || !Fresh(pod, in.now)) return std::nullopt;
  if (pod.age < idle) return std::nullopt;  // without an operation for as long, too
  const MonotonicTime start = in.now - idle;
  nanoseconds covered{0};
  bool from_the_start = false;
  int64_t count = 0;
  std::vector<double> highest(rules.size(), 0);
  for (const Sample& sample : pod.samples) {
    if (!Knows(sample, rules)) continue;
    // The listening must span the window: a new leader, or a new pod, has not seen it all.
    if (sample.received - sample.length <= start + seconds(1)) from_the_start = true;
    if (sample.received < start) continue;
    covered += sample.length;
    ++count;
    for (size_t i = 0; i < rules.size(); ++i) {
      const double value = *sample.value(rules[i].signal);
      if (value >= rules[i].down) return std::nullopt;
      highest[i] = std::max(highest[i], value);
    }
  }
  const auto wanted = duration_cast<nanoseconds>(idle * kIdleShare);
  if (!from_the_start || covered < wanted) return std::nullopt;
  std::vector<api::DecisionInput> inputs;
  for (size_t i = 0; i < rules.size(); ++i) {
    inputs.push_back({pod.name, SignalName(rules[i].signal),
                      FormatSignal(rules[i].signal, highest[i]),
                      FormatSignal(rules[i].signal, rules[i].down), count});
  }
  return inputs;
}

}  // namespace longshore::scaling

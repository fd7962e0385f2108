// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/candidates.h"

#include <algorithm>
#include <optional>

#include "common/scaling/evidence.h"

namespace longshore::scaling {
namespace {

// From here on a pod gets less CPU than it would take: how much it needs is hidden.
constexpr double kNearLimit = 0.95;
constexpr double kThrottledPercent = 10;
constexpr double kStalledPercent = 20;

std::vector<Crossing> Crossings(const ScalingInput& in) {
  std::vector<Crossing> found;
  for (const SignalRule& rule : in.policy.rules) {
    for (const PodUsage& pod : in.pods) {
      const auto run = RunOverUp(pod, rule, in);
      if (!run || !Full(*run)) continue;
      found.push_back(*run);
      break;  // one witness a signal is enough
    }
  }
  return found;
}

// The mean over the newest samples of the run; empty where one of them is unknown.
std::optional<double> MeanOf(Signal signal, const Crossing& run) {
  double sum = 0;
  const auto& samples = run.pod->samples;
  for (auto sample = samples.end() - run.samples; sample != samples.end(); ++sample) {
    const auto value = sample->value(signal);
    if (!value) return std::nullopt;
    sum += *value;
  }
  return sum / static_cast<double>(run.samples);
}

// Why the pod may need more than it shows; empty: it does not.
std::string Saturated(const Crossing& run, const Policy& policy) {
  const Signal signal = run.rule->signal;
  if (signal != Signal::kCpu && signal != Signal::kCpuThrottling &&
      signal != Signal::kCpuPressure) {
    return "";
  }
  const auto at_least = [&](Signal wanted, double level) {
    return MeanOf(wanted, run).value_or(0) >= level;
  };
  const std::string& pod = run.pod->name;
  const double limit = policy.cpu_limit_milli;
  if (limit > 0 && at_least(Signal::kCpu, limit * kNearLimit)) {
    return pod + " is at its CPU limit of " + FormatSignal(Signal::kCpu, limit);
  }
  if (at_least(Signal::kCpuThrottling, kThrottledPercent)) {
    return pod + " is throttled by its CPU limit";
  }
  if (at_least(Signal::kCpuPressure, kStalledPercent)) return pod + " waits for CPU";
  return "";
}

void AddUsage(const ScalingInput& in, std::vector<Candidate>& candidates) {
  const std::vector<Crossing> crossings = Crossings(in);
  if (crossings.empty()) return;
  Candidate usage{api::kCandidateUsage, api::kCauseThreshold, in.desired + 1, "", {}, ""};
  for (const Crossing& crossing : crossings) usage.inputs.push_back(crossing.Input());
  const api::DecisionInput& first = usage.inputs.front();
  usage.crossing_time = FormatTime(crossings.front().first_over);
  usage.message = first.signal + " of " + first.pod + " was over " + first.threshold + " for " +
                  std::to_string(first.samples) + " samples, now " + first.value;
  candidates.push_back(usage);
  for (const Crossing& crossing : crossings) {
    const std::string why = Saturated(crossing, in.policy);
    if (why.empty()) continue;
    Candidate doubled = usage;
    doubled.name = api::kCandidateSaturation;
    doubled.pods = std::max(2 * in.desired, in.desired + 1);
    doubled.message = usage.message + "; " + why + ", so that its need is hidden: twice as many";
    candidates.push_back(doubled);
    return;
  }
}

std::string Count(int number, const char* one, const char* many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

}  // namespace

std::vector<Candidate> Candidates(const ScalingInput& in) {
  std::vector<Candidate> candidates;
  // Cooldown: one step at a time, and the window begins anew after it. What is in trouble may never
  // work and holds up nobody, but where as many cannot start as work, another would not either.
  const bool starts = in.troubled < static_cast<int>(in.pods.size());
  if (in.pending == 0 && starts) AddUsage(in, candidates);
  const int busy = static_cast<int>(
      std::count_if(in.pods.begin(), in.pods.end(), [](const PodUsage& pod) { return !pod.idle; }));
  if (in.policy.follow_demand) {
    std::string message = Count(busy, "pod has", "pods have") + " work, " +
                          Count(in.queued, "operation waits", "operations wait");
    if (in.demand > 0) message += ", " + std::to_string(in.demand) + " more are announced";
    candidates.push_back(
        {api::kCandidateDemand, api::kCauseDemand, busy + in.queued + in.demand, message, {}, ""});
  }
  if (in.policy.warm_pods > 0) {
    candidates.push_back({api::kCandidateWarmPods,
                          api::kCauseWarmPods,
                          busy + in.policy.warm_pods,
                          Count(busy, "pod has", "pods have") + " work, and " +
                              std::to_string(in.policy.warm_pods) + " are kept free beside",
                          {},
                          ""});
  }
  if (in.deadline_pods > 0) {
    candidates.push_back({api::kCandidateDeadline,
                          api::kCauseDeadline,
                          in.deadline_pods,
                          in.deadline_message,
                          {},
                          ""});
  }
  return candidates;
}

const Candidate* Largest(const std::vector<Candidate>& candidates) {
  const auto largest =
      std::max_element(candidates.begin(), candidates.end(),
                       [](const auto& a, const auto& b) { return a.pods < b.pods; });
  return largest == candidates.end() ? nullptr : &*largest;
}

int Floor(const std::vector<Candidate>& candidates, const ScalingInput& in) {
  const Candidate* largest = Largest(candidates);
  return largest == nullptr ? in.min : std::max(in.min, largest->pods);
}

}  // namespace longshore::scaling

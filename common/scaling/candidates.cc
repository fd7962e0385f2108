// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/candidates.h"

#include <algorithm>
#include <cmath>

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

std::string Count(int number, const char* one, const char* many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

int Busy(const ScalingInput& in) {
  return static_cast<int>(std::ranges::count(in.pods, false, &PodUsage::idle));
}

std::string KnownWork(const ScalingInput& in) {
  std::string text = Count(Busy(in), "pod has", "pods have") + " work, " +
                     Count(in.queued, "operation waits", "operations wait");
  if (in.demand > 0) text += ", " + std::to_string(in.demand) + " more are announced";
  return text;
}

// A pod without work beside others that have some: one more would have none either, however much
// the others use. Crews without any operation are worked by somebody who does not say so.
const PodUsage* Spare(const ScalingInput& in) {
  if (in.work_waiting || in.queued > 0 || in.demand > 0 || Busy(in) == 0) return nullptr;
  const auto idle = std::ranges::find_if(in.pods, &PodUsage::idle);
  return idle != in.pods.end() ? &*idle : nullptr;
}

// That a pod has much to do does not say that there is work for another one.
std::optional<api::ScalingLimit> WorkLimit(const ScalingInput& in) {
  if (in.policy.require_demand) {
    return api::ScalingLimit{api::kLimitDemand,
                             std::max(in.desired, Busy(in) + in.queued + in.demand),
                             KnownWork(in) +
                                 ": by demandPolicy Require usage adds no pod without work; "
                                 "queue operations, or announce them in spec.demand"};
  }
  const PodUsage* spare = Spare(in);
  if (spare == nullptr) return std::nullopt;
  return api::ScalingLimit{api::kLimitFutile, in.desired,
                           spare->name +
                               " is free and no operation waits: one more pod would have "
                               "nothing to do either"};
}

// As many as would be at `up` each with what the crew uses together, at most twice as many as there
// are: what is measured meanwhile says more than what was measured before.
void Divide(const Crossing& crossing, const ScalingInput& in, Candidate& usage) {
  const SignalRule& rule = *crossing.rule;
  if (!IsDivided(rule.signal)) return;
  const auto span = std::min<std::chrono::nanoseconds>(rule.window, crossing.covered);
  double used = 0;
  for (const PodUsage& pod : in.pods) used += MeanUsage(pod, rule, span, in).value_or(0);
  const double twice = 2.0 * in.desired, needed = used / rule.up;
  const int wanted = static_cast<int>(std::ceil(std::min(needed, twice)));
  if (wanted <= usage.pods) return;
  usage.pods = wanted;
  usage.message = crossing.Text() + "; the " + FormatSignal(rule.signal, used) +
                  " of all pods take " + (needed > twice ? "more than " : "") +
                  std::to_string(wanted) + " at " + FormatSignal(rule.signal, rule.up) + " each" +
                  (needed > twice ? ": twice as many for now" : "");
}

void AddUsage(const ScalingInput& in, std::vector<Candidate>& candidates) {
  const std::vector<Crossing> crossings = Crossings(in);
  if (crossings.empty()) return;
  Candidate usage{api::kCandidateUsage, api::kCauseThreshold, in.desired + 1, "", {}, ""};
  for (const Crossing& crossing : crossings) usage.inputs.push_back(crossing.Input());
  usage.crossing_time = FormatTime(crossings.front().first_over);
  usage.message = crossings.front().Text();
  for (const Crossing& crossing : crossings) Divide(crossing, in, usage);
  candidates.push_back(usage);
  for (const Crossing& crossing : crossings) {
    const std::string why = Saturated(crossing, in.policy);
    if (why.empty()) continue;
    Candidate doubled = usage;
    doubled.name = api::kCandidateSaturation;
    doubled.pods = std::max(2 * in.desired, in.desired + 1);
    doubled.message = crossing.Text() + "; " + why + ", so that its need is hidden: twice as many";
    candidates.push_back(doubled);
    return;
  }
}

}  // namespace

std::vector<Candidate> Candidates(const ScalingInput& in) {
  std::vector<Candidate> candidates;
  // Cooldown: one step at a time, and the window begins anew after it. What is in trouble may never
  // work and holds up nobody, but where as many cannot start as work, another would not either.
  const bool starts = in.troubled < static_cast<int>(in.pods.size());
  if (in.pending == 0 && starts) AddUsage(in, candidates);
  const auto work = WorkLimit(in);
  for (Candidate& usage : candidates) {
    if (work && usage.pods > work->pods) usage.limit = work;
  }
  const int busy = Busy(in);
  if (in.policy.follow_demand) {
    candidates.push_back({api::kCandidateDemand,
                          api::kCauseDemand,
                          busy + in.queued + in.demand,
                          KnownWork(in),
                          {},
                          ""});
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
                       [](const auto& a, const auto& b) { return a.granted() < b.granted(); });
  return largest == candidates.end() ? nullptr : &*largest;
}

int Floor(const std::vector<Candidate>& candidates, const ScalingInput& in) {
  const Candidate* largest = Largest(candidates);
  return largest == nullptr ? in.min : std::max(in.min, largest->granted());
}

}  // namespace longshore::scaling

// SPDX-License-Identifier: Apache-2.0
#include "controller/controller_metrics.h"

#include <span>

#include "common/api/request.h"
#include "controller/census.h"
#include "controller/environment.h"

namespace longshore::controller {
namespace {

constexpr char kOther[] = "Other";

constexpr const char* kCauses[] = {api::kCauseRequested, api::kCauseThreshold, api::kCauseIdle,
                                   api::kCauseResized,   api::kCausePodBusy,   api::kCauseDemand,
                                   api::kCauseWarmPods,  api::kCauseDeadline,  api::kCauseFutile};
constexpr const char* kKinds[] = {kRequestKey, kPodKey, kOperationKey, kSourceKey};

std::vector<const char*> WithOther(std::span<const char* const> names) {
  std::vector<const char*> all(names.begin(), names.end());
  all.push_back(kOther);
  return all;
}

std::map<std::string, metrics::Counter*> MakeCounters(metrics::Registry& registry,
                                                      const std::string& name,
                                                      const std::string& help,
                                                      const std::string& label,
                                                      std::span<const char* const> values) {
  std::map<std::string, metrics::Counter*> counters;
  for (const char* value : values) {
    counters[value] = &registry.MakeCounter(name, help, {{label, value}});
  }
  return counters;
}

std::map<std::string, metrics::Histogram*> MakeReconciles(metrics::Registry& registry) {
  std::map<std::string, metrics::Histogram*> histograms;
  for (const char* kind : kKinds) {
    histograms[kind] = &registry.MakeHistogram(
        "longshore_controller_reconcile_duration_seconds",
        "Time that one key of the work queue took, calls of the Kubernetes API included",
        {0.0001, 0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5, 30}, {{"kind", kind}});
  }
  return histograms;
}

void Count(const std::map<std::string, metrics::Counter*>& counters, const std::string& which) {
  auto found = counters.find(which);
  if (found == counters.end()) found = counters.find(kOther);
  if (found != counters.end()) found->second->Increment();
}

void Observe(metrics::Histogram& histogram, std::chrono::nanoseconds span) {
  histogram.Observe(std::chrono::duration<double>(span).count());
}

}  // namespace

ControllerMetrics::ControllerMetrics(metrics::Registry& registry)
    : pod_moves_(MakeCounters(registry, "longshore_controller_pod_transitions_total",
                              "Backup pods that came into a state", "state", kPodStates)),
      operation_moves_(MakeCounters(registry, "longshore_controller_operation_writes_total",
                                    "Writes of operations by their state", "state",
                                    kOperationStates)),
      decisions_(MakeCounters(registry, "longshore_controller_scaling_decisions_total",
                              "Changes of the wanted number of pods", "cause", WithOther(kCauses))),
      limits_(MakeCounters(registry, "longshore_controller_scaling_limited_total",
                           "Times that a crew wanted more pods than a limit allows it", "limit",
                           WithOther(api::kLimits))),
      out_of_memory_(registry.MakeCounter(
          "longshore_controller_out_of_memory_total",
          "Kills for memory that a request had to learn of: with a larger limit than before, or of "
          "another pod when the one before is gone")),
      reconciles_(MakeReconciles(registry)),
      crossing_to_decision_(registry.MakeHistogram(
          "longshore_controller_crossing_to_decision_seconds",
          "From the end of the first sample over a threshold to the decision to grow: the signal's "
          "window, and how long we took",
          {0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60})),
      crossing_to_announced_(registry.MakeHistogram(
          "longshore_controller_crossing_to_announced_seconds",
          "From the end of the first sample over a threshold to the announcement of a pod that it "
          "brought",
          {0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300})),
      sample_to_decision_(registry.MakeHistogram(
          "longshore_controller_sample_to_decision_seconds",
          "From the arrival of the sample that made a signal's window full to the decision to grow",
          {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5})),
      planned_to_available_(
          registry.MakeHistogram("longshore_controller_planned_to_available_seconds",
                                 "From the row of a backup pod to its being available first",
                                 {0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300})) {}

Tally ControllerMetrics::MakeTally() const {
  Tally tally;
  tally.pod_moved = [this](const std::string& state) { Count(pod_moves_, state); };
  tally.operation_moved = [this](const std::string& state) { Count(operation_moves_, state); };
  tally.scaled = [this](const std::string& cause) { Count(decisions_, cause); };
  tally.limited = [this](const std::string& limit) { Count(limits_, limit); };
  tally.out_of_memory = [this] { out_of_memory_.Increment(); };
  tally.crossing_to_decision = [this](auto span) { Observe(crossing_to_decision_, span); };
  tally.crossing_to_announced = [this](auto span) { Observe(crossing_to_announced_, span); };
  tally.sample_to_decision = [this](auto span) { Observe(sample_to_decision_, span); };
  tally.planned_to_available = [this](auto span) { Observe(planned_to_available_, span); };
  tally.reconciled = [this](const std::string& kind, std::chrono::nanoseconds span) {
    Observe(*reconciles_.at(kind), span);
  };
  return tally;
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/controller_metrics.h"

namespace longshore::controller {
namespace {

void Count(const std::map<std::string, metrics::Counter*>& counters, const std::string& which) {
  const auto found = counters.find(which);
  if (found != counters.end()) found->second->Increment();
}

// Gauges that are set when somebody asks: name -> help.
const std::map<std::string, std::string> kGauges = {
    {"longshore_controller_agents_connected", "Node agents with an open stream"},
    {"longshore_controller_workers_connected", "Workers with an open stream"},
    {"longshore_controller_workers_known", "Workers with an open stream, or lately so"},
    {"longshore_controller_workers_refused", "Streams refused: of pods that are no backup pods"},
    {"longshore_controller_extenders_connected", "Extenders with an open stream"},
    {"longshore_controller_usage_reports", "Reports of node agents taken since the start"},
    {"longshore_controller_foreign_samples", "Samples dropped: of our pods, but of another node"},
    {"longshore_controller_superseded_reports",
     "Reports dropped: a later stream claims the agent's node"},
    {"longshore_controller_streams_refused", "Streams refused since the start"},
    {"longshore_controller_bad_messages", "Streams closed for a message since the start"},
    {"longshore_controller_usage_pods", "Backup pods with samples in memory"},
    {"longshore_controller_queue_keys", "Keys waiting in the work queue"},
    {"longshore_controller_reconciles", "Keys handled since the start"},
    {"longshore_controller_reconcile_conflicts", "Writes that somebody else overtook"},
    {"longshore_controller_reconcile_errors", "Reconciles that failed and were repeated"},
    {"longshore_controller_leading", "1 while this replica is certain to lead"},
    {"longshore_controller_leader_epoch", "The lease's count of leaders when this one began"},
    {"longshore_controller_cache_age_seconds", "Since the quietest watch last showed life"},
};

}  // namespace

ControllerMetrics::ControllerMetrics()
    : crossing_to_decision_(registry_.MakeHistogram(
          "longshore_controller_crossing_to_decision_seconds",
          "From the end of the first sample over a threshold to the decision to grow",
          {0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10})),
      planned_to_available_(
          registry_.MakeHistogram("longshore_controller_planned_to_available_seconds",
                                  "From the row of a backup pod to its being available",
                                  {0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300})) {
  for (const char* state : {api::kPlanned, api::kProvisioning, api::kAvailable, api::kAssigned,
                            api::kDraining, api::kDeconstructed, api::kFailed, api::kLost}) {
    pod_moves_[state] =
        &registry_.MakeCounter("longshore_controller_pod_transitions_total",
                               "Backup pods that came into a state", {{"state", state}});
  }
  for (const char* state :
       {api::kQueued, api::kPreparing, api::kRunning, api::kCommitting, api::kSucceeded,
        api::kOperationFailed, api::kCancelled, api::kInterrupted}) {
    operation_moves_[state] =
        &registry_.MakeCounter("longshore_controller_operation_writes_total",
                               "Writes of operations by their state", {{"state", state}});
  }
  for (const char* cause : {api::kCauseRequested, api::kCauseThreshold, api::kCauseIdle,
                            api::kCauseResized, api::kCausePodBusy, api::kCauseDemand,
                            api::kCauseWarmPods, api::kCauseDeadline, api::kCauseFutile}) {
    decisions_[cause] =
        &registry_.MakeCounter("longshore_controller_scaling_decisions_total",
                               "Changes of the wanted number of pods", {{"cause", cause}});
  }
  for (const auto& [name, help] : kGauges) gauges_[name] = &registry_.MakeGauge(name, help);
}

Tally ControllerMetrics::MakeTally() {
  Tally tally;
  tally.pod_moved = [this](const std::string& state) { Count(pod_moves_, state); };
  tally.scaled = [this](const std::string& cause) { Count(decisions_, cause); };
  tally.operation_moved = [this](const std::string& state) { Count(operation_moves_, state); };
  tally.crossing_to_decision = [this](double seconds) { crossing_to_decision_.Observe(seconds); };
  tally.planned_to_available = [this](double seconds) { planned_to_available_.Observe(seconds); };
  return tally;
}

std::string ControllerMetrics::Text(const ReconcileLoop& loop, const StreamHub& hub,
                                    const kube::WorkQueue& queue, const UsageStore& usage,
                                    std::chrono::milliseconds cache_age,
                                    const Leadership& leadership) {
  const auto set = [this](const char* name, double value) {
    gauges_.at(std::string("longshore_controller_") + name)->Set(value);
  };
  const StreamHub::Counts streams = hub.counts();
  set("agents_connected", static_cast<double>(streams.agents));
  set("workers_connected", static_cast<double>(streams.workers));
  set("workers_known", static_cast<double>(streams.known_workers));
  set("workers_refused", static_cast<double>(streams.foreign_workers));
  set("extenders_connected", static_cast<double>(streams.extenders));
  set("usage_reports", static_cast<double>(streams.reports));
  set("foreign_samples", static_cast<double>(streams.foreign_samples));
  set("superseded_reports", static_cast<double>(streams.superseded));
  set("streams_refused", static_cast<double>(streams.refused));
  set("bad_messages", static_cast<double>(streams.bad_messages));
  set("usage_pods", static_cast<double>(usage.pods()));
  set("queue_keys", static_cast<double>(queue.size()));
  const ReconcileLoop::Counts counts = loop.counts();
  set("reconciles", static_cast<double>(counts.reconciled));
  set("reconcile_conflicts", static_cast<double>(counts.conflicts));
  set("reconcile_errors", static_cast<double>(counts.errors));
  set("cache_age_seconds", static_cast<double>(cache_age.count()) / 1000);
  set("leading", leadership.leading() ? 1 : 0);
  set("leader_epoch", static_cast<double>(leadership.epoch()));
  return registry_.Text();
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/scrape_metrics.h"

#include <span>

#include "controller/event_log.h"

namespace longshore::controller {
namespace {

// One number of a reading, without labels.
struct Row {
  const char* name;
  const char* help;
  double (*value)(const Reading&);
};

double Number(auto value) { return static_cast<double>(value); }
double Seconds(auto span) { return std::chrono::duration<double>(span).count(); }

constexpr Row kGauges[] = {
    {"longshore_controller_leading", "1 while this replica is certain to lead",
     [](const Reading& r) { return Number(r.leading); }},
    {"longshore_controller_leader_epoch", "The lease's count of leaders when this one began",
     [](const Reading& r) { return Number(r.leader_epoch); }},
    {"longshore_controller_wanted_pods", "Pods that the requests should have, together",
     [](const Reading& r) { return Number(r.census.wanted_pods); }},
    {"longshore_controller_oldest_drain_seconds",
     "Since when the pod that has been draining longest has, or has had work though its request is "
     "ending; 0: none does",
     [](const Reading& r) { return Seconds(r.census.oldest_drain); }},
    {"longshore_controller_nodes", "Nodes of the cluster",
     [](const Reading& r) { return Number(r.nodes); }},
    {"longshore_controller_agents_connected", "Node agents with an open stream",
     [](const Reading& r) { return Number(r.streams.agents); }},
    {"longshore_controller_workers_connected", "Workers with an open stream",
     [](const Reading& r) { return Number(r.streams.workers); }},
    {"longshore_controller_workers_known", "Workers with an open stream, or lately so",
     [](const Reading& r) { return Number(r.streams.known_workers); }},
    {"longshore_controller_extenders_connected", "Extenders with an open stream",
     [](const Reading& r) { return Number(r.streams.extenders); }},
    {"longshore_controller_usage_pods", "Backup pods with samples in memory",
     [](const Reading& r) { return Number(r.usage_pods); }},
    {"longshore_controller_queue_keys", "Keys in the work queue, those with a delay included",
     [](const Reading& r) { return Number(r.queue.keys); }},
    {"longshore_controller_queue_due_keys", "Keys in the work queue whose time has come",
     [](const Reading& r) { return Number(r.queue.due); }},
    {"longshore_controller_queue_delay_seconds",
     "Since when the first key of the leader's work queue could have been handled; 0: none is due",
     [](const Reading& r) { return Seconds(r.queue.late); }},
};

constexpr Row kTotals[] = {
    {"longshore_controller_usage_reports_total", "Reports of node agents taken",
     [](const Reading& r) { return Number(r.streams.reports); }},
    {"longshore_controller_foreign_samples_total",
     "Samples refused: of our pods, but of another node",
     [](const Reading& r) { return Number(r.streams.foreign_samples); }},
    {"longshore_controller_superseded_reports_total",
     "Reports refused: a later stream claims the agent's node",
     [](const Reading& r) { return Number(r.streams.superseded); }},
    {"longshore_controller_streams_refused_total", "Streams refused, for whatever reason",
     [](const Reading& r) { return Number(r.streams.refused); }},
    {"longshore_controller_workers_refused_total",
     "Streams refused: of pods that are no backup pods",
     [](const Reading& r) { return Number(r.streams.foreign_workers); }},
    {"longshore_controller_bad_messages_total", "Streams closed for a message",
     [](const Reading& r) { return Number(r.streams.bad_messages); }},
    {"longshore_controller_reconcile_conflicts_total",
     "Keys repeated because somebody else wrote the object first",
     [](const Reading& r) { return Number(r.reconciles.conflicts); }},
    {"longshore_controller_reconcile_errors_total", "Keys that failed and were repeated",
     [](const Reading& r) { return Number(r.reconciles.errors); }},
};

using Gauges = std::map<std::string, metrics::Gauge*>;

Gauges MakeStates(metrics::Registry& registry, const char* name, const char* help,
                  std::span<const char* const> states) {
  Gauges gauges;
  for (const char* state : states) {
    gauges[state] = &registry.MakeGauge(name, help, {{"state", state}});
  }
  return gauges;
}

Gauges MakeResources(metrics::Registry& registry, const char* name, const char* help,
                     const std::map<std::string, CacheAge>& caches) {
  Gauges gauges;
  for (const auto& [resource, age] : caches) {
    gauges[resource] = &registry.MakeGauge(name, help, {{"resource", resource}});
  }
  return gauges;
}

metrics::Gauge& MakeLeases(metrics::Registry& registry, const char* use) {
  return registry.MakeGauge("longshore_controller_leases",
                            "Backup pods that are held: for an operation, or acquired by a storage "
                            "manager that has not named one yet",
                            {{"use", use}});
}

// States that nothing is in now are zero.
void SetAll(const Gauges& gauges, const std::map<std::string, int>& counts) {
  for (const auto& [state, gauge] : gauges) {
    const auto found = counts.find(state);
    gauge->Set(found == counts.end() ? 0 : found->second);
  }
}

}  // namespace

std::map<std::string, CacheAge> CacheAges(const ClusterState& state) {
  std::map<std::string, CacheAge> ages;
  for (const kube::AnyInformer* informer : state.informers()) {
    ages[std::string(informer->resource().plural)] = {informer->staleness(), informer->lag()};
  }
  return ages;
}

ScrapeMetrics::ScrapeMetrics(metrics::Registry& registry,
                             const std::map<std::string, CacheAge>& caches)
    : pods_(MakeStates(registry, "longshore_controller_backup_pods",
                       "Rows of backup pods by state; those that ended are kept a while",
                       kPodStates)),
      operations_(MakeStates(registry, "longshore_controller_operations",
                             "Operations that there are, by state", kOperationStates)),
      cache_age_(MakeResources(registry, "longshore_controller_cache_age_seconds",
                               "Since the watch of a resource last showed life; a quiet one does "
                               "so about once a minute",
                               caches)),
      cache_lag_(MakeResources(registry, "longshore_controller_cache_lag_seconds",
                               "Age of the oldest write of ours that the watch of its resource has "
                               "not shown; 0: it has shown all",
                               caches)),
      leases_working_(MakeLeases(registry, "operation")),
      leases_acquired_(MakeLeases(registry, "acquired")) {
  for (const Row& row : kGauges) gauges_.push_back(&registry.MakeGauge(row.name, row.help));
  for (const Row& row : kTotals) totals_.push_back(&registry.MakeCounter(row.name, row.help));
  for (const char* type : kAnnouncementTypes) {
    announcements_[type] =
        &registry.MakeCounter("longshore_controller_announcements_total",
                              "What the storage manager was told, by type", {{"type", type}});
  }
}

void ScrapeMetrics::Set(const Reading& reading) {
  for (size_t i = 0; i < gauges_.size(); ++i) gauges_[i]->Set(kGauges[i].value(reading));
  for (size_t i = 0; i < totals_.size(); ++i) totals_[i]->Follow(kTotals[i].value(reading));
  SetAll(pods_, reading.census.pods);
  SetAll(operations_, reading.census.operations);
  leases_working_.Set(reading.census.leases_working);
  leases_acquired_.Set(reading.census.leases_acquired);
  for (const auto& [resource, age] : reading.caches) {
    const auto gauge = cache_age_.find(resource);
    if (gauge == cache_age_.end()) continue;
    gauge->second->Set(Seconds(age.silence));
    cache_lag_.at(resource)->Set(Seconds(age.lag));
  }
  for (const auto& [type, counter] : announcements_) {
    const auto found = reading.announcements.find(type);
    if (found != reading.announcements.end()) counter->Follow(Number(found->second));
  }
}

}  // namespace longshore::controller

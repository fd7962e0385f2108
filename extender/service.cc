// SPDX-License-Identifier: Apache-2.0
#include "extender/service.h"

#include <utility>

#include "common/base/log.h"
#include "extender/verdict.h"

namespace longshore::extender {
namespace {

using placement::NodeTable;

// Of one view; a source is located again when it is asked for next.
constexpr size_t kMaxCachedLocations = 1000;

// Of one state of the nodes; there are a few images for each kind of source.
constexpr size_t kMaxImages = 100;

// How long a place under a cap is held for a pod that is never seen bound: longer than a binding
// takes on a slow API server, and short enough for a pod that is gone.
constexpr std::chrono::seconds kHold{30};

}  // namespace

Service::Service(const Cluster& cluster, const PressureSource& pressure, VerdictSink& sink,
                 const Clock& clock, metrics::Registry& registry, ServiceOptions options)
    : cluster_(cluster),
      pressure_(pressure),
      sink_(sink),
      clock_(clock),
      options_(options),
      malformed_log_(clock),
      nodes_passed_(registry.MakeCounter("longshore_extender_nodes_total",
                                         "Nodes judged by filter, by result",
                                         {{"result", "passed"}})),
      nodes_failed_(registry.MakeCounter("longshore_extender_nodes_total",
                                         "Nodes judged by filter, by result",
                                         {{"result", "failed"}})) {
  for (const Verb each : {Verb::kFilter, Verb::kPrioritize}) {
    const std::string verb = VerbName(each);
    const auto counter = [&](const char* outcome) {
      return &registry.MakeCounter("longshore_extender_requests_total",
                                   "Calls of the scheduler, by verb and outcome",
                                   {{"verb", verb}, {"outcome", outcome}});
    };
    counters_[static_cast<int>(each)] = {
        counter("judged"),
        counter("untouched"),
        counter("unknown_source"),
        counter("unsynced"),
        counter("deadline"),
        counter("malformed"),
        &registry.MakeHistogram(
            "longshore_extender_request_seconds", "From the whole body to the whole reply",
            {0.00005, 0.0001, 0.0002, 0.0004, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2},
            {{"verb", verb}})};
  }
}

std::string Service::Filter(std::string body) { return Answer(Verb::kFilter, std::move(body)); }
std::string Service::Prioritize(std::string body) {
  return Answer(Verb::kPrioritize, std::move(body));
}

std::string Service::Answer(Verb verb, std::string body) {
  Decision decision;
  const Counters& counters = counters_[static_cast<int>(verb)];
  const MonotonicTime start = clock_.Monotonic();
  decision.grounds->now = start;
  auto arguments = ReadArguments(body);
  std::string reply;
  if (!arguments.has_value()) {
    counters.malformed->Increment();
    if (const auto left_out = malformed_log_.Admit()) {
      LogWarn(
          "malformed request",
          {{"verb", VerbName(verb)}, {"error", arguments.error().message}, {"leftOut", *left_out}});
    }
    reply = MalformedReply(verb, arguments.error());
  } else {
    decision.arguments = *std::move(arguments);
    if (LeavesOneNode(verb, decision)) {
      ConsiderOneNode(decision);
    } else {
      Consider(verb, decision);
    }
    reply = Reply(verb, std::move(body), decision);
  }
  counters.seconds->Observe(std::chrono::duration<double>(clock_.Monotonic() - start).count());
  return reply;
}

void Service::Consider(Verb verb, Decision& decision) {
  metrics::Counter* no_ground = Prepare(verb, decision);
  if (no_ground != nullptr) {
    no_ground->Increment();
  } else {
    Judge(verb, decision);
  }
}

// One such call after the other, each on a snapshot taken in its turn: a hold that ended because
// its pod is bound in one snapshot must not be missed by a call that counts in an older one.
void Service::ConsiderOneNode(Decision& decision) {
  MutexLock lock(cap_mutex_);
  Consider(Verb::kFilter, decision);
  Grounds& grounds = *decision.grounds;
  if (!grounds.scorer) return;
  const std::string uid(decision.arguments.pod.uid);
  holds_.Release(uid);
  grounds.held = holds_.Others(uid, *grounds.view, grounds.now);
  grounds.can_hold = !holds_.Full();
  ChooseOneNode(decision);
  if (!decision.taken) return;
  Reserve(decision, holds_, kHold);
  Reserve(decision, reservations_, Reservations::kLifetime);
}

metrics::Counter* Service::Prepare(Verb verb, Decision& decision) {
  const Counters& counters = counters_[static_cast<int>(verb)];
  const PodArgument& pod = decision.arguments.pod;
  if (pod.source.empty()) return counters.untouched;
  if (!cluster_.synced()) return counters.not_synced;
  const std::string ns(pod.source_namespace.empty() ? pod.ns : pod.source_namespace);
  const std::string name(pod.source);
  Grounds& grounds = *decision.grounds;
  grounds.view = cluster_.Snapshot();
  grounds.source = cluster_.Source(ns, name);
  if (grounds.source == nullptr) {
    grounds.no_opinion = "source " + ns + "/" + name + " is not known";
    return counters.unknown_source;
  }
  grounds.located = LocationOf(grounds.source, grounds.view, decision.retired);
  grounds.pressure = pressure_.Pressure();
  grounds.demand = DemandOf(pod, *grounds.view);
  grounds.scorer.emplace(*grounds.source, grounds.located->location, grounds.demand);
  return nullptr;
}

void Service::Judge(Verb verb, Decision& decision) {
  const Counters& counters = counters_[static_cast<int>(verb)];
  Grounds& grounds = *decision.grounds;
  const auto& names = decision.arguments.names;
  // A filter that refuses nothing is not worth the scheduler's time: if more than one node is left,
  // it asks for the scores next, and of those there is a verdict.
  const bool refuses = grounds.scorer->required() || !grounds.demand.attached_to.empty() ||
                       grounds.demand.max_backup_pods > 0;
  if (verb == Verb::kFilter && !refuses && names.size() > options_.explained_nodes) {
    counters.judged->Increment();
    return;
  }
  grounds.reserved =
      reservations_.Others(std::string(decision.arguments.pod.uid), *grounds.view, grounds.now);
  grounds.pressure_points = PressureAlong(grounds.pressure, grounds.view->Table());
  grounds.have_image = ImagesAlong(grounds.demand.image, grounds.view->Table());
  // From here on: reading a list of 60 MB takes longer than the deadline, and judging it does not.
  const MonotonicTime deadline = clock_.Monotonic() + options_.deadline;
  JudgeNodes(decision, [&](size_t) { return clock_.Monotonic() >= deadline; });
  (decision.judged == names.size() ? counters.judged : counters.deadline)->Increment();
}

std::string Service::Reply(Verb verb, std::string body, Decision& decision) {
  const Grounds& grounds = *decision.grounds;
  const bool of_ours = grounds.scorer || !grounds.no_opinion.empty();
  // Taken from the body first, which a filter's reply may be made of.
  auto draft = of_ours ? Draft(verb, decision) : nullptr;
  const bool records =
      of_ours && options_.recorder != nullptr && options_.recorder->Wants(body.size());
  std::string kept = records ? body : std::string();
  std::string reply = WriteReply(verb, body, decision);
  if (records) Record(verb, std::move(kept), reply, decision);
  if (grounds.scorer && verb == Verb::kFilter) {
    nodes_failed_.Increment(static_cast<double>(decision.refused));
    nodes_passed_.Increment(
        static_cast<double>(decision.arguments.names.size() - decision.refused));
  }
  if (verb == Verb::kPrioritize && decision.taken) {
    Reserve(decision, reservations_, Reservations::kLifetime);
  }
  if (draft != nullptr) {
    draft->all = std::move(decision.nodes);
    draft->retired = std::move(decision.retired);
    Report(std::move(draft));
  }
  return reply;
}

void Service::Reserve(const Decision& decision, Reservations& where,
                      std::chrono::seconds lifetime) {
  const PodArgument& pod = decision.arguments.pod;
  where.Reserve(std::string(pod.ns), std::string(pod.name), std::string(pod.uid),
                std::string(decision.arguments.names[*decision.taken]), decision.grounds->now,
                lifetime);
}

std::shared_ptr<VerdictDraft> Service::Draft(Verb verb, const Decision& decision) {
  const auto time = clock_.Now().time_since_epoch();
  auto draft =
      std::make_shared<VerdictDraft>(DraftVerdict(verb, decision, options_.explained_nodes));
  draft->verdict.set_time_unix_us(
      std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  draft->verdict.set_snapshot_age_ms(cluster_.age().count());
  return draft;
}

void Service::Report(std::shared_ptr<VerdictDraft> draft) {
  sink_.Record([draft = std::move(draft), calls = options_.calls] {
    draft->retired.reset();
    if (calls != nullptr) calls->Keep(draft);
    return WriteVerdict(*draft);
  });
}

void Service::Record(Verb verb, std::string body, const std::string& reply,
                     const Decision& decision) {
  options_.recorder->Record({.verb = verb,
                             .body = std::move(body),
                             .reply = reply,
                             .grounds = decision.grounds,
                             .judged = decision.judged,
                             .time = clock_.Now(),
                             .snapshot_age = cluster_.age()});
}

std::shared_ptr<const Located> Service::LocationOf(
    const std::shared_ptr<const api::BackupSource>& source,
    const std::shared_ptr<const placement::View>& view,
    std::shared_ptr<const placement::View>& retired) {
  const std::string key = source->metadata.Key();
  {
    MutexLock lock(mutex_);
    if (cached_view_ != view || locations_.size() > kMaxCachedLocations) {
      locations_.clear();
      retired = std::exchange(cached_view_, view);
    }
    const auto found = locations_.find(key);
    if (found != locations_.end() && found->second.source == source) return found->second.located;
  }
  auto located = std::make_shared<Located>();
  located->location = placement::Locate(*source, *view);
  located->tiers = view->Table().Tiers(located->location);
  MutexLock lock(mutex_);
  if (cached_view_ == view) locations_[key] = {source, located};
  return located;
}

// The same for every call of a second or so: while neither the leader's table nor the nodes change.
std::shared_ptr<const std::vector<PressureTable::Points>> Service::PressureAlong(
    const std::shared_ptr<const PressureTable>& pressure, const NodeTable& table) {
  {
    MutexLock lock(mutex_);
    if (aligned_.pressure == pressure && aligned_.order == table.order()) return aligned_.points;
  }
  auto points = std::make_shared<const std::vector<PressureTable::Points>>(pressure->Along(table));
  MutexLock lock(mutex_);
  aligned_ = {pressure, table.order(), points};
  return points;
}

// Nodes' images change when one is pulled or removed: not with each pod.
std::shared_ptr<const std::vector<uint8_t>> Service::ImagesAlong(const std::string& image,
                                                                 const NodeTable& table) {
  if (image.empty()) return nullptr;
  {
    MutexLock lock(mutex_);
    if (images_.images != table.images() || images_.order != table.order() ||
        images_.have.size() > kMaxImages) {
      images_ = {table.images(), table.order(), {}};
    }
    const auto found = images_.have.find(image);
    if (found != images_.have.end()) return found->second;
  }
  auto have = std::make_shared<const std::vector<uint8_t>>(table.HaveImage(image));
  MutexLock lock(mutex_);
  if (images_.images == table.images() && images_.order == table.order()) {
    images_.have[image] = have;
  }
  return have;
}

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
#include "extender/service.h"

#include <algorithm>
#include <array>

#include "common/base/log.h"

namespace longshore::extender {
namespace {

using placement::NodeInfo;
using placement::NodeScore;
using placement::Obstacle;
using placement::Points;
using placement::Scorer;
using placement::Tier;

// How many nodes are judged between two looks at the clock.
constexpr size_t kNodesPerClockCheck = 256;
// Of one view; a source is located again when it is asked for next.
constexpr size_t kMaxCachedLocations = 1000;

struct NodeJudgement {
  const NodeInfo* info = nullptr;  // null: not in the snapshot (just added, or a template)
  Points points;
  int reserved = 0;
  bool judged = false;  // false: the deadline came first
};

// Neither CPU, memory nor readiness is ours to refuse: the scheduler checked them before it asked,
// on newer data. Ours is where the data is.
Outcome OutcomeOf(const NodeJudgement& node, const Scorer& scorer) {
  if (!node.judged) return Outcome::kPassed;
  if (node.points.obstacle == Obstacle::kLocationUnknown) return Outcome::kFailed;
  if (node.points.obstacle != Obstacle::kTooFar) return Outcome::kPassed;
  // Of a node that is not in the snapshot only the name is known.
  const bool by_name = scorer.wanted() == Tier::kNode;
  return node.info != nullptr || by_name ? Outcome::kNever : Outcome::kPassed;
}

// The scheduler's 0..10. Floors, so that the tiers' ranges don't meet: Node 8..10, Rack 6..7, …
int Grade(const NodeJudgement& node, const Scorer& scorer) {
  if (!node.judged || OutcomeOf(node, scorer) != Outcome::kPassed) return 0;
  return node.points.Total() / 10;
}

const char* VerbName(bool filter) { return filter ? "filter" : "prioritize"; }

}  // namespace

struct Service::Judgement {
  Arguments arguments;
  std::shared_ptr<const placement::View> view;
  std::shared_ptr<const api::BackupSource> source;
  std::shared_ptr<const placement::Location> location;
  std::shared_ptr<const PressureTable> pressure;
  placement::PodDemand demand;
  std::optional<Scorer> scorer;
  std::string no_opinion;  // why, if there is no source to judge by
  MonotonicTime now{};
  std::vector<NodeJudgement> nodes;  // parallel to arguments.names
  std::array<std::string, static_cast<size_t>(Tier::kUnknown) + 1> too_far;  // reasons by tier
  std::string location_unknown;
};

Service::Service(const Cluster& cluster, const PressureSource& pressure, VerdictSink& sink,
                 const Clock& clock, metrics::Registry& registry, ServiceOptions options)
    : cluster_(cluster),
      pressure_(pressure),
      sink_(sink),
      clock_(clock),
      options_(options),
      nodes_passed_(registry.MakeCounter("longshore_extender_nodes_total",
                                         "Nodes judged by filter, by result",
                                         {{"result", "passed"}})),
      nodes_failed_(registry.MakeCounter("longshore_extender_nodes_total",
                                         "Nodes judged by filter, by result",
                                         {{"result", "failed"}})) {
  for (const bool filter : {true, false}) {
    const std::string verb = VerbName(filter);
    const auto counter = [&](const char* outcome) {
      return &registry.MakeCounter("longshore_extender_requests_total",
                                   "Calls of the scheduler, by verb and outcome",
                                   {{"verb", verb}, {"outcome", outcome}});
    };
    counters_[filter ? 0 : 1] = {
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

std::string Service::Filter(std::string_view body) { return Answer(Verb::kFilter, body); }
std::string Service::Prioritize(std::string_view body) { return Answer(Verb::kPrioritize, body); }

std::string Service::Answer(Verb verb, std::string_view body) {
  Judgement judgement;
  judgement.now = clock_.Monotonic();
  auto arguments = ReadArguments(body);
  std::string reply;
  if (!arguments.has_value()) {
    reply = Malformed(verb, arguments.error());
  } else {
    judgement.arguments = *std::move(arguments);
    metrics::Counter* no_ground = Prepare(verb, judgement);
    if (no_ground != nullptr) {
      no_ground->Increment();
    } else {
      JudgeNodes(verb, judgement.now + options_.deadline, judgement);
    }
    reply = Reply(verb, judgement);
  }
  counters_[static_cast<int>(verb)].seconds->Observe(
      std::chrono::duration<double>(clock_.Monotonic() - judgement.now).count());
  return reply;
}

std::string Service::Malformed(Verb verb, const Error& error) {
  counters_[static_cast<int>(verb)].malformed->Increment();
  LogWarn("malformed request",
          {{"verb", VerbName(verb == Verb::kFilter)}, {"error", error.message}});
  return verb == Verb::kFilter ? FilterErrorReply("longshore-extender: " + error.message)
                               : NeutralPrioritizeReply();
}

metrics::Counter* Service::Prepare(Verb verb, Judgement& judgement) {
  const Counters& counters = counters_[static_cast<int>(verb)];
  const PodArgument& pod = judgement.arguments.pod;
  if (pod.source.empty()) return counters.untouched;
  if (!cluster_.synced()) return counters.not_synced;
  const std::string ns(pod.source_namespace.empty() ? pod.ns : pod.source_namespace);
  const std::string name(pod.source);
  judgement.view = cluster_.Snapshot();
  judgement.source = cluster_.Source(ns, name);
  if (judgement.source == nullptr) {
    judgement.no_opinion = "source " + ns + "/" + name + " is not known";
    return counters.unknown_source;
  }
  judgement.location = LocationOf(judgement.source, judgement.view);
  judgement.pressure = pressure_.Pressure();
  judgement.demand = {pod.cpu_milli, pod.memory_bytes, {}};
  judgement.scorer.emplace(*judgement.source, *judgement.location, judgement.demand);
  return nullptr;
}

void Service::JudgeNodes(Verb verb, MonotonicTime deadline, Judgement& judgement) {
  const auto& names = judgement.arguments.names;
  const auto reserved = reservations_.Others(std::string(judgement.arguments.pod.uid),
                                             *judgement.view, judgement.now);
  judgement.nodes.resize(names.size());
  NodeInfo bare;
  std::string name;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i % kNodesPerClockCheck == 0 && i > 0 && clock_.Monotonic() >= deadline) {
      counters_[static_cast<int>(verb)].deadline->Increment();
      return;
    }
    NodeJudgement& node = judgement.nodes[i];
    name = names[i];
    node.info = judgement.view->Node(name);
    if (!reserved.empty()) {
      const auto held = reserved.find(name);
      node.reserved = held == reserved.end() ? 0 : held->second;
    }
    if (node.info == nullptr) bare.name = name;
    const NodeInfo& info = node.info == nullptr ? bare : *node.info;
    const auto pressure = judgement.pressure->Of(name, judgement.now);
    node.points = judgement.scorer->Score(info, pressure, node.reserved);
    node.judged = true;
  }
  counters_[static_cast<int>(verb)].judged->Increment();
}

std::string Service::Reply(Verb verb, Judgement& judgement) {
  if (judgement.nodes.empty() && !judgement.scorer) {
    if (!judgement.no_opinion.empty()) Report(verb, judgement);
    return verb == Verb::kFilter ? FilterReply(judgement.arguments, {}) : NeutralPrioritizeReply();
  }
  std::string reply =
      verb == Verb::kFilter ? FilterVerdict(judgement) : PrioritizeVerdict(judgement);
  Report(verb, judgement);
  return reply;
}

std::string Service::FilterVerdict(Judgement& judgement) {
  const std::string required = placement::TierName(judgement.scorer->wanted());
  judgement.location_unknown =
      "longshore: tier " + required +
      " of the data is required, but where the data is, is unknown: " + judgement.location->reason;
  std::vector<NodeOutcome> outcomes(judgement.nodes.size());
  int failed = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const NodeJudgement& node = judgement.nodes[i];
    outcomes[i].outcome = OutcomeOf(node, *judgement.scorer);
    if (outcomes[i].outcome == Outcome::kPassed) continue;
    ++failed;
    if (outcomes[i].outcome == Outcome::kFailed) {
      outcomes[i].reason = judgement.location_unknown;
      continue;
    }
    std::string& reason = judgement.too_far[static_cast<size_t>(node.points.tier)];
    if (reason.empty()) {
      reason = "longshore: tier " + required + " of the data is required, this node is at " +
               placement::TierName(node.points.tier);
    }
    outcomes[i].reason = reason;
  }
  nodes_failed_.Increment(failed);
  nodes_passed_.Increment(static_cast<double>(outcomes.size()) - failed);
  return FilterReply(judgement.arguments, outcomes);
}

std::string Service::PrioritizeVerdict(Judgement& judgement) {
  std::vector<int> grades(judgement.nodes.size());
  size_t best = 0;
  int bests = 0;
  for (size_t i = 0; i < grades.size(); ++i) {
    grades[i] = Grade(judgement.nodes[i], *judgement.scorer);
    if (grades[i] > grades[best] || i == 0) {
      best = i;
      bests = 0;
    }
    if (grades[i] == grades[best]) ++bests;
  }
  // Of equals the scheduler picks any, which spreads by itself; a single best it will surely take.
  if (bests == 1 && grades[best] > 0) {
    const PodArgument& pod = judgement.arguments.pod;
    reservations_.Reserve(std::string(pod.ns), std::string(pod.name), std::string(pod.uid),
                          std::string(judgement.arguments.names[best]), judgement.now);
  }
  return PrioritizeReply(judgement.arguments, grades);
}

// The `count` nodes that are worth showing: passed ones first, best first, in the order offered.
std::vector<size_t> Service::BestFirst(const Judgement& judgement, size_t count) {
  std::vector<std::pair<int, size_t>> order(judgement.nodes.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const NodeJudgement& node = judgement.nodes[i];
    const bool failed = OutcomeOf(node, *judgement.scorer) != Outcome::kPassed;
    order[i] = {(failed ? 1000 : 0) - node.points.Total(), i};
  }
  count = std::min(count, order.size());
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(order.begin(), end, order.end());
  std::vector<size_t> best;
  for (auto shown = order.begin(); shown != end; ++shown) best.push_back(shown->second);
  return best;
}

void Service::ExplainNode(const Judgement& judgement, size_t i, messages::NodeVerdict& verdict) {
  const NodeJudgement& node = judgement.nodes[i];
  NodeInfo bare;
  bare.name = judgement.arguments.names[i];
  const NodeInfo& info = node.info == nullptr ? bare : *node.info;
  const NodeScore score = judgement.scorer->Explain(
      info, judgement.pressure->Of(info.name, judgement.now), node.reserved);
  verdict.set_node(info.name);
  verdict.set_passed(OutcomeOf(node, *judgement.scorer) == Outcome::kPassed);
  verdict.set_score(static_cast<uint32_t>(node.points.Total()));
  verdict.set_tier(placement::TierName(score.tier));
  verdict.set_locality_points(static_cast<uint32_t>(node.points.locality));
  verdict.set_pressure_points(static_cast<uint32_t>(node.points.pressure));
  verdict.set_room_points(static_cast<uint32_t>(node.points.room));
  if (!node.judged) verdict.add_reasons("not judged: the deadline came first");
  if (node.info == nullptr) {
    // All else would be said of a node without room, readiness or labels.
    verdict.add_reasons("the node is not in the snapshot (yet)");
    return;
  }
  for (const std::string& reason : score.reasons) verdict.add_reasons(reason);
}

void Service::Report(Verb verb, const Judgement& judgement) {
  const PodArgument& pod = judgement.arguments.pod;
  const auto time = clock_.Now().time_since_epoch();
  messages::PlacementVerdict verdict;
  verdict.set_pod_namespace(std::string(pod.ns));
  verdict.set_pod_name(std::string(pod.name));
  verdict.set_pod_uid(std::string(pod.uid));
  verdict.set_verb(VerbName(verb == Verb::kFilter));
  verdict.set_time_unix_us(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  verdict.set_snapshot_age_ms(cluster_.age().count());
  verdict.set_nodes_offered(static_cast<uint32_t>(judgement.arguments.names.size()));
  verdict.set_location(judgement.scorer ? judgement.location->reason : judgement.no_opinion);
  if (judgement.scorer) {
    for (const size_t i : BestFirst(judgement, options_.explained_nodes)) {
      ExplainNode(judgement, i, *verdict.add_nodes());
    }
  }
  sink_.Record(std::move(verdict));
}

std::shared_ptr<const placement::Location> Service::LocationOf(
    const std::shared_ptr<const api::BackupSource>& source,
    const std::shared_ptr<const placement::View>& view) {
  const std::string key = source->metadata.Key();
  {
    MutexLock lock(mutex_);
    if (cached_view_ != view || locations_.size() > kMaxCachedLocations) {
      locations_.clear();
      cached_view_ = view;
    }
    const auto found = locations_.find(key);
    if (found != locations_.end() && found->second.source == source) return found->second.location;
  }
  auto location = std::make_shared<const placement::Location>(placement::Locate(*source, *view));
  MutexLock lock(mutex_);
  if (cached_view_ == view) locations_[key] = {source, location};
  return location;
}

}  // namespace longshore::extender

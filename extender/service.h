// SPDX-License-Identifier: Apache-2.0
//
// Makes the verdicts: body in, body out, for both verbs. It reads snapshots only, decides on one of
// each per call, and where it knows nothing it lets the scheduler decide: no opinion is never a
// refusal. Called by server.cc on many threads.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/metrics/registry.h"
#include "extender/inputs.h"
#include "extender/protocol.h"
#include "extender/reservations.h"

namespace longshore::extender {

struct ServiceOptions {
  // For one call, far under the scheduler's httpTimeout: what is not judged by then passes.
  std::chrono::milliseconds deadline{50};
  size_t explained_nodes = 20;  // in each PlacementVerdict
};

class Service {
 public:
  // All borrowed dependencies outlive the service.
  Service(const Cluster& cluster, const PressureSource& pressure, VerdictSink& sink,
          const Clock& clock, metrics::Registry& registry, ServiceOptions options = {});

  // The replies' bodies; the status is always 200, since the scheduler drops any other's body.
  std::string Filter(std::string_view body);
  std::string Prioritize(std::string_view body);

 private:
  enum class Verb { kFilter, kPrioritize };
  struct Judgement;  // all that one call found out
  struct Counters {
    metrics::Counter *judged, *untouched, *unknown_source, *not_synced, *deadline, *malformed;
    metrics::Histogram* seconds;
  };
  struct CachedLocation {
    std::shared_ptr<const api::BackupSource> source;
    std::shared_ptr<const placement::Location> location;
  };

  std::string Answer(Verb verb, std::string_view body);
  std::string Malformed(Verb verb, const Error& error);
  // False: no ground for an opinion, and which counter says so.
  metrics::Counter* Prepare(Verb verb, Judgement& judgement);
  void JudgeNodes(Verb verb, MonotonicTime deadline, Judgement& judgement);
  std::string Reply(Verb verb, Judgement& judgement);
  std::string FilterVerdict(Judgement& judgement);
  std::string PrioritizeVerdict(Judgement& judgement);
  void Report(Verb verb, const Judgement& judgement);
  static std::vector<size_t> BestFirst(const Judgement& judgement, size_t count);
  static void ExplainNode(const Judgement& judgement, size_t i, messages::NodeVerdict& verdict);
  std::shared_ptr<const placement::Location> LocationOf(
      const std::shared_ptr<const api::BackupSource>& source,
      const std::shared_ptr<const placement::View>& view);

  const Cluster& cluster_;
  const PressureSource& pressure_;
  VerdictSink& sink_;
  const Clock& clock_;
  const ServiceOptions options_;
  Counters counters_[2];
  metrics::Counter& nodes_passed_;
  metrics::Counter& nodes_failed_;
  Reservations reservations_;

  // Locations under one view; a new view empties it.
  Mutex mutex_;
  std::shared_ptr<const placement::View> cached_view_ LS_GUARDED_BY(mutex_);
  std::map<std::string, CachedLocation> locations_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::extender

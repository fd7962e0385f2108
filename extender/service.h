// SPDX-License-Identifier: Apache-2.0
//
// Makes the verdicts: body in, body out, for both verbs. It reads snapshots only, decides on one of
// each per call, and where it knows nothing it lets the scheduler decide: no opinion is never a
// refusal. Called by server.cc on many threads.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/log_limit.h"
#include "common/base/mutex.h"
#include "common/metrics/registry.h"
#include "extender/decision.h"
#include "extender/inputs.h"
#include "extender/recorder.h"
#include "extender/verdict_log.h"

namespace longshore::extender {

struct ServiceOptions {
  // For judging the nodes of one call, far under the scheduler's httpTimeout: after that filter
  // lets the rest pass, and prioritize has no opinion.
  std::chrono::milliseconds deadline{50};
  size_t explained_nodes = 20;   // in each PlacementVerdict
  Recorder* recorder = nullptr;  // outlives the service; null: nothing is recorded
  VerdictLog* calls = nullptr;   // outlives the verdicts' sink; null: calls are not kept whole
};

class Service {
 public:
  // All borrowed dependencies outlive the service.
  Service(const Cluster& cluster, const PressureSource& pressure, VerdictSink& sink,
          const Clock& clock, metrics::Registry& registry, ServiceOptions options = {});

  // The replies' bodies; the status is always 200, since the scheduler drops any other's body.
  std::string Filter(std::string body);
  std::string Prioritize(std::string body);

 private:
  struct Counters {
    metrics::Counter *judged, *untouched, *unknown_source, *not_synced, *deadline, *malformed;
    metrics::Histogram* seconds;
  };
  struct CachedLocation {
    std::shared_ptr<const api::BackupSource> source;
    std::shared_ptr<const Located> located;
  };

  std::string Answer(Verb verb, std::string body);
  void Consider(Verb verb, Decision& decision);
  void ConsiderOneNode(Decision& decision);
  // False: no ground for an opinion, and which counter says so.
  metrics::Counter* Prepare(Verb verb, Decision& decision);
  void Judge(Verb verb, Decision& decision);
  std::string Reply(Verb verb, std::string body, Decision& decision);
  static void Reserve(const Decision& decision, Reservations& where, std::chrono::seconds lifetime);
  std::shared_ptr<VerdictDraft> Draft(Verb verb, const Decision& decision);
  void Report(std::shared_ptr<VerdictDraft> draft);
  void Record(Verb verb, std::string body, const std::string& reply, const Decision& decision);
  std::shared_ptr<const Located> LocationOf(const std::shared_ptr<const api::BackupSource>& source,
                                            const std::shared_ptr<const placement::View>& view,
                                            std::shared_ptr<const placement::View>& retired);
  // By place in the table.
  std::shared_ptr<const std::vector<PressureTable::Points>> PressureAlong(
      const std::shared_ptr<const PressureTable>& pressure, const placement::NodeTable& table);

  std::shared_ptr<const std::vector<uint8_t>> ImagesAlong(const std::string& image,
                                                          const placement::NodeTable& table);

  const Cluster& cluster_;
  const PressureSource& pressure_;
  VerdictSink& sink_;
  const Clock& clock_;
  const ServiceOptions options_;
  Counters counters_[2];
  LogRate malformed_log_;
  metrics::Counter& nodes_passed_;
  metrics::Counter& nodes_failed_;
  Reservations reservations_;
  Mutex cap_mutex_;     // before mutex_
  Reservations holds_;  // places under a cap; changed under cap_mutex_ only

  Mutex mutex_;
  // The last one asked for.
  struct AlignedPressure {
    std::shared_ptr<const PressureTable> pressure;
    std::shared_ptr<const void> order;  // of the node table
    std::shared_ptr<const std::vector<PressureTable::Points>> points;
  };
  AlignedPressure aligned_ LS_GUARDED_BY(mutex_);
  // By image, while all nodes have the same images and order.
  struct AlignedImages {
    std::shared_ptr<const void> images, order;
    std::map<std::string, std::shared_ptr<const std::vector<uint8_t>>> have;
  };
  AlignedImages images_ LS_GUARDED_BY(mutex_);
  // Locations under one view; a new view empties it.
  std::shared_ptr<const placement::View> cached_view_ LS_GUARDED_BY(mutex_);
  std::map<std::string, CachedLocation> locations_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::extender

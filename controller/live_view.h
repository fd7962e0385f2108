// SPDX-License-Identifier: Apache-2.0
//
// What the leader knows from its streams and does not write to the API each second: the newest
// usage of each pod, live progress, the extender's verdicts. Read by the storage manager API;
// thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/api/operation.h"
#include "common/placement/ranking.h"
#include "controller/scaling_board.h"

namespace longshore::controller {

struct UsageSample {
  std::string time;                       // RFC 3339 with microseconds, end of the interval
  std::map<std::string, double> signals;  // by api::kSignal…, in the units of scaling::Sample
  int64_t age_ms = 0;
};

struct Verdict {
  std::string time, verb, location;
  int64_t snapshot_age_ms = 0;
  int nodes_offered = 0;
  std::vector<placement::NodeScore> nodes;
};

class LiveView {
 public:
  virtual ~LiveView() = default;
  // The last samples (oldest first, at most `limit`) of a pod, by the Pod's UID.
  virtual std::vector<UsageSample> Usage(const std::string& pod_uid, size_t limit) const = 0;
  // Newer than the Operation's status, if the operation runs on a connected worker.
  virtual std::optional<api::OperationProgress> Progress(const std::string& operation_ns,
                                                         const std::string& operation) const = 0;
  virtual std::vector<Verdict> Verdicts(const std::string& pod_uid) const = 0;
  virtual placement::PressureMap NodePressure() const = 0;
  // Whether the worker of this Pod UID is connected, and when it was last heard (ms; -1 never).
  virtual int64_t WorkerAgeMs(const std::string& pod_uid) const = 0;
  // How the request was last evaluated, and its last decisions; empty: neither by this leader.
  virtual std::optional<ScalingNotes> Scaling(const std::string& request_uid) const = 0;
};

}  // namespace longshore::controller

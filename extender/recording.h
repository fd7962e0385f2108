// SPDX-License-Identifier: Apache-2.0
//
// A call of the scheduler with all that its answer depended on, as a file: a line of JSON, then the
// request's body and the reply's, byte for byte (the line says how long they are). `head -1 FILE`
// is for people and jq. Written by recorder.cc, answered again by replay.cc.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/api/source.h"
#include "common/placement/location.h"
#include "common/placement/ranking.h"
#include "extender/decision.h"
#include "extender/seen_cluster.h"

namespace longshore::extender {

struct NodePressure {
  std::string node;
  placement::Pressure pressure;  // age when the leader's message came
};

struct Recording {
  static constexpr int kFormat = 1;

  std::string version;  // of the extender
  std::string time;     // RFC 3339
  std::string verb;
  std::string pod_namespace, pod_name, pod_uid;
  // Absent: it was not known. Without what placement has no use for (annotations, status).
  std::optional<api::BackupSource> source;
  SeenCluster cluster;
  int64_t snapshot_age_ms = 0;  // since the API server had been heard
  std::vector<NodePressure> pressure;
  int64_t pressure_elapsed_ms = 0;      // since the leader's message
  std::map<std::string, int> reserved;  // by other pods, by node
  // Under a cap: places held by other pods, by node, and whether this one could hold one.
  std::map<std::string, int> held;
  bool can_hold = true;
  int64_t judged = 0;  // nodes; fewer than offered: the deadline came
  std::string body, reply;
};

std::string WriteRecording(const Recording& recording);
// Errors: kInvalidArgument for what is no recording, was cut off, or is of a newer format.
Result<Recording> ReadRecording(std::string_view file);

// What a call leaves behind to be written down: snapshots, and copies of the bytes.
struct RecordedCall {
  Verb verb = Verb::kFilter;
  std::string body, reply;
  std::shared_ptr<const Grounds> grounds;
  size_t judged = 0;
  WallTime time;
  std::chrono::milliseconds snapshot_age{0};
};
Recording MakeRecording(const RecordedCall& call, const std::string& version);

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
//
// What every reconciler works with: made once in main.cc (or a test), borrowed by all. The
// reconcilers run on one thread; everything here may be called from it.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "controller/cluster.h"
#include "controller/event_log.h"
#include "controller/pressure_store.h"
#include "controller/sample_gate.h"
#include "controller/scaling_board.h"
#include "controller/tally.h"
#include "controller/usage_store.h"
#include "controller/verdict_store.h"
#include "controller/worker_table.h"

namespace longshore::controller {

struct Settings {
  // What the workers dial.
  std::string controller_endpoint = "longshore-controller-streams.longshore-system.svc:9443";
  // What signs our certificate, as it is now: put into ConfigMap longshore-ca of each namespace
  // with requests. Called on the reconcile thread.
  std::function<std::string()> ca_pem = [] { return std::string(); };
  // A worker that is silent for so long is no longer offered.
  std::chrono::milliseconds offer_silence{5000};
  // A new leader hears its workers for so long before it calls any of them silent.
  std::chrono::milliseconds leader_grace{10000};
  // So long after a leader has begun, the API servers know, and refuse what earlier ones create.
  std::chrono::milliseconds term_settles{1000};
  // What a Pod may look like while it starts, before its trouble is reported.
  std::chrono::milliseconds trouble_grace{30000};
  // What a node may take for a container (Kubernetes' own default for a Deployment's progress); for
  // so long the crew waits for it before it grows on.
  std::chrono::seconds start_deadline{600};
  // Unbound for so long: another attempt, with more nodes to choose from.
  std::chrono::milliseconds unbound_grace{30000};
  // The same where the scheduler has looked at the nodes, and none would do for so long.
  std::chrono::milliseconds unschedulable_grace{3000};
  // A drained pod that doesn't answer is deleted (gracefully) after this.
  std::chrono::milliseconds drain_silence{60000};
  // A worker that hasn't ended a stuck operation so long after its limit loses its Pod.
  std::chrono::seconds stall_grace{120};
  std::chrono::seconds progress_write_interval{10};
  // Pods are made one in so long, after so many at once.
  std::chrono::milliseconds pod_interval{100};
  int pod_burst = 50;
};

struct Environment {
  Cluster& cluster;
  WorkerTable& workers;
  UsageStore& usage;
  PressureStore& pressure;
  VerdictStore& verdicts;
  ScalingBoard& scaling;
  SampleGate& gate;
  EventLog& events;
  const Clock& clock;
  Settings settings;
  // Puts a key into the work queue, due after the delay: "request/NS/NAME", "pod/NS/NAME",
  // "operation/NS/NAME", "source/NS/NAME".
  std::function<void(const std::string& key, std::chrono::milliseconds delay)> enqueue;
  MonotonicTime started;  // when this leader began to listen
  Tally tally;
  // Whether nobody else can be leading now: while it is false nothing is decided or sent.
  std::function<bool()> leading = [] { return true; };

  std::string NowText() const { return FormatTime(clock.Now()); }
  // How long a new leader still listens before it calls anybody silent; zero: no more.
  std::chrono::milliseconds ListensFor() const {
    const auto left = started + settings.leader_grace - clock.Monotonic();
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(left),
                    std::chrono::milliseconds(0));
  }
  bool Listening() const { return ListensFor().count() > 0; }
  void Wake(const char* kind, const std::string& ns, const std::string& name,
            std::chrono::milliseconds delay = std::chrono::milliseconds(0)) const {
    enqueue(std::string(kind) + "/" + ns + "/" + name, delay);
  }
};

inline constexpr char kRequestKey[] = "request";
inline constexpr char kPodKey[] = "pod";
inline constexpr char kOperationKey[] = "operation";
inline constexpr char kSourceKey[] = "source";

// How long since an RFC 3339 time, by the wall clock; zero when it is empty, unreadable or ahead.
inline std::chrono::nanoseconds Since(const std::string& time, WallTime now) {
  const auto parsed = ParseTime(time);
  if (!parsed || *parsed > now) return std::chrono::nanoseconds(0);
  return now - *parsed;
}

// When to look again without being woken; empty: only when something changes.
using Again = std::optional<std::chrono::milliseconds>;

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// What the node agents measured, by Pod UID: the last minutes of samples, made into rates from
// cumulative counters. Written by the agent hub, read by scaling and the live view. A sample exists
// only where two reports follow each other (report_order.h); resets and gaps make no sample, and
// what an agent cannot measure stays unknown, so that unknown never looks like zero. A pod that an
// incomplete report leaves out is as it was: it gets a sample of zero rates. One that a complete
// report leaves out is unknown from then on.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/messages/agent.pb.h"
#include "common/scaling/samples.h"
#include "controller/report_order.h"

namespace longshore::controller {

using scaling::Sample;
using scaling::Signal;

// What an agent's hello says it cannot measure.
scaling::SignalSet UnknownSignals(const messages::AgentHello& hello);

struct PodSample {
  std::string pod_uid;
  Sample sample;
};

// Thread-safe.
class UsageStore {
 public:
  // `kept`: how far back the samples of each pod reach, unless Keep asks for more.
  explicit UsageStore(const Clock& clock, std::chrono::seconds kept = std::chrono::seconds(40));

  // Takes a report of the node's agent. Returns the pods that got a sample, and that.
  std::vector<PodSample> Add(const AgentStream& from, const messages::UsageReport& report);

  // Oldest first; at most those of the last `span`.
  std::vector<Sample> Last(const std::string& pod_uid, std::chrono::nanoseconds span) const;
  // The newest ones, at most so many; oldest first.
  std::vector<Sample> Newest(const std::string& pod_uid, size_t limit) const;
  // From now on the pod's samples of the last `span` are kept; replaces what was asked before. A
  // minute of a pod takes 4.4 KB. Of a pod that has not been reported yet: nothing happens.
  void Keep(const std::string& pod_uid, std::chrono::seconds span);
  // Frees pods and nodes that nobody has reported for a while. Called now and then.
  void Sweep();
  size_t pods() const;

 private:
  struct Counters {
    uint64_t cpu_ns = 0, read_bytes = 0, write_bytes = 0, io_operations = 0, network_bytes = 0;
    uint64_t throttled_ns = 0;
    uint64_t io_done = 0, io_ns = 0;  // completed on all devices, and the time they took
    bool has_pressure = false;
    uint64_t cpu_some_us = 0, io_some_us = 0, memory_some_us = 0;
    uint64_t working_set_bytes = 0;  // a gauge
  };
  static Counters Read(const messages::Usage& usage);
  static bool BeganAnew(const Counters& before, const Counters& now);
  static void Fill(Sample& sample, const Counters& before, const Counters& now,
                   const scaling::SignalSet& unknown);
  struct Pod {
    std::string node;
    std::optional<Counters> last;  // nothing: no sample can be made with the next report
    uint64_t report = 0;           // the number of the last one that named it
    MonotonicTime heard;
    std::chrono::seconds kept;
    std::deque<Sample> samples;
  };
  struct Node {
    ReportOrder order;
    std::set<std::string> pods;  // whose last counters are known
    MonotonicTime heard;
  };
  // What one report is added with.
  struct Taken {
    const AgentStream& from;
    ReportOrder::Verdict verdict;
    Node& node;
    WallTime end;
  };
  Pod& PodOf(const std::string& uid) LS_REQUIRES(mutex_);
  // Null: the report makes no sample of it.
  const Sample* AddPod(const Taken& taken, const std::string& uid, Pod& pod, const Counters& now)
      LS_REQUIRES(mutex_);
  // Those of the node that the newest report does not name.
  void AddAbsent(const Taken& taken, bool complete, std::vector<PodSample>& sampled)
      LS_REQUIRES(mutex_);
  void Forget(Node& node, const std::string& uid) LS_REQUIRES(mutex_);

  const Clock& clock_;
  const std::chrono::seconds kept_;
  mutable Mutex mutex_;
  uint64_t reports_ LS_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, Pod> pods_ LS_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Node> nodes_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// What the node agents measured, by Pod UID: the last minutes of samples, made into rates from
// cumulative counters. Written by the agent hub, read by scaling and the live view. A sample exists
// only where two reports follow each other (report_order.h); resets and gaps make no sample, so
// that unknown never looks like zero. A pod that an incomplete report leaves out is as it was: it
// gets a sample of zero rates. One that a complete report leaves out is unknown from then on.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/messages/agent.pb.h"
#include "controller/report_order.h"

namespace longshore::controller {

enum class Signal { kCpu, kMemory, kReadBytes, kWriteBytes };
inline constexpr size_t kSignals = 4;
// By api::kSignal…; empty for a name that nobody measures.
std::optional<Signal> SignalByName(const std::string& name);
const char* SignalName(Signal signal);

struct Sample {
  MonotonicTime received;  // when it was made, by our clock: what freshness is judged by
  WallTime end;            // end of the interval, by the agent's clock
  std::chrono::nanoseconds length{0};
  // millicores; bytes; bytes per second (twice). Never NaN, never negative.
  std::array<double, kSignals> values{};

  double value(Signal signal) const { return values[static_cast<size_t>(signal)]; }
};

// Thread-safe.
class UsageStore {
 public:
  explicit UsageStore(const Clock& clock, std::chrono::seconds kept = std::chrono::minutes(5));

  // Takes a report of the node's agent. Returns the UIDs that got a sample.
  std::vector<std::string> Add(const AgentStream& from, const messages::UsageReport& report);

  // Oldest first; at most those of the last `span`.
  std::vector<Sample> Last(const std::string& pod_uid, std::chrono::nanoseconds span) const;
  // How long `kept` has to be for idle windows; grows only.
  void KeepAtLeast(std::chrono::seconds span);
  // Frees pods that nobody has reported for twice the kept span. Called now and then.
  void Sweep();
  size_t pods() const;

 private:
  struct Counters {
    uint64_t cpu_ns = 0, read_bytes = 0, write_bytes = 0;
    uint64_t working_set_bytes = 0;  // a gauge
  };
  struct Pod {
    std::string node;
    std::optional<Counters> last;  // nothing: no sample can be made with the next report
    MonotonicTime heard;
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
  bool AddPod(const Taken& taken, const std::string& uid, const Counters& now) LS_REQUIRES(mutex_);
  void AddAbsent(const Taken& taken, const std::set<std::string>& present, bool complete,
                 std::vector<std::string>& sampled) LS_REQUIRES(mutex_);
  void Forget(Node& node, const std::string& uid) LS_REQUIRES(mutex_);

  const Clock& clock_;
  mutable Mutex mutex_;
  std::chrono::seconds kept_ LS_GUARDED_BY(mutex_);
  std::map<std::string, Pod> pods_ LS_GUARDED_BY(mutex_);
  std::map<std::string, Node> nodes_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// What the node agents measured, by Pod UID: the last minutes of samples, made into rates from
// cumulative counters. Written by the agent hub, read by scaling and the live view. A sample exists
// only where two reports of one agent epoch follow each other; resets and gaps make no sample, so
// that unknown never looks like zero.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/messages/agent.pb.h"

namespace longshore::controller {

enum class Signal { kCpu, kMemory, kReadBytes, kWriteBytes };
inline constexpr size_t kSignals = 4;
// By api::kSignal…; empty for a name that nobody measures.
std::optional<Signal> SignalByName(const std::string& name);
const char* SignalName(Signal signal);

struct Sample {
  MonotonicTime received;  // by our clock: what freshness is judged by
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

  // Takes a report of the node's agent; `epoch` is from its hello. Returns the UIDs that got a
  // sample. A report that repeats or goes back in time is ignored.
  std::vector<std::string> Add(const std::string& node, const std::string& epoch,
                               const messages::UsageReport& report);

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
  };
  struct Pod {
    std::string node, epoch;
    int64_t interval_end_ns = 0;
    Counters last;
    MonotonicTime heard;
    std::deque<Sample> samples;
  };
  bool AddPod(const std::string& node, const std::string& epoch,
              const messages::UsageReport& report, const messages::PodCounters& counters)
      LS_REQUIRES(mutex_);

  const Clock& clock_;
  mutable Mutex mutex_;
  std::chrono::seconds kept_ LS_GUARDED_BY(mutex_);
  std::map<std::string, Pod> pods_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller

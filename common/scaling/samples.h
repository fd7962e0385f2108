// SPDX-License-Identifier: Apache-2.0
//
// What scaling looks at: the signals by name, and one sample of them. Made by the controller's
// usage store from the node agents' reports, and read from a recorded trace.
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <limits>
#include <optional>
#include <string>

#include "common/base/clock.h"

namespace longshore::scaling {

// Read and write operations, and bytes received and sent, together; pressure is the kernel's
// "some": the share of time in which at least one task stalled.
enum class Signal {
  kCpu,            // millicores
  kMemory,         // bytes
  kReadBytes,      // a second, of block I/O
  kWriteBytes,     // a second, of block I/O
  kIoOperations,   // a second, of block I/O
  kNetworkBytes,   // a second
  kIoLatency,      // milliseconds from request to completion, mean of the interval
  kCpuThrottling,  // percent of the time
  kCpuPressure,    // percent of the time
  kIoPressure,     // percent of the time
  kMemoryPressure  // percent of the time
};
inline constexpr size_t kSignals = 11;
using SignalSet = std::bitset<kSignals>;  // by Signal

// By api::kSignal…; empty for a name that nobody measures.
std::optional<Signal> SignalByName(const std::string& name);
const char* SignalName(Signal signal);
// Whether its thresholds are percentages of the time.
bool IsTimeShare(Signal signal);
// Whether pods that share the load evenly each show their share of it: cpu and what is counted a
// second. Memory, latencies and shares of the time are what they are, however many pods there are.
bool IsDivided(Signal signal);
// As thresholds are written: "412m", "31457280", "20m" (of a second), "35%".
std::string FormatSignal(Signal signal, double value);

struct Sample {
  static constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  static constexpr std::array<float, kSignals> AllUnknown() {
    std::array<float, kSignals> all{};
    all.fill(kUnknown);
    return all;
  }

  MonotonicTime received;  // when it was made, by our clock: what freshness is judged by
  WallTime end;            // end of the interval, by the agent's clock
  std::chrono::nanoseconds length{0};
  // Single precision: there are millions of them, and seven digits are more than anybody measures.
  std::array<float, kSignals> values = AllUnknown();

  // Empty where it is unknown, and where it is nothing that can be measured (negative, infinite).
  std::optional<double> value(Signal signal) const;
  void set(Signal signal, double value) {
    values[static_cast<size_t>(signal)] = static_cast<float>(value);
  }
};

}  // namespace longshore::scaling

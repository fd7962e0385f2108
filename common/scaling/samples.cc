// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/samples.h"

#include <cmath>

#include "common/api/request.h"

namespace longshore::scaling {
namespace {

constexpr const char* kNames[kSignals] = {
    api::kSignalCpu,        api::kSignalMemory,        api::kSignalReadBytes,
    api::kSignalWriteBytes, api::kSignalIoOperations,  api::kSignalNetworkBytes,
    api::kSignalIoLatency,  api::kSignalCpuThrottling, api::kSignalCpuPressure,
    api::kSignalIoPressure, api::kSignalMemoryPressure};

}  // namespace

std::optional<Signal> SignalByName(const std::string& name) {
  for (size_t i = 0; i < kSignals; ++i) {
    if (name == kNames[i]) return static_cast<Signal>(i);
  }
  return std::nullopt;
}

const char* SignalName(Signal signal) { return kNames[static_cast<size_t>(signal)]; }

bool IsTimeShare(Signal signal) {
  return signal == Signal::kCpuThrottling || signal == Signal::kCpuPressure ||
         signal == Signal::kIoPressure || signal == Signal::kMemoryPressure;
}

bool IsDivided(Signal signal) {
  return signal != Signal::kMemory && signal != Signal::kIoLatency && !IsTimeShare(signal);
}

std::string FormatSignal(Signal signal, double value) {
  const std::string number = std::to_string(std::llround(value));
  if (signal == Signal::kCpu) return number + "m";
  if (signal == Signal::kIoLatency) return number + "m";
  return IsTimeShare(signal) ? number + "%" : number;
}

std::optional<double> Sample::value(Signal signal) const {
  const double value = values[static_cast<size_t>(signal)];
  if (!std::isfinite(value) || value < 0) return std::nullopt;
  return value;
}

}  // namespace longshore::scaling

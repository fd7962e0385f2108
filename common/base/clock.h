// SPDX-License-Identifier: Apache-2.0
//
// Time comes in through this interface, so that tests decide what time it is. Durations are
// measured with the monotonic clock only; wall time is for people and for deadlines.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace longshore {

using WallTime = std::chrono::system_clock::time_point;
using MonotonicTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;
  virtual MonotonicTime Monotonic() const = 0;

  // The machine's clock. Thread-safe; lives for ever.
  static const Clock& Real();
};

// By the machine's monotonic clock.
inline double SecondsSince(MonotonicTime start) {
  return std::chrono::duration<double>(Clock::Real().Monotonic() - start).count();
}

// RFC 3339 in UTC with microseconds, e.g. "2026-11-23T01:02:03.000004Z" (Kubernetes MicroTime).
std::string FormatTime(WallTime time);
// RFC 3339 in UTC with whole seconds (Kubernetes Time).
std::string FormatTimeSeconds(WallTime time);
// Accepts both, with "Z" or a numeric offset. Errors: kInvalidArgument.
Result<WallTime> ParseTime(std::string_view text);
// "1.2s", "3m05s", "2h10m": for people.
std::string FormatDuration(std::chrono::nanoseconds duration);

}  // namespace longshore

// SPDX-License-Identifier: Apache-2.0
//
// A clock that stands still until a test moves it. Thread-safe.
#pragma once

#include <atomic>

#include "common/base/clock.h"

namespace longshore {

class FakeClock : public Clock {
 public:
  // Both clocks begin at a round instant: 2026-11-23T01:02:03Z, and one day of uptime.
  WallTime Now() const override {
    return WallTime(std::chrono::seconds(1795395723)) + std::chrono::nanoseconds(passed_.load());
  }
  MonotonicTime Monotonic() const override {
    return MonotonicTime(std::chrono::hours(24)) + std::chrono::nanoseconds(passed_.load());
  }
  void Advance(std::chrono::nanoseconds by) { passed_ += by.count(); }

 private:
  std::atomic<int64_t> passed_{0};
};

}  // namespace longshore

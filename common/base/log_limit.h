// SPDX-License-Identifier: Apache-2.0
//
// For log lines that somebody else can cause as often as he likes. LogLimit: the first of its kind
// is logged at once, its equals are counted and told once in a while. LogRate: a few are logged at
// once, then one in a while; for where nobody comes by to tell what was held.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace longshore {

// Thread-safe.
class LogLimit {
 public:
  explicit LogLimit(const Clock& clock = Clock::Real(),
                    std::chrono::seconds interval = std::chrono::seconds(10), size_t kinds = 64)
      : clock_(clock), interval_(interval), most_kinds_(kinds) {}

  // Whether to log this one; if not, it is counted. What is of more kinds than are kept apart is
  // one kind, with an empty name.
  bool Admit(const std::string& kind);

  struct Repeated {
    std::string kind;
    uint64_t times = 0;  // since it was logged last
  };
  // What is to be logged now. Call it about once a second.
  std::vector<Repeated> TakeDue();

 private:
  struct Kind {
    MonotonicTime due;
    uint64_t held = 0;
  };
  const Clock& clock_;
  const std::chrono::seconds interval_;
  const size_t most_kinds_;
  Mutex mutex_;
  std::map<std::string, Kind> kinds_ LS_GUARDED_BY(mutex_);
};

//   if (const auto left_out = rate_.Admit()) LogWarn("…", {…, {"leftOut", *left_out}});
//
// Thread-safe.
class LogRate {
 public:
  // `burst` lines at once, and another with each interval.
  explicit LogRate(const Clock& clock = Clock::Real(), int burst = 10,
                   std::chrono::seconds interval = std::chrono::seconds(10))
      : clock_(clock), burst_(burst), interval_(interval) {}

  // How many lines were left out since the last; empty: leave this one out, too.
  std::optional<uint64_t> Admit();

 private:
  const Clock& clock_;
  const int burst_;
  const std::chrono::seconds interval_;
  Mutex mutex_;
  // When as many intervals are over as lines were logged.
  MonotonicTime paid_ LS_GUARDED_BY(mutex_);
  uint64_t left_out_ LS_GUARDED_BY(mutex_) = 0;
};

}  // namespace longshore

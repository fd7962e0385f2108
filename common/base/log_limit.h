// SPDX-License-Identifier: Apache-2.0
//
// For log lines that somebody else can cause as often as he likes: the first of its kind is logged
// at once, its equals are counted and told once in a while.
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

}  // namespace longshore

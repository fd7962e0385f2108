// SPDX-License-Identifier: Apache-2.0
#include "common/base/log_limit.h"

#include <algorithm>
#include <utility>

namespace longshore {

bool LogLimit::Admit(const std::string& kind) {
  const MonotonicTime now = clock_.Monotonic();
  MutexLock lock(mutex_);
  const bool apart = kinds_.size() < most_kinds_ || kinds_.contains(kind);
  const auto [entry, added] = kinds_.try_emplace(apart ? kind : "", Kind{now + interval_});
  if (!added) ++entry->second.held;
  return added;
}

std::vector<LogLimit::Repeated> LogLimit::TakeDue() {
  const MonotonicTime now = clock_.Monotonic();
  std::vector<Repeated> due;
  MutexLock lock(mutex_);
  for (auto entry = kinds_.begin(); entry != kinds_.end();) {
    if (now < entry->second.due) {
      ++entry;
    } else if (entry->second.held == 0) {
      entry = kinds_.erase(entry);
    } else {
      due.push_back({entry->first, entry->second.held});
      (entry++)->second = {now + interval_, 0};
    }
  }
  return due;
}

std::optional<uint64_t> LogRate::Admit() {
  const MonotonicTime now = clock_.Monotonic();
  MutexLock lock(mutex_);
  if (paid_ > now + (burst_ - 1) * interval_) {
    ++left_out_;
    return std::nullopt;
  }
  paid_ = std::max(paid_, now) + interval_;
  return std::exchange(left_out_, 0);
}

}  // namespace longshore

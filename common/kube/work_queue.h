// SPDX-License-Identifier: Apache-2.0
//
// The controller's queue of object keys: each key at most once, delayed adds, exponential back-off
// per key with jitter. A key handed out is not handed out again before Done.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace longshore::kube {

class WorkQueue {
 public:
  // The same seed gives the same back-offs, for tests that replay; empty: each queue its own.
  explicit WorkQueue(const Clock& clock = Clock::Real(),
                     std::chrono::milliseconds base_backoff = std::chrono::milliseconds(50),
                     std::chrono::milliseconds max_backoff = std::chrono::seconds(60),
                     std::optional<uint32_t> seed = std::nullopt);

  void Add(const std::string& key);
  // Due after `delay`; an earlier due time of the same key stays.
  void AddAfter(const std::string& key, std::chrono::milliseconds delay);
  // Due after this key's back-off, which doubles each time until Forget.
  void AddRateLimited(const std::string& key);
  void Forget(const std::string& key);

  // The next due key; waits up to `timeout`. Empty: timed out or shut down.
  std::optional<std::string> Get(std::chrono::milliseconds timeout);
  void Done(const std::string& key);
  void ShutDown();
  // Keys that wait, those with a delay included; not those handed out.
  size_t size() const;
  struct Depth {
    size_t keys = 0;                   // as size()
    size_t due = 0;                    // those whose time has come
    std::chrono::nanoseconds late{0};  // since when the first of them could have been handed out
  };
  Depth depth() const;  // thread-safe, like all of it; takes as long as keys are due

 private:
  // From half of the delay to all of it, so that keys that failed together don't return together.
  std::chrono::milliseconds Jittered(std::chrono::milliseconds delay) LS_REQUIRES(mutex_);
  void Queue(const std::string& key, MonotonicTime due) LS_REQUIRES(mutex_);

  const Clock& clock_;
  const std::chrono::milliseconds base_backoff_, max_backoff_;
  mutable Mutex mutex_;
  mutable ConditionVariable changed_;
  std::map<std::string, MonotonicTime> due_ LS_GUARDED_BY(mutex_);
  // The same, by due time: the next key without a search.
  std::set<std::pair<MonotonicTime, std::string>> order_ LS_GUARDED_BY(mutex_);
  std::set<std::string> processing_ LS_GUARDED_BY(mutex_);
  std::map<std::string, MonotonicTime> again_ LS_GUARDED_BY(mutex_);  // added while processing
  std::map<std::string, int> failures_ LS_GUARDED_BY(mutex_);
  std::minstd_rand random_ LS_GUARDED_BY(mutex_);
  bool shut_down_ LS_GUARDED_BY(mutex_) = false;
};

}  // namespace longshore::kube

// SPDX-License-Identifier: Apache-2.0
#include "common/kube/work_queue.h"

#include <algorithm>

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;

}  // namespace

WorkQueue::WorkQueue(const Clock& clock, milliseconds base_backoff, milliseconds max_backoff,
                     std::optional<uint32_t> seed)
    : clock_(clock),
      base_backoff_(base_backoff),
      max_backoff_(max_backoff),
      random_(seed ? *seed : std::random_device{}()) {}

milliseconds WorkQueue::Jittered(milliseconds delay) {
  return milliseconds(
      std::uniform_int_distribution<int64_t>(delay.count() / 2, delay.count())(random_));
}

void WorkQueue::Add(const std::string& key) { AddAfter(key, milliseconds(0)); }

void WorkQueue::AddAfter(const std::string& key, milliseconds delay) {
  MutexLock lock(mutex_);
  if (shut_down_) return;
  const MonotonicTime due = clock_.Monotonic() + std::max(delay, milliseconds(0));
  if (processing_.contains(key)) {
    const auto [again, added] = again_.emplace(key, due);
    if (!added) again->second = std::min(again->second, due);
    return;
  }
  Queue(key, due);
}

void WorkQueue::Queue(const std::string& key, MonotonicTime due) {
  const auto [found, added] = due_.emplace(key, due);
  if (!added) {
    if (found->second <= due) return;
    order_.erase({found->second, key});
    found->second = due;
  }
  order_.emplace(due, key);
  changed_.notify_one();
}

void WorkQueue::AddRateLimited(const std::string& key) {
  milliseconds delay{};
  {
    MutexLock lock(mutex_);
    const int failures = failures_[key]++;
    delay =
        Jittered(failures < 20 ? std::min(max_backoff_, base_backoff_ * (int64_t{1} << failures))
                               : max_backoff_);
  }
  AddAfter(key, delay);
}

void WorkQueue::Forget(const std::string& key) {
  MutexLock lock(mutex_);
  failures_.erase(key);
}

std::optional<std::string> WorkQueue::Get(milliseconds timeout) {
  // The time-out is real time: a test's clock stands still while this waits.
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(mutex_);
  for (;;) {
    if (shut_down_) return std::nullopt;
    const MonotonicTime now = clock_.Monotonic();
    if (!order_.empty() && order_.begin()->first <= now) {
      std::string key = order_.begin()->second;
      order_.erase(order_.begin());
      due_.erase(key);
      processing_.insert(key);
      return key;
    }
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) return std::nullopt;
    const auto next = order_.empty() ? left : order_.begin()->first - now;
    changed_.wait_for(mutex_, std::min<std::chrono::nanoseconds>(left, next));
  }
}

void WorkQueue::Done(const std::string& key) {
  MutexLock lock(mutex_);
  processing_.erase(key);
  const auto again = again_.find(key);
  if (again == again_.end()) return;
  const MonotonicTime due = again->second;
  again_.erase(again);
  if (!shut_down_) Queue(key, due);
}

void WorkQueue::ShutDown() {
  MutexLock lock(mutex_);
  shut_down_ = true;
  changed_.notify_all();
}

size_t WorkQueue::size() const {
  MutexLock lock(mutex_);
  return due_.size();
}

WorkQueue::Depth WorkQueue::depth() const {
  MutexLock lock(mutex_);
  const MonotonicTime now = clock_.Monotonic();
  Depth depth{.keys = due_.size()};
  for (const auto& [due, key] : order_) {
    if (due > now) break;
    if (depth.due++ == 0) depth.late = now - due;
  }
  return depth;
}

}  // namespace longshore::kube

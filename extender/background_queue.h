// SPDX-License-Identifier: Apache-2.0
//
// Does on a thread of its own what kube-scheduler shall not wait for, within 50 ms or so. Bounded:
// when more comes than can be done, the oldest undone is dropped and counted. Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "common/base/mutex.h"
#include "common/metrics/registry.h"

namespace longshore::extender {

class BackgroundQueue {
 public:
  using Task = std::function<void()>;

  // The counter outlives the queue.
  BackgroundQueue(metrics::Counter& dropped, size_t capacity);
  // Does what is queued.
  ~BackgroundQueue();

  void Add(Task task) LS_EXCLUDES(mutex_);
  // Waits until all that was added before is done.
  void Flush() LS_EXCLUDES(mutex_);

 private:
  void Work() LS_EXCLUDES(mutex_);
  bool Take(std::deque<Task>& taken) LS_EXCLUDES(mutex_);

  const size_t capacity_;
  metrics::Counter& dropped_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Task> queue_ LS_GUARDED_BY(mutex_);
  // Of all tasks ever added: those that no longer wait.
  uint64_t added_ LS_GUARDED_BY(mutex_) = 0, done_ LS_GUARDED_BY(mutex_) = 0;
  int waiting_ LS_GUARDED_BY(mutex_) = 0;  // in Flush
  bool stopping_ LS_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace longshore::extender

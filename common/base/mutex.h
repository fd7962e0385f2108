// SPDX-License-Identifier: Apache-2.0
//
// std::mutex with the annotations that clang's -Wthread-safety needs (libstdc++ carries none), and
// Published<T>: how a writer hands an immutable snapshot to many readers.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#if defined(__clang__)
#define LS_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define LS_THREAD_ANNOTATION(x)
#endif
#define LS_CAPABILITY(x) LS_THREAD_ANNOTATION(capability(x))
#define LS_SCOPED_CAPABILITY LS_THREAD_ANNOTATION(scoped_lockable)
#define LS_GUARDED_BY(x) LS_THREAD_ANNOTATION(guarded_by(x))
#define LS_REQUIRES(...) LS_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define LS_EXCLUDES(...) LS_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define LS_ACQUIRE(...) LS_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define LS_RELEASE(...) LS_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define LS_NO_THREAD_SAFETY_ANALYSIS LS_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace longshore {

class LS_CAPABILITY("mutex") Mutex {
 public:
  void lock() LS_ACQUIRE() { mutex_.lock(); }
  void unlock() LS_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class LS_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LS_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() LS_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with a Mutex held through MutexLock: condition.wait(mutex), in a loop on the predicate.
using ConditionVariable = std::condition_variable_any;

// A snapshot with one writer and many readers. Readers copy the pointer under a lock held for that
// copy only (std::atomic<std::shared_ptr> of g++ 12 is reported by ThreadSanitizer).
template <class T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> initial = std::make_shared<const T>())
      : value_(std::move(initial)) {}

  std::shared_ptr<const T> Get() const LS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return value_;
  }
  void Set(std::shared_ptr<const T> value) LS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    value_.swap(value);  // the old snapshot is freed after the lock
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const T> value_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore

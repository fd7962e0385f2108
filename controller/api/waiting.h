// SPDX-License-Identifier: Apache-2.0
//
// For handlers that wait: a signal that something changed, a bound on how many wait at once (each
// holds a connection's thread), and one-at-a-time per idempotency key.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace longshore::controller {

// Thread-safe.
class ChangeSignal {
 public:
  uint64_t version() const LS_EXCLUDES(mutex_);
  void Notify() LS_EXCLUDES(mutex_);
  // Waits until the version differs from `seen`, `timeout` passes, or Close(). False: timed out or
  // closed.
  bool Wait(uint64_t seen, std::chrono::milliseconds timeout) const LS_EXCLUDES(mutex_);
  // Every present and later Wait returns at once.
  void Close() LS_EXCLUDES(mutex_);
  bool closed() const LS_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  mutable ConditionVariable changed_;
  uint64_t version_ LS_GUARDED_BY(mutex_) = 1;
  bool closed_ LS_GUARDED_BY(mutex_) = false;
};

// At most `limit` holders at once, and at most half of them the same user: whoever waits most keeps
// nobody else from waiting. Thread-safe; outlives its tickets.
class WaitSlots {
 public:
  explicit WaitSlots(int limit) : limit_(limit), limit_of_one_(std::max(1, limit / 2)) {}

  class Ticket {
   public:
    Ticket(WaitSlots* slots, std::string user) : slots_(slots), user_(std::move(user)) {}
    Ticket(Ticket&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), user_(std::move(other.user_)) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (slots_ != nullptr) slots_->Leave(user_);
    }
    explicit operator bool() const { return slots_ != nullptr; }

   private:
    WaitSlots* slots_;
    std::string user_;
  };
  // False when all slots, or all of this user's, are taken.
  Ticket TryEnter(const std::string& user) LS_EXCLUDES(mutex_);

 private:
  void Leave(const std::string& user) LS_EXCLUDES(mutex_);
  const int limit_, limit_of_one_;
  Mutex mutex_;
  int inside_ LS_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> by_user_ LS_GUARDED_BY(mutex_);
};

// Lets one caller per key through: a retry that overlaps its first try waits for that one's result
// instead of doing the work twice. Thread-safe.
class KeyGate {
 public:
  // True: entered, call Leave(key) afterwards. False: another one still holds the key.
  bool Enter(const std::string& key, std::chrono::milliseconds timeout) LS_EXCLUDES(mutex_);
  void Leave(const std::string& key) LS_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  ConditionVariable left_;
  std::set<std::string> inside_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller

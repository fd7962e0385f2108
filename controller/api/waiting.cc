// SPDX-License-Identifier: Apache-2.0
#include "controller/api/waiting.h"

namespace longshore::controller {

uint64_t ChangeSignal::version() const {
  MutexLock lock(mutex_);
  return version_;
}

void ChangeSignal::Notify() {
  {
    MutexLock lock(mutex_);
    ++version_;
  }
  changed_.notify_all();
}

bool ChangeSignal::Wait(uint64_t seen, std::chrono::milliseconds timeout) const {
  const auto until = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(mutex_);
  while (version_ == seen && !closed_) {
    if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) break;
  }
  return version_ != seen && !closed_;
}

void ChangeSignal::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

bool ChangeSignal::closed() const {
  MutexLock lock(mutex_);
  return closed_;
}

WaitSlots::Ticket WaitSlots::TryEnter(const std::string& user) {
  MutexLock lock(mutex_);
  const auto own = by_user_.find(user);
  const bool enough = own != by_user_.end() && own->second >= limit_of_one_;
  if (inside_ >= limit_ || enough) return {nullptr, ""};
  ++inside_;
  ++by_user_[user];
  return {this, user};
}

void WaitSlots::Leave(const std::string& user) {
  MutexLock lock(mutex_);
  --inside_;
  const auto own = by_user_.find(user);
  if (--own->second == 0) by_user_.erase(own);
}

bool KeyGate::Enter(const std::string& key, std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(mutex_);
  while (inside_.contains(key)) {
    if (left_.wait_until(mutex_, until) == std::cv_status::timeout) break;
  }
  return inside_.insert(key).second;
}

void KeyGate::Leave(const std::string& key) {
  {
    MutexLock lock(mutex_);
    inside_.erase(key);
  }
  left_.notify_all();
}

}  // namespace longshore::controller

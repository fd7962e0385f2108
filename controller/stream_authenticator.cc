// SPDX-License-Identifier: Apache-2.0
#include "controller/stream_authenticator.h"

#include "common/base/strings.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kKept{30};
constexpr size_t kMostWaiting = 4096;
constexpr size_t kMostKnown = 20000;

}  // namespace

StreamAuthenticator::StreamAuthenticator(Review review, const Clock& clock, size_t threads)
    : review_(std::move(review)), clock_(clock) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { Work(stop); });
  }
}

StreamAuthenticator::~StreamAuthenticator() { Stop(); }

void StreamAuthenticator::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  wake_.notify_all();
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  std::deque<Waiting> left;
  {
    MutexLock lock(mutex_);
    left.swap(waiting_);
  }
  for (const Waiting& one : left) one.done(Unavailable("the controller stops"));
}

void StreamAuthenticator::Authenticate(const std::string& token, Done done) {
  const std::string key = Sha256Hex(token);  // a token is never kept
  std::optional<kube::UserInfo> user;
  bool full = false;
  {
    MutexLock lock(mutex_);
    const auto found = known_.find(key);
    if (found != known_.end() && found->second.until > clock_.Monotonic()) {
      user = found->second.user;
    } else if (waiting_.size() >= kMostWaiting) {
      full = true;
    } else {
      waiting_.push_back({token, done});
    }
  }
  if (user) return done(*user);
  if (full) return done(Unavailable("too many tokens wait for their review"));
  wake_.notify_one();
}

void StreamAuthenticator::Work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    Waiting one;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stop.stop_requested()) {
        wake_.wait_for(mutex_, std::chrono::milliseconds(500));
      }
      if (stop.stop_requested()) return;
      one = std::move(waiting_.front());
      waiting_.pop_front();
    }
    auto user = review_(one.token);
    if (user) Remember(Sha256Hex(one.token), *user);
    one.done(std::move(user));
  }
}

void StreamAuthenticator::Remember(const std::string& key, const kube::UserInfo& user) {
  const MonotonicTime now = clock_.Monotonic();
  MutexLock lock(mutex_);
  if (known_.size() >= kMostKnown) {
    std::erase_if(known_, [&](const auto& entry) { return entry.second.until <= now; });
  }
  if (known_.size() < kMostKnown) known_[key] = {user, now + kKept};
}

}  // namespace longshore::controller

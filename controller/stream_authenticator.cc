// SPDX-License-Identifier: Apache-2.0
#include "controller/stream_authenticator.h"

namespace longshore::controller {
namespace {

constexpr size_t kMostWaiting = 4096;

}  // namespace

StreamAuthenticator::StreamAuthenticator(TokenReviewer& reviewer, size_t threads)
    : reviewer_(reviewer) {
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

void StreamAuthenticator::Authenticate(const std::string& token, const std::string& address,
                                       Done done) {
  if (auto known = reviewer_.Known(token)) return done(*std::move(known));
  bool full = false;
  {
    MutexLock lock(mutex_);
    full = waiting_.size() >= kMostWaiting;
    if (!full) waiting_.push_back({token, address, done});
  }
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
    one.done(reviewer_.Ask(one.token, one.address));
  }
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// Who dials a stream? Bearer tokens are judged by TokenReview on a few threads of their own, so
// that the streams' thread never waits for the API; answers are kept for a short while. Called by
// the stream hub.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/kube/client.h"

namespace longshore::controller {

// Thread-safe.
class StreamAuthenticator {
 public:
  // The real one is kube::ReviewToken with our audience.
  using Review = std::function<Result<kube::UserInfo>(const std::string& token)>;
  using Done = std::function<void(Result<kube::UserInfo>)>;

  StreamAuthenticator(Review review, const Clock& clock = Clock::Real(), size_t threads = 4);
  ~StreamAuthenticator();  // stops

  // Calls `done` once, at once from the cache or later from a thread of this. More than a bounded
  // number waiting: kUnavailable.
  void Authenticate(const std::string& token, Done done);
  void Stop();  // idempotent; joins; what waits gets kUnavailable

 private:
  struct Waiting {
    std::string token;
    Done done;
  };
  struct Known {
    kube::UserInfo user;
    MonotonicTime until;
  };
  void Work(const std::stop_token& stop);
  void Remember(const std::string& key, const kube::UserInfo& user);

  const Review review_;
  const Clock& clock_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::deque<Waiting> waiting_ LS_GUARDED_BY(mutex_);
  std::map<std::string, Known> known_ LS_GUARDED_BY(mutex_);  // by hash of the token
  std::vector<std::jthread> threads_;
};

}  // namespace longshore::controller

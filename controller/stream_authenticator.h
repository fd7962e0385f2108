// SPDX-License-Identifier: Apache-2.0
//
// Who dials a stream? Bearer tokens are judged by a TokenReviewer on a few threads of their own, so
// that the streams' thread never waits for the API. Called by the stream hub.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "controller/token_reviewer.h"

namespace longshore::controller {

// Thread-safe.
class StreamAuthenticator {
 public:
  using Done = std::function<void(Result<kube::UserInfo>)>;

  explicit StreamAuthenticator(TokenReviewer& reviewer, size_t threads = 4);
  ~StreamAuthenticator();  // stops

  // Calls `done` once: at once with what is known, or later from a thread of this. More than a
  // bounded number waiting: kUnavailable.
  void Authenticate(const std::string& token, const std::string& address, Done done);
  void Stop();  // idempotent; joins; what waits gets kUnavailable

 private:
  struct Waiting {
    std::string token, address;
    Done done;
  };
  void Work(const std::stop_token& stop);

  TokenReviewer& reviewer_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::deque<Waiting> waiting_ LS_GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

}  // namespace longshore::controller

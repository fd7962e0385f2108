// SPDX-License-Identifier: Apache-2.0
//
// Below the typed client: the bearer token, a pool of connections, and which failures are tried
// again. Used by Client, by EventRecorder (on connections of its own) and by the informers.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/http/client.h"
#include "common/kube/config.h"

namespace longshore::kube {

// The bearer token of a Config: fixed, or a file that is read again at least once a minute
// (projected service account tokens are rotated in place). Thread-safe.
class TokenSource {
 public:
  explicit TokenSource(const Config& config, const Clock& clock = Clock::Real());

  // The token; empty when the configuration has none. A file that cannot be read any more leaves
  // the last good token in use.
  Result<std::string> Get() LS_EXCLUDES(mutex_);
  // After a 401: reads the file at once. Whether there is now another token than `rejected`.
  bool Refresh(const std::string& rejected) LS_EXCLUDES(mutex_);

 private:
  Status Read() LS_REQUIRES(mutex_);

  const std::string file_;
  const Clock& clock_;
  Mutex mutex_;
  std::string token_ LS_GUARDED_BY(mutex_);
  MonotonicTime read_at_ LS_GUARDED_BY(mutex_);
  bool read_ LS_GUARDED_BY(mutex_) = false;
};

// A connection as the configuration says; the caller adds what Authorize gives to each request.
Result<std::unique_ptr<http::Client>> Connect(const Config& config,
                                              std::chrono::milliseconds read_timeout);
// Sets Authorization (unless the token is empty), User-Agent and Accept.
void Authorize(http::ClientRequest& request, const std::string& token,
               const std::string& user_agent);

struct TransportOptions {
  size_t connections = 8;  // at most; further callers wait
  std::chrono::milliseconds read_timeout{30000};
  int max_tries = 6;  // of one call, whatever the reason
  // How to wait between tries; the default waits and is woken by Cancel.
  std::function<void(std::chrono::milliseconds)> sleep;
};

class Transport {
 public:
  static Result<std::unique_ptr<Transport>> Create(const Config& config, std::string user_agent,
                                                   TransportOptions options = {});
  ~Transport();

  // Any HTTP status is a success. Tried again: 429 and 5xx that carry Retry-After, a 401 when the
  // token file has another token by now, and for reads also 5xx without it and broken connections.
  Result<http::ClientResponse> Send(http::ClientRequest request);
  // Makes running and later calls fail with kCancelled.
  void Cancel();

 private:
  class Impl;
  explicit Transport(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::kube

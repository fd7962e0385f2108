// SPDX-License-Identifier: Apache-2.0
//
// Whose bearer token is it? Asks the cluster (TokenReview), keeps its answers for a short time, and
// asks only so often on behalf of an address whose tokens are refused: a flood of made-up tokens
// costs the cluster's API little and others nothing. Used by the storage manager API and by the
// streams, one each.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/kube/client.h"
#include "common/metrics/registry.h"

namespace longshore::controller {

struct TokenLimits {
  std::chrono::seconds accepted{30};  // how long an answer is believed
  std::chrono::seconds refused{10};
  // A token that was good within this is asked about without limit: its owner is no guesser.
  std::chrono::seconds trusted{3600};
  size_t kept = 40000;  // accepted tokens, and as many refused ones
  // Refusals that one address may cause: so many at once, and so many a second.
  double burst = 20, per_second = 10;
  size_t addresses = 4096;  // remembered; those beyond share one allowance
};

// Thread-safe. Holds no lock during a review; never keeps or logs a token, only its hash.
class TokenReviewer {
 public:
  // The real one is kube::ReviewToken with our audience.
  using Review = std::function<Result<kube::UserInfo>(const std::string& token)>;

  // `registry` may be null: then nothing is counted. `door` tells the users of this class apart
  // there: "api", "streams".
  TokenReviewer(Review review, TokenLimits limits, const Clock& clock,
                metrics::Registry* registry = nullptr, const std::string& door = "");

  // What is known without asking anybody: a user or kUnauthenticated. Empty: nothing is.
  std::optional<Result<kube::UserInfo>> Known(const std::string& token);
  // Known, or asked. Errors: kUnauthenticated; kUnavailable; kResourceExhausted with retry_after
  // when the address has had too many tokens refused.
  Result<kube::UserInfo> Ask(const std::string& token, const std::string& address);

 private:
  struct Accepted {
    kube::UserInfo user;
    MonotonicTime since;
  };
  struct Allowance {
    double left;
    MonotonicTime at;
  };
  // The following go by the token's hash.
  std::optional<Result<kube::UserInfo>> Remembered(const std::string& key);
  bool Trusted(const std::string& key);
  void Remember(const std::string& key, const Result<kube::UserInfo>& user);
  // Takes one from the address's allowance; the time to wait when there is none.
  std::optional<std::chrono::milliseconds> Take(const std::string& address);
  void GiveBack(const std::string& address);
  Allowance& AllowanceOf(const std::string& address) LS_REQUIRES(mutex_);
  void DropOld(MonotonicTime now) LS_REQUIRES(mutex_);
  static void Count(metrics::Counter* counter);

  const Review review_;
  const TokenLimits limits_;
  const Clock& clock_;
  Mutex mutex_;
  // By SHA-256 of the token. Apart, so that refused tokens cannot push out accepted ones.
  std::map<std::string, Accepted> accepted_ LS_GUARDED_BY(mutex_);
  std::map<std::string, MonotonicTime> refused_ LS_GUARDED_BY(mutex_);
  std::map<std::string, Allowance> allowances_ LS_GUARDED_BY(mutex_);
  MonotonicTime dropped_ LS_GUARDED_BY(mutex_);
  metrics::Counter *reviewed_ = nullptr, *known_refused_ = nullptr, *limited_ = nullptr;
};

}  // namespace longshore::controller

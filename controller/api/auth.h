// SPDX-License-Identifier: Apache-2.0
//
// Who calls the storage manager API, and what they may do. Bearer tokens are checked by
// TokenReview (token_reviewer.h), rights by SubjectAccessReview on our custom resources; both
// answers are kept for a short time so that a poll each second doesn't become two reviews each.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/http/server.h"
#include "common/kube/client.h"
#include "controller/token_reviewer.h"

namespace longshore::controller {

struct AuthOptions {
  std::string audience;
  std::chrono::seconds token_cache{30};
  std::chrono::seconds access_cache{5};
};

// Thread-safe. Never holds a lock during a review, never keeps or logs a token (only its hash).
class Authenticator {
 public:
  Authenticator(kube::Client& kube, AuthOptions options, const Clock& clock,
                metrics::Registry* registry = nullptr);

  // The caller's identity: from the bearer token, or, where the server asks for client
  // certificates, user "longshore:<CN>" without groups. Errors: kUnauthenticated, kUnavailable,
  // kResourceExhausted for an address with too many refused tokens.
  Result<kube::UserInfo> Authenticate(const http::Request& request);

  // Errors: kPermissionDenied naming verb and resource, kUnavailable; that also for five seconds
  // where what was allowed before is denied, since an API server that has just started denies all
  // until it has read the roles.
  Status Allow(const kube::UserInfo& user, const kube::Access& access);

 private:
  struct Decision {
    MonotonicTime until;
    Status status;
    std::optional<MonotonicTime> doubted;  // since when what it allows is denied
  };
  // What is to be said of a review's answer, which is kept.
  Status Keep(const std::string& key, Status answer) LS_EXCLUDES(mutex_);
  void MakeRoom(MonotonicTime now) LS_REQUIRES(mutex_);

  kube::Client& kube_;
  const AuthOptions options_;
  const Clock& clock_;
  TokenReviewer tokens_;
  Mutex mutex_;
  std::map<std::string, Decision> decisions_ LS_GUARDED_BY(mutex_);
};

// "list computerequests.longshore.dev in namespace x": for messages.
std::string DescribeAccess(const kube::Access& access);

// The token of "Authorization: Bearer …"; empty when there is none.
std::string BearerToken(const http::Request& request);

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/api/auth.h"

#include "common/base/strings.h"

namespace longshore::controller {
namespace {

// An API server denies for so long after its start what its roles allow: they are not read yet.
constexpr std::chrono::seconds kDoubt{5};
constexpr size_t kMaxKept = 4096;         // decisions
constexpr size_t kMaxTokenBytes = 16384;  // larger than any service-account token

std::string DecisionKey(const kube::UserInfo& user, const kube::Access& access) {
  std::string key = user.username;
  for (const auto& group : user.groups) key += '\0' + group;
  key += '\0';
  for (std::string_view part :
       {std::string_view(access.verb), std::string_view(access.ns), std::string_view(access.name),
        std::string_view(access.subresource), access.resource.group, access.resource.plural}) {
    key += '\0';
    key += part;
  }
  return Sha256Hex(key);
}

}  // namespace

std::string BearerToken(const http::Request& request) {
  const std::string header = request.Header("authorization");
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() <= kScheme.size() || ToLower(header.substr(0, kScheme.size())) != kScheme) {
    return "";
  }
  return std::string(Trim(std::string_view(header).substr(kScheme.size())));
}

std::string DescribeAccess(const kube::Access& access) {
  std::string text = access.verb + " " + std::string(access.resource.plural);
  if (!access.resource.group.empty()) text += "." + std::string(access.resource.group);
  if (!access.subresource.empty()) text += "/" + access.subresource;
  if (!access.name.empty()) text += " \"" + access.name + "\"";
  return text + (access.ns.empty() ? " in all namespaces" : " in namespace " + access.ns);
}

Authenticator::Authenticator(kube::Client& kube, AuthOptions options, const Clock& clock,
                             metrics::Registry* registry)
    : kube_(kube),
      options_(std::move(options)),
      clock_(clock),
      tokens_(
          [this](const std::string& token) {
            return kube::ReviewToken(kube_, token, {options_.audience});
          },
          TokenLimits{.accepted = options_.token_cache}, clock, registry, "api") {}

Result<kube::UserInfo> Authenticator::Authenticate(const http::Request& request) {
  const std::string token = BearerToken(request);
  if (token.empty()) {
    if (!request.peer_common_name.empty()) {
      kube::UserInfo user;
      user.username = "longshore:" + request.peer_common_name;
      return user;
    }
    return Error{
        Code::kUnauthenticated,
        "no bearer token: send \"Authorization: Bearer TOKEN\" with a token for audience \"" +
            options_.audience + "\""};
  }
  if (token.size() > kMaxTokenBytes) {
    return Error{Code::kUnauthenticated, "the bearer token is too long to be one of this cluster"};
  }
  Result<kube::UserInfo> user = tokens_.Ask(token, request.remote_address);
  if (!user && user.error().code == Code::kUnauthenticated) {
    user = Error{Code::kUnauthenticated,
                 "the bearer token is not valid here: it must be of this "
                 "cluster, unexpired, and for audience \"" +
                     options_.audience + "\""};
  }
  return user;
}

Status Authenticator::Allow(const kube::UserInfo& user, const kube::Access& access) {
  const std::string key = DecisionKey(user, access);
  const MonotonicTime now = clock_.Monotonic();
  {
    MutexLock lock(mutex_);
    const auto found = decisions_.find(key);
    if (found != decisions_.end() && found->second.until > now) return found->second.status;
  }
  Status decision = kube::CheckAccess(kube_, user, access);
  if (!decision) {
    // Only answers are kept; that the API server was away is not one.
    if (decision.error().code != Code::kPermissionDenied) return decision;
    decision = Error{Code::kPermissionDenied, user.username + " may not " + DescribeAccess(access) +
                                                  ": ask for a Role with this verb"};
  }
  return Keep(key, std::move(decision));
}

Status Authenticator::Keep(const std::string& key, Status answer) {
  const MonotonicTime now = clock_.Monotonic();
  MutexLock lock(mutex_);
  MakeRoom(now);
  const auto before = decisions_.find(key);
  if (!answer && before != decisions_.end() && before->second.status) {
    std::optional<MonotonicTime>& doubted = before->second.doubted;
    if (!doubted) doubted = now;
    if (now - *doubted < kDoubt) {
      return Unavailable(answer.error().message +
                         "; it was allowed before, and is asked again in case the API server has "
                         "just started");
    }
  }
  decisions_.insert_or_assign(key, Decision{now + options_.access_cache, answer, std::nullopt});
  return answer;
}

// Drops what is over; when everything is fresh and the cache is full, begins anew: correct, and
// only slower for a moment.
void Authenticator::MakeRoom(MonotonicTime now) {
  if (decisions_.size() < kMaxKept) return;
  std::erase_if(decisions_, [&](const auto& entry) { return entry.second.until <= now; });
  if (decisions_.size() >= kMaxKept) decisions_.clear();
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/token_reviewer.h"

#include <algorithm>
#include <cmath>

#include "common/base/strings.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

constexpr char kEverybodyElse[] = "";  // no address

Error Refused() { return {Code::kUnauthenticated, "the bearer token is not valid here"}; }

}  // namespace

TokenReviewer::TokenReviewer(Review review, TokenLimits limits, const Clock& clock,
                             metrics::Registry* registry, const std::string& door)
    : review_(std::move(review)), limits_(limits), clock_(clock) {
  if (registry == nullptr) return;
  reviewed_ =
      &registry->MakeCounter("longshore_controller_token_reviews_total",
                             "Bearer tokens that the cluster was asked about", {{"door", door}});
  const auto turned_away = [&](const char* why) {
    return &registry->MakeCounter("longshore_controller_tokens_turned_away_total",
                                  "Bearer tokens refused without asking the cluster",
                                  {{"door", door}, {"why", why}});
  };
  known_refused_ = turned_away("Known");
  limited_ = turned_away("TooMany");
}

void TokenReviewer::Count(metrics::Counter* counter) {
  if (counter != nullptr) counter->Increment();
}

std::optional<Result<kube::UserInfo>> TokenReviewer::Known(const std::string& token) {
  return Remembered(Sha256Hex(token));
}

std::optional<Result<kube::UserInfo>> TokenReviewer::Remembered(const std::string& key) {
  const MonotonicTime now = clock_.Monotonic();
  {
    MutexLock lock(mutex_);
    const auto accepted = accepted_.find(key);
    if (accepted != accepted_.end() && now - accepted->second.since < limits_.accepted) {
      return accepted->second.user;
    }
    const auto refused = refused_.find(key);
    if (refused == refused_.end() || now - refused->second >= limits_.refused) return std::nullopt;
  }
  Count(known_refused_);
  return Result<kube::UserInfo>(Refused());
}

Result<kube::UserInfo> TokenReviewer::Ask(const std::string& token, const std::string& address) {
  const std::string key = Sha256Hex(token);
  if (auto known = Remembered(key)) return *std::move(known);
  const bool limited = !Trusted(key);
  if (limited) {
    if (const auto wait = Take(address)) {
      Count(limited_);
      return Error{Code::kResourceExhausted,
                   "too many tokens from this address were refused; try again later", wait};
    }
  }
  Count(reviewed_);
  Result<kube::UserInfo> user = review_(token);
  const bool refused = !user && user.error().code == Code::kUnauthenticated;
  if (refused) user = Refused();
  if (limited && !refused) GiveBack(address);
  Remember(key, user);
  return user;
}

TokenReviewer::Allowance& TokenReviewer::AllowanceOf(const std::string& address) {
  const MonotonicTime now = clock_.Monotonic();
  const auto left = [&](const Allowance& allowance) {
    const double seconds = std::chrono::duration<double>(now - allowance.at).count();
    return std::min(limits_.burst, allowance.left + seconds * limits_.per_second);
  };
  auto found = allowances_.find(address);
  if (found == allowances_.end() && allowances_.size() >= limits_.addresses) {
    // Whoever has all of it again need not be remembered.
    std::erase_if(allowances_, [&](const auto& e) { return left(e.second) >= limits_.burst; });
  }
  if (found == allowances_.end()) {
    const bool room = allowances_.size() < limits_.addresses;
    found = allowances_.try_emplace(room ? address : kEverybodyElse, Allowance{limits_.burst, now})
                .first;
  }
  found->second = {left(found->second), now};
  return found->second;
}

std::optional<milliseconds> TokenReviewer::Take(const std::string& address) {
  MutexLock lock(mutex_);
  Allowance& allowance = AllowanceOf(address);
  if (allowance.left < 1) {
    return milliseconds(
        static_cast<int64_t>(std::ceil((1 - allowance.left) / limits_.per_second * 1000)));
  }
  allowance.left -= 1;
  return std::nullopt;
}

void TokenReviewer::GiveBack(const std::string& address) {
  MutexLock lock(mutex_);
  Allowance& allowance = AllowanceOf(address);
  allowance.left = std::min(limits_.burst, allowance.left + 1);
}

bool TokenReviewer::Trusted(const std::string& key) {
  const MonotonicTime now = clock_.Monotonic();
  MutexLock lock(mutex_);
  const auto found = accepted_.find(key);
  return found != accepted_.end() && now - found->second.since < limits_.trusted;
}

// Once a minute: nothing is kept longer than it is of use.
void TokenReviewer::DropOld(MonotonicTime now) {
  if (now - dropped_ < std::chrono::minutes(1)) return;
  dropped_ = now;
  std::erase_if(accepted_, [&](const auto& e) { return now - e.second.since >= limits_.trusted; });
  std::erase_if(refused_, [&](const auto& e) { return now - e.second >= limits_.refused; });
}

void TokenReviewer::Remember(const std::string& key, const Result<kube::UserInfo>& user) {
  const MonotonicTime now = clock_.Monotonic();
  MutexLock lock(mutex_);
  DropOld(now);
  if (user) {
    if (accepted_.size() >= limits_.kept) {
      std::erase_if(accepted_,
                    [&](const auto& e) { return now - e.second.since >= limits_.accepted; });
    }
    refused_.erase(key);
    if (accepted_.size() < limits_.kept || accepted_.contains(key)) accepted_[key] = {*user, now};
  } else if (user.error().code == Code::kUnauthenticated) {
    accepted_.erase(key);
    if (refused_.size() < limits_.kept) refused_[key] = now;
  }
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/sample_gate.h"

#include <algorithm>

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

// Between two visits of a request for its samples: the pods of a crew report at phases of their
// own, and a visit looks at all of them.
constexpr milliseconds kBetweenVisits{200};
constexpr std::chrono::seconds kWatched{10};

}  // namespace

void SampleGate::SetRules(const std::string& request_uid,
                          const std::vector<scaling::SignalRule>& rules) {
  MutexLock lock(mutex_);
  Request& request = requests_[request_uid];
  request.known = true;
  request.up.clear();
  for (const scaling::SignalRule& rule : rules) request.up.emplace_back(rule.signal, rule.up);
}

void SampleGate::Forget(const std::string& request_uid) {
  MutexLock lock(mutex_);
  requests_.erase(request_uid);
}

void SampleGate::Watch(const std::string& request_uid) {
  MutexLock lock(mutex_);
  if (const auto found = requests_.find(request_uid); found != requests_.end()) {
    found->second.watched = clock_.Monotonic();
  }
}

std::optional<milliseconds> SampleGate::Admit(const std::string& request_uid,
                                              const scaling::Sample& sample) {
  const MonotonicTime now = clock_.Monotonic();
  MutexLock lock(mutex_);
  Request& request = requests_[request_uid];
  const bool counts = !request.known || (request.watched && now - *request.watched < kWatched) ||
                      std::any_of(request.up.begin(), request.up.end(), [&](const auto& rule) {
                        const auto value = sample.value(rule.first);
                        return value && *value > rule.second;
                      });
  if (!counts) return std::nullopt;
  if (!request.next || *request.next <= now) {
    request.next = now + kBetweenVisits;
    return milliseconds(0);
  }
  const auto left = *request.next - now;
  if (left > kBetweenVisits) return std::nullopt;  // that visit is due already, and will see this
  request.next = *request.next + kBetweenVisits;
  return std::chrono::ceil<milliseconds>(left);
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/verdict_store.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/placement/score_view.h"

namespace longshore::controller {
namespace {

Verdict FromMessage(const messages::PlacementVerdict& message) {
  Verdict verdict;
  verdict.time = FormatTime(WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::microseconds(message.time_unix_us()))));
  verdict.verb = message.verb();
  verdict.location = message.location();
  verdict.snapshot_age_ms = message.snapshot_age_ms();
  verdict.nodes_offered = static_cast<int>(message.nodes_offered());
  for (const messages::NodeVerdict& node : message.nodes()) {
    verdict.nodes.push_back(placement::FromMessage(node));
  }
  return verdict;
}

}  // namespace

void VerdictStore::Add(const messages::PlacementVerdict& message) {
  if (message.pod_uid().empty()) return;
  Verdict verdict = FromMessage(message);
  MutexLock lock(mutex_);
  auto [entry, added] = by_uid_.try_emplace(message.pod_uid());
  if (added) order_.push_back(message.pod_uid());
  entry->second.push_back(std::move(verdict));
  if (entry->second.size() > kVerdictsPerPod) entry->second.pop_front();
  if (order_.size() > kPods) {
    by_uid_.erase(order_.front());
    order_.pop_front();
  }
}

std::vector<Verdict> VerdictStore::Get(const std::string& pod_uid) const {
  MutexLock lock(mutex_);
  const auto found = by_uid_.find(pod_uid);
  if (found == by_uid_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

bool VerdictStore::Has(const std::string& pod_uid) const {
  MutexLock lock(mutex_);
  return by_uid_.contains(pod_uid);
}

}  // namespace longshore::controller

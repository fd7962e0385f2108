// SPDX-License-Identifier: Apache-2.0
#include "extender/verdict_log.h"

namespace longshore::extender {

void VerdictLog::Add(messages::PlacementVerdict verdict) {
  const std::string key = verdict.pod_namespace() + "/" + verdict.pod_name();
  const std::string verb = verdict.verb();
  MutexLock lock(mutex_);
  const auto [entry, added] = pods_.try_emplace(key);
  Pod& pod = entry->second;
  if (added) {
    pod.place = order_.insert(order_.end(), key);
  } else {
    order_.splice(order_.end(), order_, pod.place);
  }
  // A new pod under an old name shares nothing with it.
  if (!pod.by_verb.empty() && pod.by_verb.begin()->second.pod_uid() != verdict.pod_uid()) {
    pod.by_verb.clear();
  }
  std::swap(pod.by_verb[verb], verdict);  // the old one is destroyed when the lock is free again
  if (pods_.size() > max_pods_) {
    pods_.erase(order_.front());
    order_.pop_front();
  }
}

std::vector<messages::PlacementVerdict> VerdictLog::All() const {
  std::vector<messages::PlacementVerdict> verdicts;
  MutexLock lock(mutex_);
  for (const std::string& key : order_) {
    for (const auto& [verb, verdict] : pods_.at(key).by_verb) verdicts.push_back(verdict);
  }
  return verdicts;
}

std::vector<messages::PlacementVerdict> VerdictLog::OfPod(const std::string& ns,
                                                          const std::string& name) const {
  std::vector<messages::PlacementVerdict> verdicts;
  MutexLock lock(mutex_);
  const auto found = pods_.find(ns + "/" + name);
  if (found == pods_.end()) return verdicts;
  for (const auto& [verb, verdict] : found->second.by_verb) verdicts.push_back(verdict);
  return verdicts;
}

}  // namespace longshore::extender

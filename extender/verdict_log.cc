// SPDX-License-Identifier: Apache-2.0
#include "extender/verdict_log.h"

#include <algorithm>

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

void VerdictLog::Keep(std::shared_ptr<const VerdictDraft> call) {
  std::vector<std::shared_ptr<const VerdictDraft>> old;  // goes when the lock is free again
  const auto replaced = [&](const auto& kept) {
    return kept->verdict.pod_uid() == call->verdict.pod_uid() &&
           kept->verdict.verb() == call->verdict.verb();
  };
  MutexLock lock(mutex_);
  nodes_ += call->all.size();
  const auto last = std::find_if(calls_.begin(), calls_.end(), replaced);
  if (last != calls_.end()) {
    nodes_ -= (*last)->all.size();
    old.push_back(std::move(*last));
    calls_.erase(last);
  }
  calls_.push_back(std::move(call));
  while (calls_.size() > kMostCalls || (nodes_ > kMostNodes && calls_.size() > 1)) {
    nodes_ -= calls_.front()->all.size();
    old.push_back(std::move(calls_.front()));
    calls_.pop_front();
  }
}

std::vector<std::shared_ptr<const VerdictDraft>> VerdictLog::CallsOf(
    const std::string& ns, const std::string& name) const {
  std::vector<std::shared_ptr<const VerdictDraft>> calls;
  MutexLock lock(mutex_);
  for (auto call = calls_.rbegin(); call != calls_.rend(); ++call) {
    const messages::PlacementVerdict& verdict = (*call)->verdict;
    if (verdict.pod_namespace() == ns && verdict.pod_name() == name) calls.push_back(*call);
  }
  return calls;
}

}  // namespace longshore::extender

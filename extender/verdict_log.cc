// SPDX-License-Identifier: Apache-2.0
#include "extender/verdict_log.h"

namespace longshore::extender {

void VerdictLog::Add(const messages::PlacementVerdict& verdict) {
  const std::string key = verdict.pod_namespace() + "/" + verdict.pod_name();
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
  pod.by_verb[verdict.verb()] = verdict;
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

api::Json VerdictJson(const messages::PlacementVerdict& verdict) {
  const WallTime time{std::chrono::microseconds(verdict.time_unix_us())};
  api::Json nodes = api::Json::array();
  for (const auto& node : verdict.nodes()) {
    api::Json reasons = api::Json::array();
    for (const auto& reason : node.reasons()) reasons.push_back(reason);
    nodes.push_back({{"node", node.node()},
                     {"passed", node.passed()},
                     {"score", node.score()},
                     {"tier", node.tier()},
                     {"localityPoints", node.locality_points()},
                     {"pressurePoints", node.pressure_points()},
                     {"roomPoints", node.room_points()},
                     {"reasons", std::move(reasons)}});
  }
  return {{"namespace", verdict.pod_namespace()},
          {"pod", verdict.pod_name()},
          {"uid", verdict.pod_uid()},
          {"verb", verdict.verb()},
          {"time", FormatTime(time)},
          {"location", verdict.location()},
          {"snapshotAgeMs", verdict.snapshot_age_ms()},
          {"nodesOffered", verdict.nodes_offered()},
          {"nodes", std::move(nodes)}};
}

}  // namespace longshore::extender

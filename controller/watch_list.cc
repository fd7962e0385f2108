// SPDX-License-Identifier: Apache-2.0
#include "controller/watch_list.h"

#include <set>
#include <utility>

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kLookEvery{5};

}  // namespace

WatchedPods FindWatchedPods(const std::vector<api::BackupSource>& sources,
                            const placement::View& view) {
  std::map<std::string, std::set<std::string>> found;
  for (const api::BackupSource& source : sources) {
    for (const placement::LivePod& pod : placement::Locate(source, view).pods) {
      found[pod.node].insert(pod.agent_uid);
    }
  }
  WatchedPods watched;
  for (const auto& [node, uids] : found) watched[node] = {uids.begin(), uids.end()};
  return watched;
}

std::shared_ptr<const WatchedPods> WatchList::Get() {
  const MonotonicTime now = clock_.Monotonic();
  if (pods_ != nullptr && now - looked_ < kLookEvery) return pods_;
  looked_ = now;
  WatchedPods pods = FindWatchedPods(sources_(), *snapshot_());
  if (pods_ == nullptr || *pods_ != pods) {
    pods_ = std::make_shared<const WatchedPods>(std::move(pods));
  }
  return pods_;
}

}  // namespace longshore::controller

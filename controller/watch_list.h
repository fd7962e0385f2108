// SPDX-License-Identifier: Apache-2.0
//
// The pods that a backup could harm: those the BackupSources' data is in, by node. The stream hub
// tells each agent its own. Constructed by main.cc.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/api/source.h"
#include "common/base/clock.h"
#include "common/placement/location.h"

namespace longshore::controller {

// Node to UIDs as its agent knows them, each once and sorted.
using WatchedPods = std::map<std::string, std::vector<std::string>>;
WatchedPods FindWatchedPods(const std::vector<api::BackupSource>& sources,
                            const placement::View& view);

// One thread only.
class WatchList {
 public:
  using Sources = std::function<std::vector<api::BackupSource>()>;
  using Snapshot = std::function<std::shared_ptr<const placement::View>()>;
  WatchList(Sources sources, Snapshot snapshot, const Clock& clock)
      : sources_(std::move(sources)), snapshot_(std::move(snapshot)), clock_(clock) {}

  // Looks every 5 s; the same pointer as long as it holds the same.
  std::shared_ptr<const WatchedPods> Get();

 private:
  const Sources sources_;
  const Snapshot snapshot_;
  const Clock& clock_;
  MonotonicTime looked_{};
  std::shared_ptr<const WatchedPods> pods_;
};

}  // namespace longshore::controller

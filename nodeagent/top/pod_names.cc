// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/pod_names.h"

#include <filesystem>
#include <system_error>

#include "common/base/strings.h"

namespace longshore::nodeagent::top {

void PodNames::Refresh() { stale_ = true; }

std::string PodNames::NameOf(const std::string& uid) {
  if (const auto found = names_.find(uid); found != names_.end()) return found->second;
  if (!stale_) return uid;
  stale_ = false;
  names_.clear();
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder_, error), end; !error && it != end;
       it.increment(error)) {
    // No name of Kubernetes has an underscore.
    const auto parts = Split(it->path().filename().string(), '_');
    if (parts.size() == 3) names_[parts[2]] = parts[0] + "/" + parts[1];
  }
  const auto found = names_.find(uid);
  return found == names_.end() ? uid : found->second;
}

}  // namespace longshore::nodeagent::top

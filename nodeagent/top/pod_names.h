// SPDX-License-Identifier: Apache-2.0
//
// Names of pods, for people. The agent has no rights in the API server; but where it runs on the
// node itself, the kubelet's log folders are there, one a pod: NAMESPACE_NAME_UID.
#pragma once

#include <map>
#include <string>

namespace longshore::nodeagent::top {

class PodNames {
 public:
  explicit PodNames(std::string folder) : folder_(std::move(folder)) {}
  // Reads the folder again when there is a pod that it did not tell of. Without a folder, all pods
  // stay their UIDs.
  std::string NameOf(const std::string& uid);  // "namespace/name", else the UID
  void Refresh();                              // what was not found is looked for once more

 private:
  const std::string folder_;
  bool stale_ = true;
  std::map<std::string, std::string> names_;  // by UID
};

}  // namespace longshore::nodeagent::top

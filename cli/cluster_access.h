// SPDX-License-Identifier: Apache-2.0
//
// For commands that work on the cluster itself, with a kubeconfig.
#pragma once

#include <memory>
#include <string>

#include "cli/session.h"
#include "common/kube/client.h"

namespace longshore::cli {

inline constexpr char kScheduler[] = "longshore-scheduler";  // the installation's Deployment

struct ClusterFlags {
  std::string kubeconfig, context;
};
void AddClusterFlags(CLI::App& command, ClusterFlags& flags);
Result<std::unique_ptr<kube::Client>> Connect(const ClusterFlags& flags, std::string user_agent);

// -n means the installation's namespace here; LONGSHORE_NAMESPACE (that of requests) doesn't count.
std::string SystemNamespace(const Session& session);

}  // namespace longshore::cli

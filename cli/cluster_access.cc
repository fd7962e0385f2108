// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_access.h"

#include <CLI/CLI.hpp>

#include "common/api/meta.h"

namespace longshore::cli {

void AddClusterFlags(CLI::App& command, ClusterFlags& flags) {
  command.add_option("--kubeconfig", flags.kubeconfig,
                     "Cluster to work on (default: $KUBECONFIG, in-cluster, ~/.kube/config)");
  command.add_option("--context", flags.context, "Context of the kubeconfig");
}

Result<std::unique_ptr<kube::Client>> Connect(const ClusterFlags& flags, std::string user_agent) {
  LS_ASSIGN_OR_RETURN(kube::Config config, kube::LoadConfig(flags.kubeconfig, flags.context));
  return kube::Client::Create(std::move(config), std::move(user_agent));
}

std::string SystemNamespace(const Session& session) {
  return session.flags.ns.empty() ? api::kSystemNamespace : session.flags.ns;
}

}  // namespace longshore::cli

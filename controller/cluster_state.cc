// SPDX-License-Identifier: Apache-2.0
#include "controller/cluster_state.h"

#include <algorithm>

#include "common/base/clock.h"
#include "controller/cluster.h"

namespace longshore::controller {
namespace {

// Of what names its request in spec.requestRef.
std::vector<std::string> RequestKeys(std::string_view ns, std::string_view request) {
  if (request.empty()) return {};
  return {std::string(ns) + "/" + std::string(request)};
}

}  // namespace

ClusterState::ClusterState(kube::Client& client)
    : sources(client, kube::kBackupSources),
      images(client, kube::kSourceImages),
      policies(client, kube::kPodPolicies),
      repositories(client, kube::kBackupRepositories),
      requests(client, kube::kComputeRequests),
      operations(client, kube::kOperations),
      backup_pods(client, kube::kBackupPods),
      placement(client),
      own_{&sources, &images, &policies, &repositories, &requests, &operations, &backup_pods} {
  operations.AddIndex(kByRequest, [](const kube::Json& operation) {
    return RequestKeys(kube::NamespaceOf(operation),
                       kube::StringAt(operation, "/spec/requestRef/name"));
  });
  backup_pods.AddIndex(kByRequest, [](const api::BackupPod& row) {
    return RequestKeys(row.metadata.ns, row.spec.request_ref.name);
  });
  backup_pods.AddIndex(kByNamespace, [](const api::BackupPod& row) {
    return std::vector<std::string>{row.metadata.ns};
  });
  backup_pods.AddIndex(kLooking, [](const api::BackupPod& row) {
    return std::vector<std::string>(LooksForANode(row) ? 1 : 0);
  });
}

void ClusterState::Start() {
  placement.Start();
  for (kube::AnyInformer* informer : own_) informer->Start();
}

void ClusterState::Stop() {
  for (kube::AnyInformer* informer : own_) informer->Stop();
  placement.Stop();
}

bool ClusterState::WaitForSync(std::chrono::milliseconds timeout) const {
  const auto deadline = Clock::Real().Monotonic() + timeout;
  const auto left = [&] {
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::duration_cast<std::chrono::milliseconds>(
                        deadline - Clock::Real().Monotonic()));
  };
  for (const kube::AnyInformer* informer : own_) {
    if (!informer->WaitForSync(left())) return false;
  }
  return placement.WaitForSync(left());
}

std::vector<const kube::AnyInformer*> ClusterState::informers() const {
  std::vector<const kube::AnyInformer*> all(own_.begin(), own_.end());
  for (const kube::Informer* informer : placement.informers()) all.push_back(informer);
  return all;
}

}  // namespace longshore::controller

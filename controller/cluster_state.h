// SPDX-License-Identifier: Apache-2.0
//
// Everything the controller reads from the cluster: one informer per resource, shared by the
// reconcilers and the storage manager API, and typed access to what they hold.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/api/source.h"
#include "common/kube/informer.h"
#include "common/placement/cluster_view.h"

namespace longshore::controller {

struct ClusterState {
  explicit ClusterState(kube::Client& client);

  kube::Informer sources, images, policies, repositories, requests, backup_pods, operations;
  placement::ClusterView placement;  // nodes, pods, endpoint slices, claims, volumes

  void Start();
  void Stop();
  bool WaitForSync(std::chrono::milliseconds timeout) const;
  // All watches there are, those of `placement` too.
  std::vector<const kube::Informer*> informers() const;
};

// The typed object, or empty when it is not in the store or does not parse (logged, counted).
template <class T>
std::optional<T> Find(const kube::Informer& informer, const std::string& ns,
                      const std::string& name);
template <class T>
std::vector<T> ListAll(const kube::Informer& informer);

// backup_pods by request: index "request", key "NAMESPACE/NAME"; operations likewise.
std::vector<api::BackupPod> PodsOfRequest(const ClusterState& state, const std::string& ns,
                                          const std::string& request);
std::vector<api::Operation> OperationsOfRequest(const ClusterState& state, const std::string& ns,
                                                const std::string& request);

}  // namespace longshore::controller

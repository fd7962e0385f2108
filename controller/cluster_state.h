// SPDX-License-Identifier: Apache-2.0
//
// Everything the controller reads from the cluster: one informer per resource, shared by the
// reconcilers and the storage manager API.
#pragma once

#include <string>
#include <vector>

#include "common/api/request.h"
#include "common/kube/informer.h"
#include "common/placement/cluster_view.h"

namespace longshore::controller {

// Indexes of backup_pods and operations: by request, "NAMESPACE/NAME"; backup_pods by namespace,
// and under "" those that look for a node: few, however many rows there are.
inline constexpr char kByRequest[] = "request";
inline constexpr char kByNamespace[] = "namespace";
inline constexpr char kLooking[] = "looking";

struct ClusterState {
  explicit ClusterState(kube::Client& client);

  kube::Informer sources, images, policies, repositories, requests, operations;
  // The pod database.
  kube::BasicInformer<api::BackupPod> backup_pods;
  placement::ClusterView placement;  // nodes, pods, endpoint slices, claims, volumes

  void Start();
  void Stop();
  bool WaitForSync(std::chrono::milliseconds timeout) const;
  // All watches there are, those of `placement` too.
  std::vector<const kube::AnyInformer*> informers() const;

 private:
  const std::vector<kube::AnyInformer*> own_;  // all but those of `placement`
};

}  // namespace longshore::controller

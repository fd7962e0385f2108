// SPDX-License-Identifier: Apache-2.0
//
// The View of a live cluster: informers on nodes, pods and StatefulSets, endpoint slices, claims,
// volumes with their attachments and classes, and an immutable snapshot made from them when
// something changed (at most every 50 ms). What it has no right to list it does without, but for
// nodes and pods: snapshots say so.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/kube/client.h"
#include "common/kube/informer.h"
#include "common/placement/location.h"

namespace longshore::placement {

// Which pods are watched, of all namespaces (their placement, not contents). Those that hold room
// are enough for placement, and half the events of a cluster that schedules many.
enum class WatchedPods { kAll, kHoldingRoom };

class ClusterView {
 public:
  // The client outlives the view.
  explicit ClusterView(kube::Client& client, WatchedPods pods = WatchedPods::kAll);
  ~ClusterView();
  void Start();
  void Stop();
  bool synced() const;
  // What it waits for, and why that does not come; empty once synced.
  std::string WhyUnsynced() const;
  bool WaitForSync(std::chrono::milliseconds timeout) const;
  // Age of the oldest watch's last sign of life, but for what may not be listed.
  std::chrono::milliseconds staleness() const;
  // Never null, never changes after it was handed out.
  std::shared_ptr<const View> Snapshot() const;
  // Called after each new snapshot, on a thread of the view; for the controller's queue. Before
  // Start.
  void OnChange(std::function<void()> handler);
  // For callers that also need the pods themselves (the controller watches its own through this).
  kube::Informer& pods();
  // All of its watches, for who reports on them.
  std::vector<const kube::Informer*> informers() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::placement

// SPDX-License-Identifier: Apache-2.0
//
// The real Cluster: the placement library's view, and BackupSources parsed once when they change.
#pragma once

#include "common/base/mutex.h"
#include "common/kube/client.h"
#include "common/kube/informer.h"
#include "common/placement/cluster_view.h"
#include "extender/inputs.h"

namespace longshore::extender {

class LiveCluster final : public Cluster {
 public:
  explicit LiveCluster(kube::Client& client);
  void Start();
  void Stop();

  bool synced() const override;
  // What it waits for, and why that does not come; empty once synced.
  std::string WhyUnsynced() const;
  // All watches, for who reports on them.
  std::vector<const kube::AnyInformer*> informers() const;
  std::shared_ptr<const placement::View> Snapshot() const override;
  std::chrono::milliseconds age() const override;
  std::shared_ptr<const api::BackupSource> Source(const std::string& ns,
                                                  const std::string& name) const override;

 private:
  void SourceChanged(const kube::ObjectPtr& before, const kube::ObjectPtr& after);

  placement::ClusterView view_;
  kube::Informer sources_;
  mutable Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const api::BackupSource>> parsed_
      LS_GUARDED_BY(mutex_);  // by "NS/NAME"
};

}  // namespace longshore::extender

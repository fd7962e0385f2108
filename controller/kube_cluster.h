// SPDX-License-Identifier: Apache-2.0
//
// Cluster on a real API server: reads from ClusterState's informers, writes through kube::Client,
// and shows each own write to the informers at once. Constructed by main.cc.
#pragma once

#include <functional>

#include "common/kube/event_recorder.h"
#include "controller/cluster.h"
#include "controller/cluster_state.h"

namespace longshore::controller {

class KubeCluster : public Cluster {
 public:
  // All of them outlive this. Unless `leading()` says so at that moment, nothing is written:
  // kFailedPrecondition. `term()` is what rows and Pods are labelled with; empty: no election.
  KubeCluster(kube::Client& client, ClusterState& state, kube::EventRecorder& recorder,
              std::function<bool()> leading, std::function<std::optional<int64_t>()> term);

  kube::ObjectPtr Get(const kube::Resource& resource, const std::string& ns,
                      const std::string& name) const override;
  std::vector<kube::ObjectPtr> List(const kube::Resource& resource) const override;
  api::BackupPodPtr Row(const std::string& ns, const std::string& name) const override;
  std::vector<api::BackupPodPtr> Rows(const std::string& ns) const override;
  std::vector<api::BackupPodPtr> RowsOf(const std::string& ns,
                                        const std::string& request) const override;
  std::vector<api::BackupPodPtr> RowsLooking() const override;
  std::vector<kube::ObjectPtr> OperationsOf(const std::string& ns,
                                            const std::string& request) const override;
  std::shared_ptr<const placement::View> View() const override;
  Result<api::Json> Fetch(const kube::Resource& resource, const std::string& ns,
                          const std::string& name) override;
  Result<api::Json> FetchSurely(const kube::Resource& resource, const std::string& ns,
                                const std::string& name) override;
  Result<std::vector<std::string>> FetchNames(const kube::Resource& resource,
                                              const std::string& ns) override;
  Result<api::Json> Create(const kube::Resource& resource, const std::string& ns,
                           const api::Json& object) override;
  Result<api::Json> UpdateStatus(const kube::Resource& resource, const std::string& ns,
                                 const api::Json& object) override;
  Result<api::Json> Patch(const kube::Resource& resource, const std::string& ns,
                          const std::string& name, kube::PatchType type, const api::Json& patch,
                          const std::string& subresource) override;
  Status Delete(const kube::Resource& resource, const std::string& ns, const std::string& name,
                const kube::DeleteOptions& options) override;
  void Event(const api::Json& regarding, bool warning, const std::string& reason,
             const std::string& action, const std::string& note) override;

 private:
  // Null for a resource without an informer, and for the rows, which are not held as JSON.
  kube::Informer* InformerOf(const kube::Resource& resource) const;
  Status MayWrite() const;
  // A row or a Pod, or a patch of a Pod's labels, with the term it is written in.
  api::Json Stamped(const kube::Resource& resource, api::Json object) const;
  Result<api::Json> Observed(const kube::Resource& resource, Result<api::Json> written);

  kube::Client& client_;
  ClusterState& state_;
  kube::EventRecorder& recorder_;
  const std::function<bool()> leading_;
  const std::function<std::optional<int64_t>()> term_;
};

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// The cluster as the reconcilers see it: cached reads and writes with preconditions, behind one
// small interface. KubeCluster (kube_cluster.h) is the real one; tests put an in-memory API server
// with faults behind it, so that a crash between any two writes can be tried.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/api/source.h"
#include "common/base/result.h"
#include "common/kube/client.h"
#include "common/kube/informer.h"
#include "common/kube/resource.h"
#include "common/placement/location.h"

namespace longshore::controller {

// Whether its Pod was offered nodes and, as far as the row says, has none yet.
inline bool LooksForANode(const api::BackupPod& row) {
  const std::string& state = row.status.state;
  const bool may = state.empty() || state == api::kPlanned || state == api::kProvisioning;
  return may && row.status.node_name.empty() && !row.spec.candidate_nodes.empty();
}

// Thread-safe.
class Cluster {
 public:
  virtual ~Cluster() = default;

  // From the caches, which hold our own writes at once. Null: not there. All kinds but BackupPod.
  virtual kube::ObjectPtr Get(const kube::Resource& resource, const std::string& ns,
                              const std::string& name) const = 0;
  virtual std::vector<kube::ObjectPtr> List(const kube::Resource& resource) const = 0;
  // The pod database: one row, all of a namespace, or those whose spec.requestRef names the
  // request.
  virtual api::BackupPodPtr Row(const std::string& ns, const std::string& name) const = 0;
  virtual std::vector<api::BackupPodPtr> Rows(const std::string& ns) const = 0;
  virtual std::vector<api::BackupPodPtr> RowsOf(const std::string& ns,
                                                const std::string& request) const = 0;
  // Of all requests: those that LooksForANode.
  virtual std::vector<api::BackupPodPtr> RowsLooking() const = 0;
  // Those whose spec.requestRef names the request.
  virtual std::vector<kube::ObjectPtr> OperationsOf(const std::string& ns,
                                                    const std::string& request) const = 0;
  virtual std::shared_ptr<const placement::View> View() const = 0;

  // Past the caches: for secrets, ConfigMaps, and to be certain that something is gone.
  virtual Result<api::Json> Fetch(const kube::Resource& resource, const std::string& ns,
                                  const std::string& name) = 0;
  // The same, waited for while the API server is away: what depends on the answer cannot be made up
  // for later.
  virtual Result<api::Json> FetchSurely(const kube::Resource& resource, const std::string& ns,
                                        const std::string& name) {
    return Fetch(resource, ns, name);
  }
  // Names of all of the namespace that carry the label of a request's UID.
  virtual Result<std::vector<std::string>> FetchNames(const kube::Resource& resource,
                                                      const std::string& ns) = 0;
  // What an earlier leader had on its way is refused when this one has begun: rows and Pods that it
  // creates, labels of Pods that it patches.
  virtual Result<api::Json> Create(const kube::Resource& resource, const std::string& ns,
                                   const api::Json& object) = 0;
  // Writes the status only; kConflict when the object changed since it was read.
  virtual Result<api::Json> UpdateStatus(const kube::Resource& resource, const std::string& ns,
                                         const api::Json& object) = 0;
  virtual Result<api::Json> Patch(const kube::Resource& resource, const std::string& ns,
                                  const std::string& name, kube::PatchType type,
                                  const api::Json& patch, const std::string& subresource) = 0;
  virtual Status Delete(const kube::Resource& resource, const std::string& ns,
                        const std::string& name, const kube::DeleteOptions& options) = 0;
  // A Kubernetes Event; best effort.
  virtual void Event(const api::Json& regarding, bool warning, const std::string& reason,
                     const std::string& action, const std::string& note) = 0;
};

template <class T>
const kube::Resource& ResourceOf();
template <>
inline const kube::Resource& ResourceOf<api::BackupSource>() {
  return kube::kBackupSources;
}
template <>
inline const kube::Resource& ResourceOf<api::SourceImage>() {
  return kube::kSourceImages;
}
template <>
inline const kube::Resource& ResourceOf<api::PodPolicy>() {
  return kube::kPodPolicies;
}
template <>
inline const kube::Resource& ResourceOf<api::BackupRepository>() {
  return kube::kBackupRepositories;
}
template <>
inline const kube::Resource& ResourceOf<api::ComputeRequest>() {
  return kube::kComputeRequests;
}
template <>
inline const kube::Resource& ResourceOf<api::BackupPod>() {
  return kube::kBackupPods;
}
template <>
inline const kube::Resource& ResourceOf<api::Operation>() {
  return kube::kOperations;
}

// The typed object; empty when it is not there or does not parse (which is logged).
template <class T>
std::optional<T> ReadObject(const kube::ObjectPtr& object) {
  return object ? kube::ReadOrWarn<T>(*object) : std::nullopt;
}

template <class T>
std::optional<T> Find(const Cluster& cluster, const std::string& ns, const std::string& name) {
  return ReadObject<T>(cluster.Get(ResourceOf<T>(), ns, name));
}

template <>
inline std::optional<api::BackupPod> Find(const Cluster& cluster, const std::string& ns,
                                          const std::string& name) {
  const api::BackupPodPtr row = cluster.Row(ns, name);
  return row ? std::optional(*row) : std::nullopt;
}

template <class T>
std::vector<T> ReadAll(const std::vector<kube::ObjectPtr>& objects) {
  std::vector<T> all;
  for (const kube::ObjectPtr& object : objects) {
    if (auto parsed = ReadObject<T>(object)) all.push_back(*std::move(parsed));
  }
  return all;
}

template <class T>
api::Json ToJson(const T& object) {
  api::Json json = api::WriteJson(object);
  json["kind"] = std::string(ResourceOf<T>().kind);
  return json;
}

// Writes the status under the resourceVersion that `object` was read with, and takes over the new
// one, so that a second write in the same reconcile is possible.
template <class T>
longshore::Status WriteStatus(Cluster& cluster, T& object) {
  LS_ASSIGN_OR_RETURN(const api::Json written,
                      cluster.UpdateStatus(ResourceOf<T>(), object.metadata.ns, ToJson(object)));
  object.metadata.resource_version = kube::StringAt(written, "/metadata/resourceVersion");
  return {};
}

template <class T>
Result<T> CreateObject(Cluster& cluster, const T& object) {
  LS_ASSIGN_OR_RETURN(const api::Json written,
                      cluster.Create(ResourceOf<T>(), object.metadata.ns, ToJson(object)));
  return api::ReadJson<T>(written);
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/kube_cluster.h"

#include <chrono>
#include <thread>

namespace longshore::controller {
namespace {

// A restart of the API server. Nothing could be written meanwhile anyway.
constexpr std::chrono::seconds kLongestAway{15};
constexpr std::chrono::milliseconds kReadAgain{250};

}  // namespace

KubeCluster::KubeCluster(kube::Client& client, ClusterState& state, kube::EventRecorder& recorder,
                         std::function<bool()> leading,
                         std::function<std::optional<int64_t>()> term)
    : client_(client),
      state_(state),
      recorder_(recorder),
      leading_(std::move(leading)),
      term_(std::move(term)) {}

Status KubeCluster::MayWrite() const {
  if (leading_()) return {};
  return FailedPrecondition("not certain to be the leader: nothing is written");
}

api::Json KubeCluster::Stamped(const kube::Resource& resource, api::Json object) const {
  const bool ours =
      resource.plural == kube::kPods.plural || resource.plural == kube::kBackupPods.plural;
  const auto term = ours ? term_() : std::nullopt;
  if (term && object.contains("/metadata/labels"_json_pointer)) {
    object["metadata"]["labels"][api::kLabelTerm] = std::to_string(*term);
  }
  return object;
}

kube::Informer* KubeCluster::InformerOf(const kube::Resource& resource) const {
  if (resource.plural == kube::kPods.plural) return &state_.placement.pods();
  if (resource.plural == kube::kOperations.plural) return &state_.operations;
  if (resource.plural == kube::kComputeRequests.plural) return &state_.requests;
  if (resource.plural == kube::kBackupSources.plural) return &state_.sources;
  if (resource.plural == kube::kSourceImages.plural) return &state_.images;
  if (resource.plural == kube::kPodPolicies.plural) return &state_.policies;
  if (resource.plural == kube::kBackupRepositories.plural) return &state_.repositories;
  return nullptr;
}

kube::ObjectPtr KubeCluster::Get(const kube::Resource& resource, const std::string& ns,
                                 const std::string& name) const {
  const kube::Informer* informer = InformerOf(resource);
  LS_CHECK(informer != nullptr);
  return informer->Get(ns, name);
}

std::vector<kube::ObjectPtr> KubeCluster::List(const kube::Resource& resource) const {
  const kube::Informer* informer = InformerOf(resource);
  LS_CHECK(informer != nullptr);
  return informer->List();
}

api::BackupPodPtr KubeCluster::Row(const std::string& ns, const std::string& name) const {
  return state_.backup_pods.Get(ns, name);
}

std::vector<api::BackupPodPtr> KubeCluster::Rows(const std::string& ns) const {
  return state_.backup_pods.ListByIndex(kByNamespace, ns);
}

std::vector<api::BackupPodPtr> KubeCluster::RowsOf(const std::string& ns,
                                                   const std::string& request) const {
  return state_.backup_pods.ListByIndex(kByRequest, ns + "/" + request);
}

std::vector<api::BackupPodPtr> KubeCluster::RowsLooking() const {
  return state_.backup_pods.ListByIndex(kLooking, "");
}

std::vector<kube::ObjectPtr> KubeCluster::OperationsOf(const std::string& ns,
                                                       const std::string& request) const {
  return state_.operations.ListByIndex(kByRequest, ns + "/" + request);
}

std::shared_ptr<const placement::View> KubeCluster::View() const {
  return state_.placement.Snapshot();
}

Result<api::Json> KubeCluster::Observed(const kube::Resource& resource, Result<api::Json> written) {
  kube::AnyInformer* informer = InformerOf(resource);
  if (resource.plural == kube::kBackupPods.plural) informer = &state_.backup_pods;
  if (!written || informer == nullptr) return written;
  // A write that took the last finalizer of a deleted object ended it: nothing is left to observe.
  const bool ended = !kube::StringAt(*written, "/metadata/deletionTimestamp").empty() &&
                     !written->contains("/metadata/finalizers/0"_json_pointer);
  if (!ended) informer->Observe(*written);
  return written;
}

Result<api::Json> KubeCluster::Fetch(const kube::Resource& resource, const std::string& ns,
                                     const std::string& name) {
  return client_.Get(resource, ns, name);
}

Result<api::Json> KubeCluster::FetchSurely(const kube::Resource& resource, const std::string& ns,
                                           const std::string& name) {
  const auto end = std::chrono::steady_clock::now() + kLongestAway;
  while (true) {
    auto found = client_.Get(resource, ns, name);
    const bool away = !found && (found.error().code == Code::kUnavailable ||
                                 found.error().code == Code::kDeadlineExceeded);
    if (!away || std::chrono::steady_clock::now() >= end) return found;
    std::this_thread::sleep_for(kReadAgain);
  }
}

Result<std::vector<std::string>> KubeCluster::FetchNames(const kube::Resource& resource,
                                                         const std::string& ns) {
  LS_ASSIGN_OR_RETURN(
      const kube::ListResult found,
      client_.List(resource, ns, {.label_selector = api::kLabelRequestUid, .field_selector = ""}));
  std::vector<std::string> names;
  for (const api::Json& object : found.items) names.emplace_back(kube::NameOf(object));
  return names;
}

Result<api::Json> KubeCluster::Create(const kube::Resource& resource, const std::string& ns,
                                      const api::Json& object) {
  LS_RETURN_IF_ERROR(MayWrite());
  return Observed(resource, client_.Create(resource, ns, Stamped(resource, object)));
}

Result<api::Json> KubeCluster::UpdateStatus(const kube::Resource& resource, const std::string& ns,
                                            const api::Json& object) {
  LS_RETURN_IF_ERROR(MayWrite());
  return Observed(resource, client_.Update(resource, ns, object, "status"));
}

Result<api::Json> KubeCluster::Patch(const kube::Resource& resource, const std::string& ns,
                                     const std::string& name, kube::PatchType type,
                                     const api::Json& patch, const std::string& subresource) {
  LS_RETURN_IF_ERROR(MayWrite());
  return Observed(resource,
                  client_.Patch(resource, ns, name, type, Stamped(resource, patch), subresource));
}

Status KubeCluster::Delete(const kube::Resource& resource, const std::string& ns,
                           const std::string& name, const kube::DeleteOptions& options) {
  LS_RETURN_IF_ERROR(MayWrite());
  return client_.Delete(resource, ns, name, options);
}

void KubeCluster::Event(const api::Json& regarding, bool warning, const std::string& reason,
                        const std::string& action, const std::string& note) {
  recorder_.Record(regarding, warning ? "Warning" : "Normal", reason, action, note);
}

}  // namespace longshore::controller

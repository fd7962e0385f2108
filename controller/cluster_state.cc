// SPDX-License-Identifier: Apache-2.0
#include "controller/cluster_state.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/log.h"

namespace longshore::controller {
namespace {

constexpr char kByRequest[] = "request";

// Index key of an object that names its request in spec.requestRef: "NAMESPACE/NAME".
std::vector<std::string> RequestKeys(const kube::Json& object) {
  const std::string_view name = kube::StringAt(object, "/spec/requestRef/name");
  if (name.empty()) return {};
  return {std::string(kube::NamespaceOf(object)) + "/" + std::string(name)};
}

template <class T>
std::optional<T> Parse(const kube::ObjectPtr& object) {
  if (!object) return std::nullopt;
  auto parsed = api::ReadJson<T>(*object);
  if (parsed) return *std::move(parsed);
  LogWarn("object does not parse", {{"kind", kube::StringAt(*object, "/kind")},
                                    {"namespace", kube::NamespaceOf(*object)},
                                    {"name", kube::NameOf(*object)},
                                    {"error", parsed.error().message}});
  return std::nullopt;
}

template <class T>
std::vector<T> ParseAll(const std::vector<kube::ObjectPtr>& objects) {
  std::vector<T> all;
  all.reserve(objects.size());
  for (const kube::ObjectPtr& object : objects) {
    if (auto parsed = Parse<T>(object)) all.push_back(*std::move(parsed));
  }
  return all;
}

}  // namespace

ClusterState::ClusterState(kube::Client& client)
    : sources(client, kube::kBackupSources),
      images(client, kube::kSourceImages),
      policies(client, kube::kPodPolicies),
      repositories(client, kube::kBackupRepositories),
      requests(client, kube::kComputeRequests),
      backup_pods(client, kube::kBackupPods),
      operations(client, kube::kOperations),
      placement(client) {
  backup_pods.AddIndex(kByRequest, RequestKeys);
  operations.AddIndex(kByRequest, RequestKeys);
}

void ClusterState::Start() {
  placement.Start();
  for (auto* informer :
       {&sources, &images, &policies, &repositories, &requests, &backup_pods, &operations}) {
    informer->Start();
  }
}

void ClusterState::Stop() {
  for (auto* informer :
       {&sources, &images, &policies, &repositories, &requests, &backup_pods, &operations}) {
    informer->Stop();
  }
  placement.Stop();
}

bool ClusterState::WaitForSync(std::chrono::milliseconds timeout) const {
  const auto deadline = Clock::Real().Monotonic() + timeout;
  const auto left = [&] {
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::duration_cast<std::chrono::milliseconds>(
                        deadline - Clock::Real().Monotonic()));
  };
  for (const auto* informer :
       {&sources, &images, &policies, &repositories, &requests, &backup_pods, &operations}) {
    if (!informer->WaitForSync(left())) return false;
  }
  return placement.WaitForSync(left());
}

std::vector<const kube::Informer*> ClusterState::informers() const {
  std::vector<const kube::Informer*> all = placement.informers();
  all.insert(all.end(),
             {&sources, &images, &policies, &repositories, &requests, &backup_pods, &operations});
  return all;
}

template <class T>
std::optional<T> Find(const kube::Informer& informer, const std::string& ns,
                      const std::string& name) {
  return Parse<T>(informer.Get(ns, name));
}

template <class T>
std::vector<T> ListAll(const kube::Informer& informer) {
  return ParseAll<T>(informer.List());
}

#define LS_INSTANTIATE(T)                                                      \
  template std::optional<T> Find<T>(const kube::Informer&, const std::string&, \
                                    const std::string&);                       \
  template std::vector<T> ListAll<T>(const kube::Informer&)
LS_INSTANTIATE(api::BackupSource);
LS_INSTANTIATE(api::SourceImage);
LS_INSTANTIATE(api::PodPolicy);
LS_INSTANTIATE(api::BackupRepository);
LS_INSTANTIATE(api::ComputeRequest);
LS_INSTANTIATE(api::BackupPod);
LS_INSTANTIATE(api::Operation);
#undef LS_INSTANTIATE

std::vector<api::BackupPod> PodsOfRequest(const ClusterState& state, const std::string& ns,
                                          const std::string& request) {
  return ParseAll<api::BackupPod>(state.backup_pods.ListByIndex(kByRequest, ns + "/" + request));
}

std::vector<api::Operation> OperationsOfRequest(const ClusterState& state, const std::string& ns,
                                                const std::string& request) {
  return ParseAll<api::Operation>(state.operations.ListByIndex(kByRequest, ns + "/" + request));
}

}  // namespace longshore::controller

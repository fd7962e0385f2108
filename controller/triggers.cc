// SPDX-License-Identifier: Apache-2.0
#include "controller/triggers.h"

#include "controller/environment.h"

namespace longshore::controller {
namespace {

using kube::ObjectPtr;

std::string Key(const char* kind, std::string_view ns, std::string_view name) {
  return std::string(kind) + "/" + std::string(ns) + "/" + std::string(name);
}

std::string KeyOf(const char* kind, const ObjectPtr& object) {
  return Key(kind, kube::NamespaceOf(*object), kube::NameOf(*object));
}

// Whether more than the status changed: metadata.generation counts changes of the spec.
bool SpecChanged(const ObjectPtr& before, const ObjectPtr& after) {
  if (!before || !after) return true;
  static const api::Json::json_pointer kGeneration("/metadata/generation");
  return !before->contains(kGeneration) || !after->contains(kGeneration) ||
         before->at(kGeneration) != after->at(kGeneration);
}

void WakeRequest(kube::WorkQueue& queue, std::string_view ns, std::string_view request) {
  if (!request.empty()) queue.Add(Key(kRequestKey, ns, request));
}

}  // namespace

void ConnectTriggers(ClusterState& state, PodIndex& index, kube::WorkQueue& queue) {
  state.requests.OnChange([&](const ObjectPtr& before, const ObjectPtr& after) {
    queue.Add(KeyOf(kRequestKey, after ? after : before));
  });
  state.backup_pods.OnChange([&](const auto& before, const auto& after) {
    const api::BackupPod& row = after ? *after : *before;
    queue.Add(Key(kPodKey, row.metadata.ns, row.metadata.name));
    WakeRequest(queue, row.metadata.ns, row.spec.request_ref.name);
  });
  state.operations.OnChange([&](const ObjectPtr& before, const ObjectPtr& after) {
    const ObjectPtr& operation = after ? after : before;
    queue.Add(KeyOf(kOperationKey, operation));
    if (!after) {
      // Deleted: whoever works on it must stop.
      const std::string_view pod = kube::StringAt(*operation, "/status/pod");
      if (!pod.empty()) queue.Add(Key(kPodKey, kube::NamespaceOf(*operation), pod));
      WakeRequest(queue, kube::NamespaceOf(*operation),
                  kube::StringAt(*operation, "/spec/requestRef/name"));
    }
  });
  // Whatever a request may refer to: a missing object that appears, or one that changes.
  for (kube::Informer* informer :
       {&state.sources, &state.images, &state.policies, &state.repositories}) {
    informer->OnChange([&](const ObjectPtr& before, const ObjectPtr& after) {
      if (!SpecChanged(before, after)) return;
      for (const ObjectPtr& request : state.requests.List()) {
        queue.Add(KeyOf(kRequestKey, request));
      }
    });
  }
  state.sources.OnChange([&](const ObjectPtr& before, const ObjectPtr& after) {
    if (after && SpecChanged(before, after)) queue.Add(KeyOf(kSourceKey, after));
  });
  // Whether a source's kind has an image.
  state.images.OnChange([&](const ObjectPtr& before, const ObjectPtr& after) {
    if (!SpecChanged(before, after)) return;
    for (const ObjectPtr& source : state.sources.List()) queue.Add(KeyOf(kSourceKey, source));
  });
  state.placement.pods().OnChange([&](const ObjectPtr& before, const ObjectPtr& after) {
    if (const auto pod = index.OnChange(before, after)) {
      queue.Add(Key(kPodKey, pod->ns, pod->name));
    }
  });
}

}  // namespace longshore::controller

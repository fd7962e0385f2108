// SPDX-License-Identifier: Apache-2.0
#include "controller/census.h"

#include <algorithm>
#include <optional>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "controller/environment.h"
#include "controller/pod_reconciler.h"

namespace longshore::controller {
namespace {

int64_t DesiredPods(const kube::ObjectPtr& request) {
  static const api::Json::json_pointer kDesired("/status/desiredPods");
  if (!request->contains(kDesired)) return 0;
  const api::Json& desired = request->at(kDesired);
  return desired.is_number_integer() ? desired.get<int64_t>() : 0;
}

void AddLease(const api::BackupPod& pod, Census& census) {
  const auto& lease = pod.status.lease;
  if (!lease || lease->holder.empty()) return;
  ++(lease->operation.empty() ? census.leases_acquired : census.leases_working);
}

// Since when those that are ending are, by "NS/NAME".
std::map<std::string, WallTime> Ending(const std::vector<kube::ObjectPtr>& requests, WallTime now) {
  std::map<std::string, WallTime> ending;
  for (const kube::ObjectPtr& object : requests) {
    const bool may = object->contains("/metadata/deletionTimestamp"_json_pointer) ||
                     object->contains("/spec/lifetimeSeconds"_json_pointer);
    const auto request = may ? ReadObject<api::ComputeRequest>(object) : std::nullopt;
    const auto since = request ? EndingSince(*request, now) : std::nullopt;
    if (since) ending[request->metadata.Key()] = *since;
  }
  return ending;
}

}  // namespace

Census TakeCensus(const std::vector<kube::ObjectPtr>& requests,
                  const std::vector<api::BackupPodPtr>& backup_pods,
                  const std::vector<kube::ObjectPtr>& operations, WallTime now) {
  Census census;
  for (const kube::ObjectPtr& request : requests) census.wanted_pods += DesiredPods(request);
  const auto ending = Ending(requests, now);
  for (const api::BackupPodPtr& pod : backup_pods) {
    const std::string& state = pod->status.state;
    ++census.pods[api::StateOf(*pod)];
    AddLease(*pod, census);
    std::chrono::nanoseconds drains{0};
    if (state == api::kDraining) drains = Since(pod->status.last_transition_time, now);
    if (state == api::kAssigned) {
      const auto request = ending.find(pod->metadata.ns + "/" + pod->spec.request_ref.name);
      if (request != ending.end()) drains = now - request->second;
    }
    census.oldest_drain = std::max(census.oldest_drain, drains);
  }
  for (const kube::ObjectPtr& operation : operations) {
    const std::string_view state = kube::StringAt(*operation, "/status/state");
    ++census.operations[state.empty() ? api::kQueued : std::string(state)];
  }
  return census;
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/census.h"

#include <algorithm>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "controller/environment.h"

namespace longshore::controller {
namespace {

std::string StateOf(const kube::ObjectPtr& object, const char* initial) {
  const std::string_view state = kube::StringAt(*object, "/status/state");
  return state.empty() ? initial : std::string(state);
}

int64_t DesiredPods(const kube::ObjectPtr& request) {
  static const api::Json::json_pointer kDesired("/status/desiredPods");
  if (!request->contains(kDesired)) return 0;
  const api::Json& desired = request->at(kDesired);
  return desired.is_number_integer() ? desired.get<int64_t>() : 0;
}

void AddLease(const kube::ObjectPtr& pod, Census& census) {
  if (kube::StringAt(*pod, "/status/lease/holder").empty()) return;
  const bool works = !kube::StringAt(*pod, "/status/lease/operation").empty();
  ++(works ? census.leases_working : census.leases_acquired);
}

}  // namespace

Census TakeCensus(const std::vector<kube::ObjectPtr>& requests,
                  const std::vector<kube::ObjectPtr>& backup_pods,
                  const std::vector<kube::ObjectPtr>& operations, WallTime now) {
  Census census;
  for (const kube::ObjectPtr& request : requests) census.wanted_pods += DesiredPods(request);
  for (const kube::ObjectPtr& pod : backup_pods) {
    const std::string state = StateOf(pod, api::kPlanned);
    ++census.pods[state];
    AddLease(pod, census);
    if (state != api::kDraining) continue;
    const std::string since(kube::StringAt(*pod, "/status/lastTransitionTime"));
    census.oldest_drain = std::max(census.oldest_drain, Since(since, now));
  }
  for (const kube::ObjectPtr& operation : operations) {
    ++census.operations[StateOf(operation, api::kQueued)];
  }
  return census;
}

}  // namespace longshore::controller

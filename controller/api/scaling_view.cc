// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/requests/{namespace}/{name}/scaling: why a request has as many pods as it has: the last
// decisions with all who had a say, what is measured now, what holds it.
#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {
namespace {

// Those that say something about the number of pods, and whether they work.
Json ScalingConditions(const api::ComputeRequestStatus& status) {
  Json list = Json::array();
  for (const char* type :
       {"PodsProvisioned", "ScalingActive", "ScalingLimited", "DeadlineAtRisk", "OutOfMemory"}) {
    const api::Condition* condition = api::FindCondition(status.conditions, type);
    if (condition != nullptr) list.push_back(api::WriteJson(*condition));
  }
  return list;
}

}  // namespace

Result<http::Response> ExplainScaling(ApiContext& api, const Caller& caller,
                                      const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(api.auth.Allow(
      caller,
      {.verb = "get", .ns = name.ns, .name = name.name, .resource = kube::kComputeRequests}));
  LS_ASSIGN_OR_RETURN(const Json object, GetObject(api, kube::kComputeRequests, api.state.requests,
                                                   name.ns, name.name));
  LS_ASSIGN_OR_RETURN(const auto found, api::ReadJson<api::ComputeRequest>(object));
  const api::ComputeRequestStatus& status = found.status;
  Json view = {{"namespace", name.ns},
               {"name", name.name},
               {"desiredPods", status.desired_pods},
               {"conditions", ScalingConditions(status)},
               {"decisions", Json::array()},
               {"now", nullptr}};
  if (!status.predicted_finish_time.empty()) {
    view["predictedFinishTime"] = status.predicted_finish_time;
  }
  const auto notes = api.live.Scaling(found.metadata.uid);
  if (notes) {
    for (const api::ScalingDecision& decision : notes->decisions) {
      view["decisions"].push_back(api::WriteJson(decision));
    }
    if (!notes->now.time.empty()) view["now"] = api::WriteJson(notes->now);
  }
  // A new leader knows only what is durable.
  if (view["decisions"].empty() && !status.last_decision.time.empty()) {
    view["decisions"].push_back(api::WriteJson(status.last_decision));
  }
  return JsonResponse(view);
}

}  // namespace longshore::controller

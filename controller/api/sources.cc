// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/sources: what can be backed up and which parts it has, for those who may read it; and
// where its data is.
#include <algorithm>
#include <optional>

#include "controller/api/objects.h"
#include "controller/api/placement_view.h"
#include "controller/api/view.h"
#include "controller/cluster.h"
#include "controller/policy_demand.h"

namespace longshore::controller {
namespace {

// The source that the path names, for a caller who may read it.
Result<Json> ReadSource(ApiContext& api, const Caller& caller, const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(api.auth.Allow(
      caller, {.verb = "get", .ns = name.ns, .name = name.name, .resource = kube::kBackupSources}));
  return GetObject(api, kube::kBackupSources, api.state.sources, name.ns, name.name);
}

// No pod is asked for, and each policy that a request for the source may name says something else:
// the most that any of them lets a pod do.
placement::PodDemand DemandOfAny(const ApiContext& api, const api::BackupSource& source) {
  placement::PodDemand any;
  AddPolicy({}, any);
  std::optional<int> headroom;
  for (const auto& policy : ReadAll<api::PodPolicy>(api.state.policies.List())) {
    if (!Admits(source, policy.metadata.ns)) continue;
    placement::PodDemand one;
    AddPolicy(policy.spec, one);
    any.tolerations->insert(any.tolerations->end(), one.tolerations->begin(),
                            one.tolerations->end());
    headroom = std::min(headroom.value_or(one.headroom_percent), one.headroom_percent);
  }
  any.headroom_percent = headroom.value_or(any.headroom_percent);
  return any;
}

}  // namespace

Result<http::Response> ListSources(ApiContext& api, const Caller& caller,
                                   const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {"namespace"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, QueryNamespace(request));
  const std::string cursor = CurrentCursor(api);
  LS_ASSIGN_OR_RETURN(const auto objects,
                      ListAllowed(api, caller, kube::kBackupSources, api.state.sources, ns));
  std::vector<Json> items;
  for (const auto& object : objects) items.push_back(ObjectView(*object));
  return ListResponse(std::move(items), cursor);
}

Result<http::Response> GetSource(ApiContext& api, const Caller& caller,
                                 const http::Request& request) {
  LS_ASSIGN_OR_RETURN(const Json object, ReadSource(api, caller, request));
  return JsonResponse(ObjectView(object));
}

// What steering would go by at this moment. No pod is asked for, so it needs no room.
Result<http::Response> LocateSource(ApiContext& api, const Caller& caller,
                                    const http::Request& request) {
  LS_ASSIGN_OR_RETURN(const Json object, ReadSource(api, caller, request));
  LS_ASSIGN_OR_RETURN(const auto source, api::ReadJson<api::BackupSource>(object));
  const auto snapshot = api.state.placement.Snapshot();
  const placement::Location location = placement::Locate(source, *snapshot);
  return JsonResponse(
      {{"source", {{"namespace", source.metadata.ns}, {"name", source.metadata.name}}},
       {"placement", object.value("/spec/placement"_json_pointer, Json::object())},
       {"location", LocationView(location)},
       {"ranking",
        ScoresView(placement::RankNodes(source, location, *snapshot, DemandOfAny(api, source),
                                        api.live.NodePressure(), {}, kNodesShown))}});
}

}  // namespace longshore::controller

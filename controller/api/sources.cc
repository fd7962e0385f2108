// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/sources: what can be backed up and which parts it has, for those who may read it.
#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {

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
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(api.auth.Allow(
      caller, {.verb = "get", .ns = name.ns, .name = name.name, .resource = kube::kBackupSources}));
  LS_ASSIGN_OR_RETURN(const Json object,
                      GetObject(api, kube::kBackupSources, api.state.sources, name.ns, name.name));
  return JsonResponse(ObjectView(object));
}

}  // namespace longshore::controller

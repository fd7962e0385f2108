// SPDX-License-Identifier: Apache-2.0
//
// /v1/requests: what the storage manager asks for.
#include "common/scaling/deadline.h"
#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {
namespace {

Status CheckRequestRights(ApiContext& api, const Caller& caller, const char* verb,
                          const ObjectName& name) {
  return api.auth.Allow(
      caller, {.verb = verb, .ns = name.ns, .name = name.name, .resource = kube::kComputeRequests});
}

// {"namespace","spec"} of a POST, with what can be checked before the API server sees it.
Result<api::ComputeRequestSpec> ReadRequestSpec(const Json& body) {
  const auto spec = body.find("spec");
  if (spec == body.end()) return InvalidArgument("spec: is required");
  LS_RETURN_IF_ERROR(CheckNumbers(*spec, "ComputeRequestSpec"));
  LS_ASSIGN_OR_RETURN(auto read, ReadStrict<api::ComputeRequestSpec>(*spec, "spec"));
  if (!read.policy_ref.name.empty()) {
    LS_RETURN_IF_ERROR(CheckName("spec.policyRef.name", read.policy_ref.name));
  }
  if (!read.deadline.empty() && !ParseTime(read.deadline)) {
    return InvalidArgument("spec.deadline: expected a time such as 2026-01-31T06:00:00Z");
  }
  const std::string& daily = read.daily_deadline;
  if (!daily.empty() && !scaling::NextDaily(daily, WallTime())) {
    return InvalidArgument("spec.dailyDeadline: expected a time of the day such as 06:00Z");
  }
  return read;
}

}  // namespace

Result<http::Response> CreateRequest(ApiContext& api, const Caller& caller,
                                     const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const std::string key, IdempotencyKey(request));
  LS_ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"namespace", "spec"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, RequiredString(body, "namespace"));
  LS_RETURN_IF_ERROR(CheckNamespace("namespace", ns));
  LS_RETURN_IF_ERROR(CheckRequestRights(api, caller, "create", {ns, ""}));
  LS_ASSIGN_OR_RETURN(const api::ComputeRequestSpec spec, ReadRequestSpec(body));
  LS_RETURN_IF_ERROR(CheckSourceAccess(api, caller, "get", spec.source_ref, ns));

  NewObject wanted{.resource = kube::kComputeRequests,
                   .informer = api.state.requests,
                   .ns = ns,
                   .name = DerivedName("req-", ns, caller.username, key),
                   .labels = {},
                   .spec = body.at("spec"),
                   .body_hash = BodyHash(body),
                   .user = caller.username};
  AddLabel(wanted.labels, api::kLabelSource, spec.source_ref.name);
  LS_ASSIGN_OR_RETURN(const CreatedObject done, CreateOnce(api, wanted));
  return JsonResponse(ObjectView(done.object), done.created ? 201 : 200);
}

Result<http::Response> ListRequests(ApiContext& api, const Caller& caller,
                                    const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {"namespace", "source"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, QueryNamespace(request));
  const std::string source = request.Query("source");
  const std::string cursor = CurrentCursor(api);
  LS_ASSIGN_OR_RETURN(const auto objects,
                      ListAllowed(api, caller, kube::kComputeRequests, api.state.requests, ns));
  std::vector<Json> items;
  for (const auto& object : objects) {
    if (!source.empty() && kube::StringAt(*object, "/spec/sourceRef/name") != source) continue;
    items.push_back(ObjectView(*object));
  }
  return ListResponse(std::move(items), cursor);
}

Result<http::Response> GetRequest(ApiContext& api, const Caller& caller,
                                  const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(CheckRequestRights(api, caller, "get", name));
  LS_ASSIGN_OR_RETURN(const Json object, GetObject(api, kube::kComputeRequests, api.state.requests,
                                                   name.ns, name.name));
  return JsonResponse(ObjectView(object));
}

// A merge patch (RFC 7396) of the view, limited to what may change: spec.pods, demand, deadlines.
Result<http::Response> PatchRequest(ApiContext& api, const Caller& caller,
                                    const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"spec"}));
  LS_RETURN_IF_ERROR(CheckRequestRights(api, caller, "update", name));
  LS_ASSIGN_OR_RETURN(const api::ComputeRequestSpec read, ReadRequestSpec(body));
  static_cast<void>(read);  // types and times are checked; the API server checks the merged whole
  for (const auto& [field, value] : body.at("spec").items()) {
    const bool may =
        field == "pods" || field == "demand" || field == "deadline" || field == "dailyDeadline";
    if (!may) {
      return InvalidArgument("spec." + field +
                             ": cannot be changed; pods, demand, deadline and dailyDeadline can. "
                             "Make a new request for anything else");
    }
  }
  LS_RETURN_IF_ERROR(
      GetObject(api, kube::kComputeRequests, api.state.requests, name.ns, name.name));
  const auto patched = api.kube.Patch(kube::kComputeRequests, name.ns, name.name,
                                      kube::PatchType::kMerge, {{"spec", body.at("spec")}});
  if (!patched) return FieldFirst(patched.error());
  api.state.requests.Observe(*patched);
  return JsonResponse(ObjectView(*patched));
}

// Idle pods go at once, busy ones after their operation: the object stays until then, hence 202.
Result<http::Response> DeleteRequest(ApiContext& api, const Caller& caller,
                                     const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(CheckRequestRights(api, caller, "delete", name));
  LS_ASSIGN_OR_RETURN(const Json object, GetObject(api, kube::kComputeRequests, api.state.requests,
                                                   name.ns, name.name));
  // The UID keeps a late repetition from deleting a newer request of the same name.
  const Status deleted = api.kube.Delete(kube::kComputeRequests, name.ns, name.name,
                                         {.uid = std::string(kube::UidOf(object))});
  if (!deleted && deleted.error().code != Code::kNotFound) return deleted.error();
  Json view = ObjectView(object);
  if (!view.contains("deletedAt")) view["deletedAt"] = FormatTimeSeconds(api.clock.Now());
  return JsonResponse(view, 202);
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// /v1/operations: backups, restores, verifications and checks, their progress and their end.
#include <algorithm>

#include "common/api/request.h"
#include "common/api/source_ref.h"
#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {
namespace {

Status CheckOperationRights(ApiContext& api, const Caller& caller, const char* verb,
                            const ObjectName& name) {
  return api.auth.Allow(
      caller, {.verb = verb, .ns = name.ns, .name = name.name, .resource = kube::kOperations});
}

Json ViewWithProgress(const ApiContext& api, const Json& operation) {
  return OperationView(operation, api.live.Progress(std::string(kube::NamespaceOf(operation)),
                                                    std::string(kube::NameOf(operation))));
}

Result<api::OperationSpec> ReadOperationSpec(const Json& body) {
  const auto spec = body.find("spec");
  if (spec == body.end()) return InvalidArgument("spec: is required");
  LS_ASSIGN_OR_RETURN(auto read, ReadStrict<api::OperationSpec>(*spec, "spec"));
  const bool known = read.type == api::kBackup || read.type == api::kRestore ||
                     read.type == api::kVerify || read.type == api::kCheck;
  if (!known) return InvalidArgument("spec.type: must be Backup, Restore, Verify or Check");
  LS_RETURN_IF_ERROR(CheckName("spec.requestRef.name", read.request_ref.name));
  if (!read.pod_ref.name.empty()) {
    LS_RETURN_IF_ERROR(CheckName("spec.podRef.name", read.pod_ref.name));
  }
  const bool reads_copy = read.type == api::kRestore || read.type == api::kVerify;
  if (reads_copy && read.copy_id.empty()) {
    return InvalidArgument("spec.copyID: is required for " + read.type +
                           "; GET /v1/copies lists what there is");
  }
  if (!reads_copy && !read.copy_id.empty()) {
    return InvalidArgument("spec.copyID: only Restore and Verify read a copy");
  }
  if (read.cancel) return InvalidArgument("spec.cancel: a new operation cannot be cancelled yet");
  return read;
}

// A copy holds its source's data: to write it elsewhere needs the `restore` verb on the target and
// on the source it was made of; when nobody remembers which that was, on all sources.
Status CheckRestoreRights(ApiContext& api, const Caller& caller, const api::OperationSpec& spec,
                          const std::string& ns) {
  LS_RETURN_IF_ERROR(CheckSourceAccess(api, caller, "restore", spec.source_ref, ns));
  for (const auto& operation : api.state.operations.List()) {
    if (kube::StringAt(*operation, "/status/copy/id") != spec.copy_id) continue;
    const Json copy = CopyView(*operation);
    if (copy.is_null()) continue;
    const api::NamespacedRef origin{copy.at("source"), copy.at("sourceNamespace")};
    return CheckSourceAccess(api, caller, "restore", origin, origin.ns);
  }
  return api.auth.Allow(caller, {.verb = "restore", .resource = kube::kBackupSources});
}

Status CheckSpecRights(ApiContext& api, const Caller& caller, const api::OperationSpec& spec,
                       const std::string& ns) {
  if (spec.type == api::kRestore) return CheckRestoreRights(api, caller, spec, ns);
  return CheckSourceAccess(api, caller, "get", spec.source_ref, ns);
}

// The text of a refusal, or empty.
std::string OtherSource(const api::OperationSpec& spec, const std::string& ns,
                        const Json& request) {
  const auto own = api::ReadJson<api::ComputeRequestSpec>(request.at("spec"), "spec");
  if (!own) return "";  // not ours to judge: the controller refuses such a request
  return api::OtherSource(api::SourceKey(spec.source_ref, ns), ns + "/" + spec.request_ref.name,
                          api::SourceKey(own->source_ref, ns));
}

// The request whose pods may do it, which has to take work.
Result<Json> RequestOf(ApiContext& api, const api::OperationSpec& spec, const std::string& ns) {
  Result<Json> request =
      GetObject(api, kube::kComputeRequests, api.state.requests, ns, spec.request_ref.name);
  if (!request && request.error().code == Code::kNotFound) {
    return InvalidArgument("spec.requestRef.name: request " + ns + "/" + spec.request_ref.name +
                           " does not exist");
  }
  if (request && !kube::StringAt(*request, "/metadata/deletionTimestamp").empty()) {
    return FailedPrecondition("spec.requestRef.name: request " + ns + "/" + spec.request_ref.name +
                              " is being deleted");
  }
  return request;
}

// References that must fit, so that a mistake is told now and not minutes later by a condition.
Status CheckReferences(ApiContext& api, const Caller& caller, const api::OperationSpec& spec,
                       const std::string& ns) {
  const std::string source_ns = api::NamespaceOfSource(spec.source_ref, ns);
  const auto source = api.state.sources.Get(source_ns, spec.source_ref.name);
  if (source && spec.type == api::kBackup && !spec.part.empty()) {
    const Json parts = source->at("spec").value("parts", Json::array());
    if (!parts.empty() && std::find(parts.begin(), parts.end(), spec.part) == parts.end()) {
      return InvalidArgument("spec.part: source " + spec.source_ref.name +
                             " has no such part; it has " +
                             parts.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
  }
  if (spec.pod_ref.name.empty()) return {};
  const auto pod = api.state.backup_pods.Get(ns, spec.pod_ref.name);
  if (!pod || !pod->status.lease || pod->status.lease->holder != caller.username) {
    return FailedPrecondition("spec.podRef.name: you do not hold pod " + spec.pod_ref.name +
                              "; acquire it first, or leave podRef out");
  }
  return {};
}

}  // namespace

Result<http::Response> CreateOperation(ApiContext& api, const Caller& caller,
                                       const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const std::string key, IdempotencyKey(request));
  LS_ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"namespace", "spec"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, RequiredString(body, "namespace"));
  LS_RETURN_IF_ERROR(CheckNamespace("namespace", ns));
  LS_RETURN_IF_ERROR(CheckOperationRights(api, caller, "create", {ns, ""}));
  LS_ASSIGN_OR_RETURN(const api::OperationSpec spec, ReadOperationSpec(body));
  LS_RETURN_IF_ERROR(CheckSpecRights(api, caller, spec, ns));

  NewObject wanted{.resource = kube::kOperations,
                   .informer = api.state.operations,
                   .ns = ns,
                   .name = DerivedName("op-", ns, caller.username, key),
                   .labels = {},
                   .spec = body.at("spec"),
                   .body_hash = BodyHash(body),
                   .user = caller.username};
  AddLabel(wanted.labels, api::kLabelSource, spec.source_ref.name);
  AddLabel(wanted.labels, api::kLabelRequest, spec.request_ref.name);
  // A repetition gets its answer even when the request is gone by now.
  if (!api.state.operations.Get(ns, wanted.name)) {
    LS_ASSIGN_OR_RETURN(const Json of, RequestOf(api, spec, ns));
    if (const std::string other = OtherSource(spec, ns, of); !other.empty()) {
      return http::Problem(422, "Unprocessable Content", other);
    }
    LS_RETURN_IF_ERROR(CheckReferences(api, caller, spec, ns));
  }
  LS_ASSIGN_OR_RETURN(const CreatedObject done, CreateOnce(api, wanted));
  return JsonResponse(ViewWithProgress(api, done.object), done.created ? 201 : 200);
}

Result<http::Response> ListOperations(ApiContext& api, const Caller& caller,
                                      const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {"namespace", "request", "source", "state"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, QueryNamespace(request));
  const std::string of_request = request.Query("request"), source = request.Query("source");
  const std::string state = request.Query("state");
  const std::string cursor = CurrentCursor(api);
  LS_ASSIGN_OR_RETURN(const auto objects,
                      ListAllowed(api, caller, kube::kOperations, api.state.operations, ns));
  std::vector<Json> items;
  for (const auto& object : objects) {
    const auto field = [&](const char* pointer) { return kube::StringAt(*object, pointer); };
    if (!of_request.empty() && field("/spec/requestRef/name") != of_request) continue;
    if (!source.empty() && field("/spec/sourceRef/name") != source) continue;
    if (!state.empty() && OperationState(*object) != state) continue;
    items.push_back(ViewWithProgress(api, *object));
  }
  return ListResponse(std::move(items), cursor);
}

Result<http::Response> GetOperation(ApiContext& api, const Caller& caller,
                                    const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(CheckOperationRights(api, caller, "get", name));
  LS_ASSIGN_OR_RETURN(const Json object,
                      GetObject(api, kube::kOperations, api.state.operations, name.ns, name.name));
  return JsonResponse(ViewWithProgress(api, object));
}

// Idempotent; an operation that has ended stays as it ended.
Result<http::Response> CancelOperation(ApiContext& api, const Caller& caller,
                                       const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(ParseBody(request, {}));
  LS_RETURN_IF_ERROR(CheckOperationRights(api, caller, "update", name));
  LS_ASSIGN_OR_RETURN(Json object,
                      GetObject(api, kube::kOperations, api.state.operations, name.ns, name.name));
  const bool cancelled = object.value("/spec/cancel"_json_pointer, false);
  if (!cancelled && !IsTerminal(OperationState(object))) {
    LS_ASSIGN_OR_RETURN(
        object, api.kube.Patch(kube::kOperations, name.ns, name.name, kube::PatchType::kMerge,
                               {{"spec", {{"cancel", true}}}}));
    api.state.operations.Observe(object);
  }
  return JsonResponse(ViewWithProgress(api, object));
}

}  // namespace longshore::controller

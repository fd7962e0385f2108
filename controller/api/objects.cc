// SPDX-License-Identifier: Apache-2.0
#include "controller/api/objects.h"

#include <algorithm>

#include "common/api/source_ref.h"
#include "common/base/strings.h"

namespace longshore::controller {

Result<std::string> IdempotencyKey(const http::Request& request) {
  const std::string key = request.Header("idempotency-key");
  if (key.empty()) {
    return InvalidArgument(
        "header Idempotency-Key: is required; send a new UUID for each new wish and the same one "
        "when you repeat it");
  }
  if (key.size() > 128)
    return InvalidArgument("header Idempotency-Key: longer than 128 characters");
  if (!std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    return InvalidArgument("header Idempotency-Key: use printable ASCII without spaces");
  }
  return key;
}

std::string DerivedName(const std::string& prefix, const std::string& ns, const std::string& user,
                        const std::string& key) {
  return prefix + Sha256Hex(ns + '\0' + user + '\0' + key).substr(0, 10);
}

std::string BodyHash(const Json& body) {
  return Sha256Hex(body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void AddLabel(std::map<std::string, std::string>& labels, const char* key,
              const std::string& value) {
  if (!value.empty() && value.size() <= 63) labels[key] = value;
}

Error FieldFirst(Error error) {
  constexpr std::string_view kRefused = " is invalid: ";
  const size_t at = error.message.find(kRefused);
  if (error.code == Code::kInvalidArgument && at != std::string::npos) {
    error.message.erase(0, at + kRefused.size());
  }
  return error;
}

Result<CreatedObject> CreateOnce(ApiContext& api, const NewObject& wanted) {
  std::map<std::string, std::string> labels = wanted.labels;
  labels[api::kLabelManagedBy] = "longshore";
  const Json object = {
      {"apiVersion", api::kApiVersion},
      {"kind", std::string(wanted.resource.kind)},
      {"metadata",
       {{"name", wanted.name},
        {"namespace", wanted.ns},
        {"labels", labels},
        {"annotations",
         {{kAnnotationBodyHash, wanted.body_hash}, {api::kAnnotationCreatedBy, wanted.user}}}}},
      {"spec", wanted.spec}};
  Result<Json> created = api.kube.Create(wanted.resource, wanted.ns, object);
  if (created) {
    wanted.informer.Observe(*created);
    return CreatedObject{std::move(*created), true};
  }
  if (created.error().code != Code::kAlreadyExists) return FieldFirst(created.error());
  LS_ASSIGN_OR_RETURN(Json present, api.kube.Get(wanted.resource, wanted.ns, wanted.name));
  // Who may create objects with kubectl could put one of this name before a key that he guesses.
  if (kube::AnnotationOf(present, api::kAnnotationCreatedBy) != wanted.user) {
    return Conflict("header Idempotency-Key: " + wanted.ns + "/" + wanted.name +
                    ", which this key stands for, was made by somebody else; use a new key");
  }
  if (kube::AnnotationOf(present, kAnnotationBodyHash) != wanted.body_hash) {
    return Conflict("header Idempotency-Key: was used before with another body, for " + wanted.ns +
                    "/" + wanted.name + "; use a new key for a new wish");
  }
  return CreatedObject{std::move(present), false};
}

namespace {
Result<Json> FetchObject(ApiContext& api, const kube::Resource& resource, const std::string& ns,
                         const std::string& name) {
  Result<Json> object = api.kube.Get(resource, ns, name);
  if (!object && object.error().code == Code::kNotFound) {
    return NotFound(std::string(resource.kind) + " " + ns + "/" + name + " does not exist");
  }
  return object;
}
}  // namespace

Result<Json> GetObject(ApiContext& api, const kube::Resource& resource,
                       const kube::Informer& informer, const std::string& ns,
                       const std::string& name) {
  if (const kube::ObjectPtr known = informer.Get(ns, name)) return *known;
  return FetchObject(api, resource, ns, name);
}

Result<api::BackupPod> GetRow(ApiContext& api, const std::string& ns, const std::string& name) {
  if (const api::BackupPodPtr row = api.state.backup_pods.Get(ns, name)) return *row;
  LS_ASSIGN_OR_RETURN(const Json row, FetchObject(api, kube::kBackupPods, ns, name));
  return api::ReadJson<api::BackupPod>(row);
}

Result<std::vector<kube::ObjectPtr>> ListAllowed(ApiContext& api, const Caller& caller,
                                                 const kube::Resource& resource,
                                                 const kube::Informer& informer,
                                                 const std::string& ns) {
  LS_RETURN_IF_ERROR(api.auth.Allow(caller, {.verb = "list", .ns = ns, .resource = resource}));
  std::vector<kube::ObjectPtr> objects = informer.List();
  if (!ns.empty()) {
    std::erase_if(objects, [&](const auto& object) { return kube::NamespaceOf(*object) != ns; });
  }
  return objects;
}

Result<std::string> QueryNamespace(const http::Request& request) {
  std::string ns = request.Query("namespace");
  if (!ns.empty()) LS_RETURN_IF_ERROR(CheckNamespace("query parameter namespace", ns));
  return ns;
}

std::string CurrentCursor(ApiContext& api) {
  const auto page = api.events.Read("now", std::chrono::milliseconds(0));
  return page ? page->cursor : "";
}

Status CheckSourceAccess(ApiContext& api, const Caller& caller, const std::string& verb,
                         const api::NamespacedRef& source, const std::string& ns) {
  LS_RETURN_IF_ERROR(CheckName("spec.sourceRef.name", source.name));
  if (!source.ns.empty()) LS_RETURN_IF_ERROR(CheckNamespace("spec.sourceRef.namespace", source.ns));
  return api.auth.Allow(caller, {.verb = verb,
                                 .ns = api::NamespaceOfSource(source, ns),
                                 .name = source.name,
                                 .resource = kube::kBackupSources});
}

}  // namespace longshore::controller

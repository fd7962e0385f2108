// SPDX-License-Identifier: Apache-2.0
//
// What the handlers of requests, operations and sources share: creating an object exactly once per
// idempotency key, reading one, and listing those of the namespaces that the caller may see.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/api/context.h"

namespace longshore::controller {

// Annotation on what the API creates, beside api::kAnnotationCreatedBy.
inline constexpr char kAnnotationBodyHash[] = "longshore.dev/idempotency-hash";

// The Idempotency-Key header: required, 1 to 128 printable ASCII characters.
Result<std::string> IdempotencyKey(const http::Request& request);

// PREFIX and 10 hex digits of SHA-256 over namespace, user and key: the same caller with the same
// key always means the same object, another caller never does.
std::string DerivedName(const std::string& prefix, const std::string& ns, const std::string& user,
                        const std::string& key);
// SHA-256 of the parsed body with sorted fields: white space and order don't matter.
std::string BodyHash(const Json& body);

struct NewObject {
  const kube::Resource& resource;
  kube::Informer& informer;
  std::string ns, name;
  std::map<std::string, std::string> labels;
  Json spec;
  std::string body_hash, user;
};
struct CreatedObject {
  Json object;
  bool created = false;  // false: it was there, made by the same call before
};
// Errors: kConflict when the key was used with another body; what the API server says (validation
// names the field).
Result<CreatedObject> CreateOnce(ApiContext& api, const NewObject& wanted);

// Labels of ours; a value that is too long for a label is left out.
void AddLabel(std::map<std::string, std::string>& labels, const char* key,
              const std::string& value);

// The schema's refusal of an object ("create … is invalid: spec.pods.max: …") without what comes
// before the field: the caller made a spec and knows no object of ours yet. Others as they are.
Error FieldFirst(Error error);

// From the informer, and from the API server when the informer doesn't have it (yet).
Result<Json> GetObject(ApiContext& api, const kube::Resource& resource,
                       const kube::Informer& informer, const std::string& ns,
                       const std::string& name);

// Likewise.
Result<api::BackupPod> GetRow(ApiContext& api, const std::string& ns, const std::string& name);

// Objects of one namespace, or of all when `ns` is empty, after checking that the caller may list
// them there.
Result<std::vector<kube::ObjectPtr>> ListAllowed(ApiContext& api, const Caller& caller,
                                                 const kube::Resource& resource,
                                                 const kube::Informer& informer,
                                                 const std::string& ns);

// The ?namespace= parameter, checked; empty when absent.
Result<std::string> QueryNamespace(const http::Request& request);

// Where events will go on from what is listed after this call.
std::string CurrentCursor(ApiContext& api);

// Whoever names a source must be able to read it.
Status CheckSourceAccess(ApiContext& api, const Caller& caller, const std::string& verb,
                         const api::NamespacedRef& source, const std::string& ns);

}  // namespace longshore::controller

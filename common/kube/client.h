// SPDX-License-Identifier: Apache-2.0
//
// Typed-by-resource, JSON-by-content access to a Kubernetes API server. Thread-safe: it keeps a
// small pool of connections. Retries only what is safe (429 and 5xx that carry Retry-After, and
// reads); a failed write is reported, the caller reads again and decides.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/api/archive.h"
#include "common/base/result.h"
#include "common/kube/config.h"
#include "common/kube/resource.h"

namespace longshore::kube {

using api::Json;

enum class PatchType { kMerge, kJson };

struct ListOptions {
  std::string label_selector, field_selector;
};

struct DeleteOptions {
  std::string uid, resource_version;  // preconditions, if not empty
  int64_t grace_period_seconds = -1;  // -1: the object's own
  std::string propagation_policy;     // "Background", "Foreground", "Orphan"; empty: default
};

struct ListResult {
  std::vector<Json> items;
  std::string resource_version;
};

class Client {
 public:
  static Result<std::unique_ptr<Client>> Create(Config config, std::string user_agent);
  ~Client();

  Result<Json> Get(const Resource& resource, const std::string& ns, const std::string& name);
  // All pages (500 a page; an expired continue token starts again).
  Result<ListResult> List(const Resource& resource, const std::string& ns,
                          const ListOptions& options = {});
  Result<Json> Create(const Resource& resource, const std::string& ns, const Json& object);
  // PUT; the object's resourceVersion is the precondition (kConflict when it does not hold).
  Result<Json> Update(const Resource& resource, const std::string& ns, const Json& object,
                      const std::string& subresource = "");
  // Preconditions: a resourceVersion in a merge patch, a "test" in a JSON patch (kConflict).
  Result<Json> Patch(const Resource& resource, const std::string& ns, const std::string& name,
                     PatchType type, const Json& patch, const std::string& subresource = "");
  // Server-side apply as `field_manager`; conflicts are errors unless `force`.
  Result<Json> Apply(const Resource& resource, const std::string& ns, const Json& object,
                     const std::string& field_manager, bool force = false,
                     const std::string& subresource = "");
  // kNotFound is an error here too; callers that only want it gone ignore it.
  Status Delete(const Resource& resource, const std::string& ns, const std::string& name,
                const DeleteOptions& options = {});

  // POSTs to a subresource or a review ("token" of a service account, TokenReview, …).
  Result<Json> Post(const std::string& path, const Json& body);
  Result<std::string> GetRaw(const std::string& path);

  const Config& config() const;
  const std::string& user_agent() const;

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Who a bearer token belongs to, by TokenReview. Errors: kUnauthenticated, kUnavailable where we
// ourselves are refused, or the API's own.
struct UserInfo {
  std::string username, uid;
  std::vector<std::string> groups;
  // From the "authentication.kubernetes.io/…" extra fields of a token that is bound to a pod.
  std::string pod_name, pod_uid, node_name;
};
Result<UserInfo> ReviewToken(Client& client, const std::string& token,
                             const std::vector<std::string>& audiences);

// Whether the user may do it, by SubjectAccessReview. Errors: kPermissionDenied with the reason,
// naming verb and resource; kUnavailable where we ourselves are refused, or the API's own.
struct Access {
  std::string verb, ns, name, subresource;
  Resource resource;
};
Status CheckAccess(Client& client, const UserInfo& user, const Access& access);

}  // namespace longshore::kube

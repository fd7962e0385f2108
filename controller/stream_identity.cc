// SPDX-License-Identifier: Apache-2.0
#include "controller/stream_identity.h"

#include "common/api/meta.h"
#include "common/base/strings.h"

namespace longshore::controller {
namespace {

constexpr char kPrefix[] = "system:serviceaccount:";

struct ServiceAccount {
  std::string ns, name;
};

Result<ServiceAccount> ParseServiceAccount(const std::string& username) {
  const auto parts = Split(username, ':');
  if (!username.starts_with(kPrefix) || parts.size() != 4) {
    return Error{Code::kPermissionDenied, "only service accounts may open streams"};
  }
  return ServiceAccount{parts[2], parts[3]};
}

Error Denied(const std::string& path, const kube::UserInfo& user) {
  return {Code::kPermissionDenied, user.username + " may not open " + path};
}

}  // namespace

Result<std::string> IdentityFor(const std::string& path, const kube::UserInfo& user) {
  LS_ASSIGN_OR_RETURN(const ServiceAccount account, ParseServiceAccount(user.username));
  const bool system = account.ns == api::kSystemNamespace;
  if (path == kAgentsPath) {
    if (!system || account.name != "longshore-nodeagent") return Denied(path, user);
    if (user.node_name.empty()) {
      return Error{Code::kPermissionDenied,
                   "the token names no node: agents need the projected "
                   "token of their own pod"};
    }
    return user.node_name;
  }
  if (path == kWorkersPath) {
    // Any service account of a backup namespace: a policy may name another than longshore-worker.
    // What counts is the pod that the token is bound to.
    if (system || user.pod_uid.empty() || user.pod_name.empty()) return Denied(path, user);
    return account.ns + "/" + user.pod_name + "/" + user.pod_uid;
  }
  if (path == kPressurePath) {
    if (!system || account.name != "longshore-extender") return Denied(path, user);
    return user.pod_name.empty() ? user.username : user.pod_name;
  }
  return NotFound("no stream at " + path);
}

Status AdmitWorker(const WorkerIdentity& worker, const api::BackupPodPtr& row, bool synced) {
  const std::string uid = row ? row->status.pod_uid : "";
  if (uid == worker.uid) return {};
  const std::string pod = worker.ns + "/" + worker.pod;
  if (!synced) return Unavailable("the controller is starting; try again");
  // The Pod is created first, then its UID is written down.
  if (row && uid.empty()) return Unavailable("Pod " + pod + " is being recorded; try again");
  if (row) {
    return Error{Code::kPermissionDenied,
                 "BackupPod " + pod + " is of another Pod than the one that calls"};
  }
  return Error{Code::kPermissionDenied,
               "Pod " + pod + " has no BackupPod: only backup pods may open " + kWorkersPath};
}

Result<WorkerIdentity> ParseWorkerIdentity(const std::string& identity) {
  const auto parts = Split(identity, '/');
  if (parts.size() != 3) return InvalidArgument("not a worker's identity");
  return WorkerIdentity{parts[0], parts[1], parts[2]};
}

}  // namespace longshore::controller

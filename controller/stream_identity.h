// SPDX-License-Identifier: Apache-2.0
//
// Who may open which stream: a node agent for its own node, a worker for its own pod, an extender.
// Pure; used by the stream hub.
#pragma once

#include <string>

#include "common/api/request.h"
#include "common/kube/client.h"
#include "controller/worker_table.h"

namespace longshore::controller {

inline constexpr char kAgentsPath[] = "/v1/agents";
inline constexpr char kWorkersPath[] = "/v1/workers";
inline constexpr char kPressurePath[] = "/v1/pressure";

// The identity that goes with the connection: the node's name on /v1/agents, "NAMESPACE/POD/UID" on
// /v1/workers, the pod's name on /v1/pressure. Errors: kPermissionDenied for a token that is not
// for this path, kNotFound for an unknown path.
Result<std::string> IdentityFor(const std::string& path, const kube::UserInfo& user);

// Only a Pod that a BackupPod's row names may speak as a worker: `row` is the one of the Pod's
// name, null when there is none. Errors: kUnavailable while that cannot be known yet (`synced`: the
// rows are listed), so that the worker tries again; kPermissionDenied for a Pod that is none of
// ours.
Status AdmitWorker(const WorkerIdentity& worker, const api::BackupPodPtr& row, bool synced);

// Undoes the identity of /v1/workers.
Result<WorkerIdentity> ParseWorkerIdentity(const std::string& identity);

}  // namespace longshore::controller

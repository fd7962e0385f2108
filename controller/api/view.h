// SPDX-License-Identifier: Apache-2.0
//
// How the API shows the cluster's objects: {"namespace","name","uid","createdAt","spec","status"},
// and flat rows for pods and copies. Pure: objects and live data in, JSON out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/http/server.h"
#include "common/kube/informer.h"
#include "controller/live_view.h"

namespace longshore::controller {

using api::Json;

Json ObjectView(const Json& object);
// With the progress that the worker reported last, where that is newer than the object's.
Json OperationView(const Json& operation, const std::optional<api::OperationProgress>& live);
// A row of the pod database; `usage` is null when the last sample is older than five seconds.
Json PodView(const api::BackupPod& backup_pod, const std::optional<UsageSample>& usage);
// The copy that a succeeded Backup operation made; null for every other operation.
Json CopyView(const Json& operation);

// {"cpu":"412m","memory":"104857600","ioPressure":"3%",…}, as thresholds are written.
Json UsageView(const UsageSample& sample);

// Its first one while status is empty.
std::string OperationState(const Json& operation);
bool IsTerminal(std::string_view operation_state);

http::Response JsonResponse(const Json& body, int status = 200);
// {"items":[…],"cursor":"…"}, ordered by namespace and name.
http::Response ListResponse(std::vector<Json> items, const std::string& cursor);

}  // namespace longshore::controller

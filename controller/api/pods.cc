// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/pods: the pod database as the storage manager sees it, with the newest usage merged in.
#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {
namespace {

std::optional<UsageSample> NewestUsage(const ApiContext& api, const api::BackupPod& row) {
  const std::string& uid = row.status.pod_uid;
  if (uid.empty()) return std::nullopt;
  std::vector<UsageSample> samples = api.live.Usage(uid, 1);
  if (samples.empty()) return std::nullopt;
  return std::move(samples.back());
}

Status CheckState(const std::string& state) {
  static const std::vector<std::string> kStates = {
      api::kPlanned,  api::kProvisioning,  api::kAvailable, api::kAssigned,
      api::kDraining, api::kDeconstructed, api::kFailed,    api::kLost};
  if (state.empty()) return {};
  for (const std::string& known : kStates) {
    if (state == known) return {};
  }
  return InvalidArgument(
      "query parameter state: must be one of Planned, Provisioning, Available, "
      "Assigned, Draining, Deconstructed, Failed, Lost");
}

}  // namespace

Result<http::Response> ListPods(ApiContext& api, const Caller& caller,
                                const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {"namespace", "request", "source", "state"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, QueryNamespace(request));
  const std::string of_request = request.Query("request"), source = request.Query("source");
  const std::string state = request.Query("state");
  LS_RETURN_IF_ERROR(CheckState(state));
  const std::string cursor = CurrentCursor(api);
  LS_RETURN_IF_ERROR(
      api.auth.Allow(caller, {.verb = "list", .ns = ns, .resource = kube::kBackupPods}));
  const auto rows = ns.empty() ? api.state.backup_pods.List()
                               : api.state.backup_pods.ListByIndex(kByNamespace, ns);
  std::vector<Json> items;
  for (const auto& row : rows) {
    if (!of_request.empty() && row->spec.request_ref.name != of_request) continue;
    if (!source.empty() && row->spec.source_ref.name != source) continue;
    if (!state.empty() && api::StateOf(*row) != state) continue;
    items.push_back(PodView(*row, NewestUsage(api, *row)));
  }
  return ListResponse(std::move(items), cursor);
}

}  // namespace longshore::controller

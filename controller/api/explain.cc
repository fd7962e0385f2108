// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/explain/{namespace}/{pod}: why a backup pod is where it is and does what it does: its
// row, where the data is, how the nodes rank now, what the extender decided, and the measured
// usage. ?node=NODE: what would have to be otherwise for that node to come first.
#include "common/api/source_ref.h"
#include "controller/api/objects.h"
#include "controller/api/placement_view.h"
#include "controller/api/view.h"
#include "controller/cluster.h"

namespace longshore::controller {
namespace {

constexpr size_t kSamplesShown = 30;

// Of the row's request; empty when one of them is gone.
std::optional<api::PodPolicy> PolicyOf(const ApiContext& api, const api::BackupPod& row) {
  const auto request = api.state.requests.Get(row.metadata.ns, row.spec.request_ref.name);
  if (!request) return std::nullopt;
  return ReadObject<api::PodPolicy>(api.state.policies.Get(
      row.metadata.ns, std::string(kube::StringAt(*request, "/spec/policyRef/name"))));
}

// Nothing when the source is gone.
Status AddPlacement(ApiContext& api, const api::BackupPod& row, const std::string& asked,
                    Json& view) {
  const std::string& ns = row.metadata.ns;
  const auto object = api.state.sources.Get(api::NamespaceOfSource(row.spec.source_ref, ns),
                                            row.spec.source_ref.name);
  if (!object) return {};
  const auto source = api::ReadJson<api::BackupSource>(*object);
  if (!source) return {};
  const auto policy = PolicyOf(api, row);
  const auto pod = api.state.placement.pods().Get(ns, row.metadata.name);
  LS_ASSIGN_OR_RETURN(
      const Json placement,
      PlacementView(*source, policy ? &policy->spec : nullptr, pod.get(), row.spec.image,
                    *api.state.placement.Snapshot(), api.live.NodePressure(), asked));
  view.update(placement);
  return {};
}

Json VerdictsView(const std::vector<Verdict>& verdicts) {
  Json list = Json::array();
  for (const Verdict& verdict : verdicts) {
    list.push_back({{"time", verdict.time},
                    {"verb", verdict.verb},
                    {"location", verdict.location},
                    {"snapshotAgeMs", verdict.snapshot_age_ms},
                    {"nodesOffered", verdict.nodes_offered},
                    {"nodes", ScoresView(verdict.nodes)}});
  }
  return list;
}

Json SamplesView(const std::vector<UsageSample>& samples) {
  Json list = Json::array();
  for (const UsageSample& sample : samples) {
    list.push_back({{"time", sample.time}, {"ageMs", sample.age_ms}, {"usage", UsageView(sample)}});
  }
  return list;
}

// The part of the request that led to this pod: which image and why, the last scaling decision.
Json RequestPart(const ApiContext& api, const api::BackupPod& row) {
  const auto request = api.state.requests.Get(row.metadata.ns, row.spec.request_ref.name);
  if (!request) return nullptr;
  const Json status = request->value("status", Json::object());
  return {{"name", kube::NameOf(*request)},
          {"image", status.value("image", Json())},
          {"lastDecision", status.value("lastDecision", Json())},
          {"conditions", status.value("conditions", Json::array())}};
}

}  // namespace

Result<http::Response> ExplainPod(ApiContext& api, const Caller& caller,
                                  const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {"node"}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request, "pod"));
  LS_RETURN_IF_ERROR(api.auth.Allow(
      caller, {.verb = "get", .ns = name.ns, .name = name.name, .resource = kube::kBackupPods}));
  LS_ASSIGN_OR_RETURN(const api::BackupPod row, GetRow(api, name.ns, name.name));
  const std::string& uid = row.status.pod_uid;
  const auto samples =
      uid.empty() ? std::vector<UsageSample>() : api.live.Usage(uid, kSamplesShown);
  Json view = {
      {"pod", PodView(row, samples.empty() ? std::nullopt : std::optional(samples.back()))},
      {"spec", api::WriteJson(row.spec)},
      {"request", RequestPart(api, row)},
      {"workerAgeMs", uid.empty() ? Json() : Json(api.live.WorkerAgeMs(uid))},
      {"location", nullptr},
      {"ranking", Json::array()},
      {"verdicts", uid.empty() ? Json::array() : VerdictsView(api.live.Verdicts(uid))},
      {"samples", SamplesView(samples)}};
  LS_RETURN_IF_ERROR(AddPlacement(api, row, request.Query("node"), view));
  return JsonResponse(view);
}

}  // namespace longshore::controller

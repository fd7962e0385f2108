// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/explain/{namespace}/{pod}: why a backup pod is where it is and does what it does: its
// row, where the data is, how the nodes rank now, what the extender decided, and the measured
// usage. ?node=NODE: what would have to be otherwise for that node to come first.
#include "controller/api/objects.h"
#include "controller/api/placement_view.h"
#include "controller/api/view.h"

namespace longshore::controller {
namespace {

constexpr size_t kSamplesShown = 30;

// Nothing when the source is gone.
Status AddPlacement(ApiContext& api, const Json& row, const std::string& asked, Json& view) {
  const std::string ns(kube::NamespaceOf(row));
  std::string source_ns(kube::StringAt(row, "/spec/sourceRef/namespace"));
  if (source_ns.empty()) source_ns = ns;
  const auto object =
      api.state.sources.Get(source_ns, std::string(kube::StringAt(row, "/spec/sourceRef/name")));
  if (!object) return {};
  const auto source = api::ReadJson<api::BackupSource>(*object);
  if (!source) return {};
  const auto pod = api.state.placement.pods().Get(ns, std::string(kube::NameOf(row)));
  LS_ASSIGN_OR_RETURN(const Json placement,
                      PlacementView(*source, pod.get(), *api.state.placement.Snapshot(),
                                    api.live.NodePressure(), asked));
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
Json RequestPart(const ApiContext& api, const Json& row) {
  const auto request =
      api.state.requests.Get(std::string(kube::NamespaceOf(row)),
                             std::string(kube::StringAt(row, "/spec/requestRef/name")));
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
  LS_ASSIGN_OR_RETURN(const Json row,
                      GetObject(api, kube::kBackupPods, api.state.backup_pods, name.ns, name.name));
  const std::string uid(kube::StringAt(row, "/status/podUID"));
  const auto samples =
      uid.empty() ? std::vector<UsageSample>() : api.live.Usage(uid, kSamplesShown);
  Json view = {
      {"pod", PodView(row, samples.empty() ? std::nullopt : std::optional(samples.back()))},
      {"spec", row.value("spec", Json::object())},
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

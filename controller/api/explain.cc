// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/explain/{namespace}/{pod}: why a backup pod is where it is and does what it does: its
// row, where the data is, how the nodes rank now, what the extender decided, and the measured
// usage.
#include "common/base/strings.h"
#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {
namespace {

constexpr size_t kNodesShown = 20;
constexpr size_t kSamplesShown = 30;

Json ScoreView(const placement::NodeScore& score) {
  return {{"node", score.node},
          {"tier", placement::TierName(score.tier)},
          {"feasible", score.feasible},
          {"score", score.score},
          {"localityPoints", score.locality_points},
          {"pressurePoints", score.pressure_points},
          {"roomPoints", score.room_points},
          {"reasons", score.reasons}};
}

Json ScoresView(const std::vector<placement::NodeScore>& scores) {
  Json list = Json::array();
  for (const auto& score : scores) {
    if (list.size() == kNodesShown) break;
    list.push_back(ScoreView(score));
  }
  return list;
}

// The requests of the Pod's containers; zero where it asks for nothing.
placement::PodDemand DemandOf(const Json& pod) {
  placement::PodDemand demand;
  const Json containers = pod.value("/spec/containers"_json_pointer, Json::array());
  for (const Json& container : containers) {
    const Json requests = container.value("/resources/requests"_json_pointer, Json::object());
    const auto quantity = [&](const char* name) {
      return ParseQuantityMilli(requests.value(name, "0")).value_or(0);
    };
    demand.cpu_milli += quantity("cpu");
    demand.memory_bytes += quantity("memory") / 1000;
  }
  return demand;
}

Json LocationView(const placement::Location& location) {
  return {{"nodes", location.nodes},   {"rack", location.rack},     {"zone", location.zone},
          {"region", location.region}, {"method", location.method}, {"reason", location.reason}};
}

// Where the data is and how every node ranks at this moment; null when the source is gone.
void AddPlacement(ApiContext& api, const Json& row, Json& view) {
  const std::string ns(kube::NamespaceOf(row));
  std::string source_ns(kube::StringAt(row, "/spec/sourceRef/namespace"));
  if (source_ns.empty()) source_ns = ns;
  const auto object =
      api.state.sources.Get(source_ns, std::string(kube::StringAt(row, "/spec/sourceRef/name")));
  if (!object) return;
  const auto source = api::ReadJson<api::BackupSource>(*object);
  if (!source) return;
  const auto snapshot = api.state.placement.Snapshot();
  const auto location = placement::Locate(*source, *snapshot);
  view["location"] = LocationView(location);
  const auto pod = api.state.placement.pods().Get(ns, std::string(kube::NameOf(row)));
  const auto demand = pod ? DemandOf(*pod) : placement::PodDemand{};
  view["ranking"] = ScoresView(
      placement::RankNodes(*source, location, *snapshot, demand, api.live.NodePressure(), {}));
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
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
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
  AddPlacement(api, row, view);
  return JsonResponse(view);
}

}  // namespace longshore::controller

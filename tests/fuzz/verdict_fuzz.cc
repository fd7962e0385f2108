// SPDX-License-Identifier: Apache-2.0
//
// The extender behind its parser, on a cluster of five nodes. The first byte says what the others
// are: 0 a body of the scheduler's, 1 a message of the leader's, 2 the target of a GET that a
// person sends.
#include <algorithm>
#include <string>

#include "common/base/log.h"
#include "common/http/router.h"
#include "common/messages/silence.h"
#include "extender/server.h"
#include "tests/extender/fakes.h"
#include "tests/fuzz/extender_checks.h"

namespace longshore::extender {
namespace {

struct Cluster5 : World {
  Cluster5() {
    auto& view = *cluster.view;
    view.AddNode("n1", "r1", "za", "eu").backup_pods = 2;
    view.AddNode("n2", "r1", "za", "eu").backup_pods = 1;
    view.AddNode("n3", "r3", "za", "eu").cpu_requested_milli = 3900;
    view.AddNode("n4", "r4", "zb", "eu");
    view.AddNode("n5", "r5", "zc", "us").ready = false;
    view.attached[{"backup", "claim"}] = {"n2"};
    Add("orders", {.node_name = "n1"}, "Prefer");
    Add("near", {.node_name = "n1"}, "Require");  // in the zone of n1, n2 and n3
    Add("lost", {}, "Require");
    pressure.Set({{"n1", {.cpu_used_milli = 3000, .cpu_capacity_milli = 4000, .age_ms = 10}}},
                 clock.now);
  }
  void Add(const std::string& name, const api::SourceLocation& location, const std::string& mode) {
    api::BackupSource source = placement::MakeSource(location, mode, "Zone");
    source.metadata.name = name;
    cluster.SetSource(std::move(source));
  }
};

// What the pod's source and policy demand of the nodes that pass.
void CheckDemands(const Cluster5& world, const PodArgument& pod,
                  const std::set<std::string>& passed) {
  const std::string_view ns = pod.source_namespace.empty() ? pod.ns : pod.source_namespace;
  if (world.cluster.Source(std::string(ns), std::string(pod.source)) == nullptr) return;
  if (pod.source == "near" && pod.placement_mode != "Prefer") {
    LS_CHECK(!passed.contains("n4") && !passed.contains("n5"));
  }
  if (pod.source == "lost" && pod.placement_mode != "Prefer") LS_CHECK(passed.empty());
  if (pod.max_backup_pods == 0) return;
  LS_CHECK(passed.size() <= 1);
  for (const std::string& node : passed) {
    const placement::NodeInfo* info = world.cluster.view->Node(node);
    LS_CHECK(info == nullptr || info->backup_pods < pod.max_backup_pods);
  }
}

// Of each verdict made, everybody who asks for its pod is told.
void CheckExplained(const Cluster5& world) {
  VerdictLog log(10);
  for (const auto& verdict : world.sink.verdicts) log.Add(verdict);
  for (const auto& verdict : world.sink.verdicts) {
    const std::string &ns = verdict.pod_namespace(), &pod = verdict.pod_name();
    if (ns.empty() || pod.empty() || (ns + pod).find('/') != std::string::npos) continue;
    http::Request request;
    request.query.emplace("pod", ns + "/" + pod);
    const http::Response response = ExplainPod(request, log);
    LS_CHECK(response.status == 200);
    const auto told = nlohmann::json::parse(response.body);
    for (const auto& item : told.at("items")) {
      LS_CHECK(item.at("namespace") == ns && item.at("pod") == pod);
    }
  }
}

void FuzzBody(const std::string& body) {
  Cluster5 world;
  const std::string filtered = world.service.Filter(body);
  const std::string scored = world.service.Prioritize(body);
  const auto arguments = ReadArguments(body);
  if (!arguments.has_value()) {
    LS_CHECK(nlohmann::json::parse(filtered).at("Error") != "");
    LS_CHECK(scored == "[]" && world.sink.verdicts.empty());
    return;
  }
  const auto passed = CheckFilterReply(*arguments, filtered);
  if (arguments->by_name) CheckDemands(world, arguments->pod, passed);
  CheckScores(*arguments, scored);
  CheckExplained(world);
  // A scheduler that lost the reply asks again.
  LS_CHECK(world.service.Filter(body) == filtered);
}

void FuzzPressure(std::string_view message) {
  const auto pressure = ReadPressure(message);
  if (!pressure.has_value()) return;
  Cluster5 world;
  for (const int64_t age_ms : {0, 4000, 1'000'000}) {
    world.pressure.Set(*pressure, world.clock.now - std::chrono::milliseconds(age_ms));
    const auto& table = *world.pressure.table;
    for (const auto& [node, said] : *pressure) {
      const int points = placement::PressurePoints(table.Of(node, world.clock.now));
      LS_CHECK(points >= 0 && points <= placement::kMaxPressurePoints);
    }
    const std::string body = RequestBody({"n1", "n2", "n3", "n4", "n5", "n6"});
    CheckScores(*ReadArguments(body), world.service.Prioritize(body));
  }
}

void FuzzTarget(std::string_view target) {
  http::Request request;
  if (!http::ParseTarget(target, request)) return;
  Cluster5 world;
  VerdictLog log(10);
  world.service.Prioritize(RequestBody({"n1", "n2"}));
  for (const auto& verdict : world.sink.verdicts) log.Add(verdict);
  const http::Response explained = ExplainPod(request, log);
  LS_CHECK(explained.status == 200 || explained.status == 400 || explained.status == 404);
  LS_CHECK((explained.status == 200) == (request.Query("pod") == "backup/p-u1"));
  LS_CHECK(nlohmann::json::accept(explained.body));
  const http::Response listed = ListVerdicts(request, log);
  LS_CHECK(listed.status == 200);
  const std::string ns = request.Query("namespace");
  const size_t expected = ns.empty() || ns == "backup" ? 1 : 0;
  LS_CHECK(nlohmann::json::parse(listed.body).at("items").size() == expected);
}

}  // namespace
}  // namespace longshore::extender

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  longshore::SetLogLevel(longshore::LogLevel::kError);
  longshore::messages::SilenceProtobuf();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string rest(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      longshore::extender::FuzzBody(rest);
      break;
    case 1:
      longshore::extender::FuzzPressure(rest);
      break;
    default:
      longshore::extender::FuzzTarget(rest);
  }
  return 0;
}

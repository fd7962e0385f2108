// SPDX-License-Identifier: Apache-2.0
//
// longshore record REQUEST: what its pods use, a line each second. longshore simulate FILE --trace:
// what another scaling would have made of that, without a cluster.
#include <CLI/CLI.hpp>
#include <cmath>
#include <optional>
#include <ostream>

#include "cli/explain.h"
#include "cli/fields.h"
#include "cli/request_file.h"
#include "cli/session.h"
#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/base/files.h"
#include "common/base/strings.h"
#include "common/scaling/replay.h"

namespace longshore::cli {
namespace {

constexpr std::chrono::milliseconds kInterval{1000};

// ---- record ------------------------------------------------------------------------------------

struct RecordFlags {
  std::string request, lasts = "10m";
};

std::string Line(const std::string& time, const Json& pod, int64_t queued) {
  Json line = {{"time", time}, {"queued", queued}};
  const std::string state = Text(pod, "/state");
  if (state == api::kAvailable || state == api::kAssigned) {
    line["pod"] = Text(pod, "/name");
    line["state"] = state;
    line["usage"] = At(pod, "/usage").is_object() ? At(pod, "/usage") : Json::object();
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Status Record(Session& session, const RecordFlags& flags) {
  LS_ASSIGN_OR_RETURN(const int64_t seconds, ParseSeconds(flags.lasts));
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const auto request, session.ParseName(flags.request));
  // One that there is not would have no pods, either.
  LS_RETURN_IF_ERROR(api->Get(RequestPath(request.ns, request.name)));
  const MonotonicTime end = session.io.clock.Monotonic() + std::chrono::seconds(seconds);
  while (session.io.clock.Monotonic() < end) {
    LS_ASSIGN_OR_RETURN(
        const Json pods,
        api->Get(WithQuery("/v1/pods", {{"namespace", request.ns}, {"request", request.name}})));
    LS_ASSIGN_OR_RETURN(const Json waiting,
                        api->Get(WithQuery("/v1/operations", {{"namespace", request.ns},
                                                              {"request", request.name},
                                                              {"state", api::kQueued}})));
    const std::string time = FormatTime(session.io.clock.Now());
    const auto queued = static_cast<int64_t>(Items(waiting).size());
    bool any = false;
    for (const Json& pod : Items(pods)) {
      if (api::Ended(Text(pod, "/state"))) continue;
      session.io.out << Line(time, pod, queued);
      any = true;
    }
    if (!any) session.io.out << Line(time, Json(), queued);
    session.io.out.flush();
    if (!session.io.sleep(kInterval)) return Error{Code::kCancelled, "what was recorded is whole"};
  }
  return {};
}

// ---- simulate ----------------------------------------------------------------------------------

constexpr int64_t kLongestProvisioning = 24 * 3600;

struct SimulateFlags {
  std::string file, trace, provisioning = "2s";
  std::optional<std::string> cpu_request, memory_request, cpu_limit;
};

// A quantity over 0: of nothing there are no percentages, and nothing runs within a limit of 0.
Status SetQuantity(const char* flag, const std::string& text, std::string& quantity) {
  const auto milli = ParseQuantityMilli(text);
  if (!milli || *milli <= 0) {
    return InvalidArgument(std::string(flag) + " " + text +
                           ": must be a quantity over 0, such as 200m (of cpu) or 192Mi");
  }
  quantity = text;
  return {};
}

Result<api::ResourceRequirements> Resources(const SimulateFlags& flags) {
  api::ResourceRequirements resources;
  auto &requests = resources.requests, &limits = resources.limits;
  if (flags.cpu_request) {
    LS_RETURN_IF_ERROR(SetQuantity("--cpu-request", *flags.cpu_request, requests["cpu"]));
  }
  if (flags.memory_request) {
    LS_RETURN_IF_ERROR(SetQuantity("--memory-request", *flags.memory_request, requests["memory"]));
  }
  if (flags.cpu_limit) {
    LS_RETURN_IF_ERROR(SetQuantity("--cpu-limit", *flags.cpu_limit, limits["cpu"]));
  }
  if (flags.cpu_request && flags.cpu_limit &&
      *ParseQuantityMilli(*flags.cpu_limit) < *ParseQuantityMilli(*flags.cpu_request)) {
    return InvalidArgument("--cpu-limit " + *flags.cpu_limit +
                           ": must be at least --cpu-request, which is " + *flags.cpu_request);
  }
  return resources;
}

Result<std::chrono::seconds> Provisioning(const SimulateFlags& flags) {
  const auto seconds = ParseSeconds(flags.provisioning);
  if (!seconds) return Annotate(seconds.error(), "--provisioning");
  if (*seconds > kLongestProvisioning) {
    return InvalidArgument("--provisioning " + flags.provisioning + ": must be at most 24h");
  }
  return std::chrono::seconds(*seconds);
}

Status Simulate(Session& session, const SimulateFlags& flags) {
  scaling::ReplayInput input;
  LS_ASSIGN_OR_RETURN(const api::ComputeRequestSpec spec, ReadRequestFile(flags.file));
  LS_ASSIGN_OR_RETURN(const api::ResourceRequirements resources, Resources(flags));
  input.pods = spec.pods;
  auto policy = scaling::ResolvePolicy(spec.scaling, resources);
  if (!policy) {
    return Annotate(policy.error(), flags.file +
                                        " (requests of the pod: --cpu-request, "
                                        "--memory-request)");
  }
  input.policy = *std::move(policy);
  LS_ASSIGN_OR_RETURN(input.provisioning, Provisioning(flags));
  LS_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.trace));
  auto trace = scaling::ReadTrace(text);
  if (!trace) return Annotate(trace.error(), flags.trace);
  input.trace = *std::move(trace);
  const scaling::ReplayResult result = scaling::Replay(input);

  Json document = {{"decisions", api::JsonWriter::Write(result.decisions)},
                   {"podSeconds", std::llround(result.pod_seconds)},
                   {"recordedPodSeconds", std::llround(result.recorded_pod_seconds)},
                   {"mostPods", result.most_pods}};
  if (session.json()) {
    session.Print(document, "simulation", {});
    return {};
  }
  const Json& decisions = Items(document, "/decisions");
  session.io.out << (decisions.empty() ? "Nothing would have been decided.\n"
                                       : RenderDecisions(decisions, "TIME"))
                 << "\n"
                 << Text(document, "/podSeconds") << " pod-seconds, at most "
                 << Text(document, "/mostPods") << " pods; recorded were "
                 << Text(document, "/recordedPodSeconds") << " pod-seconds\n";
  return {};
}

}  // namespace

void AddSimulateCommands(CLI::App& app, Session& session) {
  const auto record_flags = std::make_shared<RecordFlags>();
  auto* record = app.add_subcommand("record", "What a request's pods use, for longshore simulate");
  record->add_option("request", record_flags->request, "ComputeRequest")->required();
  record->add_option("--for", record_flags->lasts, "How long")->capture_default_str();
  record->callback([&session, record_flags] {
    session.action = [&session, record_flags] { return Record(session, *record_flags); };
  });

  const auto flags = std::make_shared<SimulateFlags>();
  auto* simulate =
      app.add_subcommand("simulate", "What a scaling would have made of recorded usage");
  simulate->add_option("file", flags->file, "ComputeRequest (YAML or JSON)")->required();
  simulate->add_option("--trace", flags->trace, "Output of longshore record")->required();
  simulate->add_option("--cpu-request", flags->cpu_request, "Of the pod, for percentages of cpu");
  simulate->add_option("--memory-request", flags->memory_request,
                       "Of the pod, for percentages of memory");
  simulate->add_option("--cpu-limit", flags->cpu_limit, "Of the pod, for what is saturated");
  simulate->add_option("--provisioning", flags->provisioning, "From a decision to a pod that works")
      ->capture_default_str();
  simulate->callback([&session, flags] {
    session.action = [&session, flags] { return Simulate(session, *flags); };
  });
}

}  // namespace longshore::cli

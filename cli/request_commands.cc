// SPDX-License-Identifier: Apache-2.0
//
// longshore request: ask for backup pods, look at what was asked for, resize, give back.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "cli/fields.h"
#include "cli/request_file.h"
#include "cli/request_wait.h"
#include "cli/scaling_flags.h"
#include "cli/session.h"
#include "common/api/schema.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

struct CreateFlags {
  std::string source, policy = "standard", purpose = "Backup", deadline, lifetime, key;
  int pods = 1;
  int min = 0;
  std::optional<int> max, demand;
  ScalingFlags scaling;
  bool wait = false;
  std::string timeout = "5m";
};

constexpr char kDeadlineHelp[] =
    "When the work must be done (2026-01-31T06:00:00Z), or that of each day (06:00Z)";

// A time of the day has no date before it.
const char* DeadlineField(const std::string& deadline) {
  return deadline.find('T') == std::string::npos ? "dailyDeadline" : "deadline";
}

Table RequestTable(const Json& items, WallTime now) {
  Table table{{"NAME", "SOURCE", "PURPOSE", "DESIRED", "AVAILABLE", "ASSIGNED", "ACCEPTED", "AGE"},
              {}};
  for (const Json& item : items) {
    std::string accepted = Text(Condition(item, "Accepted"), "/reason");
    if (!Text(item, "/deletedAt").empty()) accepted = "Deleting";
    table.rows.push_back({Text(item, "/name"), Text(item, "/spec/sourceRef/name"),
                          Text(item, "/spec/purpose"), Text(item, "/status/desiredPods"),
                          Text(item, "/status/pods/available"), Text(item, "/status/pods/assigned"),
                          accepted, FormatAge(Text(item, "/createdAt"), now)});
  }
  return table;
}

void PrintRequest(Session& session, const Json& request) {
  session.Print(request, "request", RequestTable(Json::array({request}), session.io.clock.Now()));
}

// Everything about one request that a person wants to know.
Table RequestDetails(const Json& request, WallTime now) {
  Table table{{"FIELD", "VALUE"}, {}};
  const auto add = [&](const std::string& field, const std::string& value) {
    if (!value.empty()) table.rows.push_back({field, value});
  };
  add("request", Text(request, "/namespace") + "/" + Text(request, "/name"));
  add("source", Text(request, "/spec/sourceRef/name"));
  add("purpose", Text(request, "/spec/purpose"));
  add("age", FormatAge(Text(request, "/createdAt"), now));
  add("pods", "min " + Text(request, "/spec/pods/min") + ", initial " +
                  Text(request, "/spec/pods/initial") + ", max " + Text(request, "/spec/pods/max"));
  add("desired", Text(request, "/status/desiredPods"));
  std::vector<std::string> counts;
  for (const auto& [state, count] : At(request, "/status/pods").items()) {
    if (count != 0) counts.push_back(count.dump() + " " + state);
  }
  add("states", Join(counts, ", "));
  add("deadline", Text(request, "/spec/deadline"));
  add("daily deadline", Text(request, "/spec/dailyDeadline"));
  add("predicted end", Text(request, "/status/predictedFinishTime"));
  add("data", Text(request, "/status/location"));
  add("image", Text(request, "/status/image/name"));
  add("image because", Text(request, "/status/image/reason"));
  add("last decision", Text(request, "/status/lastDecision/message"));
  for (const Json& condition : Items(request, "/status/conditions")) {
    const std::string message = Text(condition, "/message");
    add(Text(condition, "/type"), Text(condition, "/status") + " " + Text(condition, "/reason") +
                                      (message.empty() ? "" : ": " + message));
  }
  return table;
}

Result<Json> CreateBody(Session& session, const CreateFlags& flags) {
  LS_ASSIGN_OR_RETURN(const std::string ns, session.Namespace());
  LS_ASSIGN_OR_RETURN(const auto source, session.ParseName(flags.source));
  const int max = flags.max.value_or(std::max(flags.pods, 1));
  Json spec = {{"sourceRef", {{"name", source.name}}},
               {"policyRef", {{"name", flags.policy}}},
               {"purpose", flags.purpose},
               {"pods", {{"min", flags.min}, {"initial", flags.pods}, {"max", max}}}};
  if (source.ns != ns) spec["sourceRef"]["namespace"] = source.ns;
  if (flags.demand) spec["demand"] = *flags.demand;
  if (!flags.deadline.empty()) spec[DeadlineField(flags.deadline)] = flags.deadline;
  if (!flags.lifetime.empty()) {
    LS_ASSIGN_OR_RETURN(spec["lifetimeSeconds"], ParseSeconds(flags.lifetime));
  }
  LS_ASSIGN_OR_RETURN(Json scaling, ScalingSpec(flags.scaling));
  if (!scaling.is_null()) spec["scaling"] = std::move(scaling);
  return Json{{"namespace", ns}, {"spec", std::move(spec)}};
}

Status Create(Session& session, const CreateFlags& flags) {
  LS_ASSIGN_OR_RETURN(const int64_t timeout, ParseSeconds(flags.timeout));
  LS_ASSIGN_OR_RETURN(const Json body, CreateBody(session, flags));
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(
      Json request, api->Post("/v1/requests", body, flags.key.empty() ? RandomId(32) : flags.key));
  if (flags.wait) {
    LS_ASSIGN_OR_RETURN(request,
                        WaitForPods(session, *api, request, std::chrono::seconds(timeout)));
    PrintRequest(session, request);
    return {};
  }
  // It exists, refused or not: whoever made it needs its name.
  const Status verdict = WaitForVerdict(session, *api, request);
  PrintRequest(session, request);
  return verdict;
}

Status List(Session& session, const std::string& source) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.ListNamespace());
  LS_ASSIGN_OR_RETURN(const Json list,
                      api->Get(WithQuery("/v1/requests", {{"namespace", ns}, {"source", source}})));
  session.Print(list, "request", RequestTable(Items(list), session.io.clock.Now()));
  return {};
}

Result<std::string> PathOf(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(const auto parsed, session.ParseName(name));
  return RequestPath(parsed.ns, parsed.name);
}

Status Get(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string path, PathOf(session, name));
  LS_ASSIGN_OR_RETURN(const Json request, api->Get(path));
  session.Print(request, "request", RequestDetails(request, session.io.clock.Now()));
  return {};
}

Status Delete(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string path, PathOf(session, name));
  LS_ASSIGN_OR_RETURN(const Json request, api->Delete(path));
  PrintRequest(session, request);
  return {};
}

struct ScaleFlags {
  std::string name, deadline;
  std::optional<int64_t> min, initial, max, demand;
};

// As the schema has it, so that what is out of its range is told before what does not fit the
// request.
Status CheckNumber(const char* flag, const char* field, const std::optional<int64_t>& value) {
  if (!value) return {};
  const Json& schema = RequestSpecSchema().at("properties");
  const auto problems = api::SchemaProblems(schema, At(schema, field), *value,
                                            std::string(flag) + " " + std::to_string(*value));
  if (!problems.empty()) return InvalidArgument(Join(problems, "; "));
  return {};
}

Status CheckNumbers(const ScaleFlags& flags) {
  LS_RETURN_IF_ERROR(CheckNumber("--pods", "/pods/properties/initial", flags.initial));
  LS_RETURN_IF_ERROR(CheckNumber("--min", "/pods/properties/min", flags.min));
  LS_RETURN_IF_ERROR(CheckNumber("--max", "/pods/properties/max", flags.max));
  return CheckNumber("--demand", "/demand", flags.demand);
}

// spec.pods.initial must lie between min and max. Where it no longer would, it becomes the number
// that is wanted now, as near as the new limits allow: a changed one is a wish for so many pods.
Status FitInitial(const Json& before, const ScaleFlags& flags, Json& pods) {
  const int64_t min = flags.min.value_or(Number(before, "/spec/pods/min", 0));
  const int64_t max = flags.max.value_or(Number(before, "/spec/pods/max", 1));
  const auto refuse = [&](const char* limit) {
    const std::string pods = std::to_string(*flags.initial);
    return InvalidArgument("--pods " + pods + ": the request allows " + std::to_string(min) +
                           " to " + std::to_string(max) + " pods; give " + limit + " " + pods +
                           " as well");
  };
  if (flags.initial && !flags.max && *flags.initial > max) return refuse("--max");
  if (flags.initial && !flags.min && *flags.initial < min) return refuse("--min");
  const int64_t initial = Number(before, "/spec/pods/initial", 1);
  if (flags.initial || min > max || (min <= initial && initial <= max)) return {};
  pods["initial"] = std::clamp(Number(before, "/status/desiredPods", initial), min, max);
  return {};
}

Status Scale(Session& session, const ScaleFlags& flags) {
  LS_RETURN_IF_ERROR(CheckNumbers(flags));
  Json spec = Json::object();
  if (flags.min) spec["pods"]["min"] = *flags.min;
  if (flags.initial) spec["pods"]["initial"] = *flags.initial;
  if (flags.max) spec["pods"]["max"] = *flags.max;
  if (flags.demand) spec["demand"] = *flags.demand;
  if (!flags.deadline.empty()) {
    spec["deadline"] = spec["dailyDeadline"] = nullptr;
    spec[DeadlineField(flags.deadline)] = flags.deadline;
  }
  if (spec.empty()) {
    return InvalidArgument("nothing to change: give --pods, --min, --max, --demand or --deadline");
  }
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string path, PathOf(session, flags.name));
  if (spec.contains("pods")) {
    LS_ASSIGN_OR_RETURN(const Json before, api->Get(path));
    LS_RETURN_IF_ERROR(FitInitial(before, flags, spec["pods"]));
  }
  LS_ASSIGN_OR_RETURN(const Json request, api->Patch(path, {{"spec", spec}}));
  PrintRequest(session, request);
  return {};
}

void AddCreateFlags(CLI::App* command, CreateFlags& flags) {
  command->add_option("--pods", flags.pods, "Pods provisioned at once")->capture_default_str();
  command->add_option("--min", flags.min, "Never fewer pods")->capture_default_str();
  command->add_option("--max", flags.max, "Never more pods (default: --pods)");
  command->add_option("--policy", flags.policy, "PodPolicy to apply")->capture_default_str();
  command->add_option("--purpose", flags.purpose, "What the pods are for")
      ->check(CLI::IsMember({"Backup", "Restore", "Verify"}))
      ->capture_default_str();
  command->add_option("--up", flags.scaling.up,
                      "Add pods when over it: SIGNAL=PERCENT% or SIGNAL=QUANTITY; repeatable");
  command->add_option("--down", flags.scaling.down, "Idle when under it; repeatable");
  command->add_option("--window", flags.scaling.window, "How long usage must stay over --up");
  command->add_option("--idle", flags.scaling.idle,
                      "How long usage must stay under --down before a pod goes");
  auto* follow =
      command->add_flag("--follow-demand", flags.scaling.follow_demand,
                        "A pod for each operation that waits or is announced by --demand");
  command
      ->add_flag("--require-demand", flags.scaling.require_demand,
                 "Usage adds no pod beyond one for each operation that runs, waits or is announced")
      ->excludes(follow);
  command->add_option("--warm", flags.scaling.warm, "Pods kept free beside those that have work");
  command->add_option("--demand", flags.demand, "Operations that are waiting");
  command->add_option("--deadline", flags.deadline, kDeadlineHelp);
  command->add_option("--lifetime", flags.lifetime, "The request ends by itself after this");
  command->add_option("--idempotency-key", flags.key, "Same key, same request (default: random)")
      ->check(NotEmpty, "");
  command->add_flag("--wait", flags.wait, "Wait until the pods are available");
  command->add_option("--timeout", flags.timeout, "How long to wait")->capture_default_str();
}

// `longshore request SOURCE …` is the short form of `longshore request create SOURCE …`.
void AddCreate(CLI::App* request, Session& session) {
  const auto short_form = std::make_shared<CreateFlags>();
  request->add_option("source", short_form->source, "BackupSource ([NAMESPACE/]NAME)");
  AddCreateFlags(request, *short_form);
  request->require_subcommand(0, 1);
  request->callback([request, &session, short_form] {
    if (!request->get_subcommands().empty()) return;
    if (short_form->source.empty()) {
      throw CLI::RequiredError("SOURCE (or one of create, list, get, scale, delete)");
    }
    session.action = [&session, short_form] { return Create(session, *short_form); };
  });
  const auto flags = std::make_shared<CreateFlags>();
  auto* create = request->add_subcommand("create", "Ask for backup pods");
  create->add_option("source", flags->source, "BackupSource ([NAMESPACE/]NAME)")->required();
  AddCreateFlags(create, *flags);
  create->callback([&session, flags] {
    session.action = [&session, flags] { return Create(session, *flags); };
  });
}

void AddNamed(CLI::App* request, Session& session, const char* name, const char* help,
              Status (*action)(Session&, const std::string&)) {
  const auto argument = std::make_shared<std::string>();
  auto* command = request->add_subcommand(name, help);
  command->add_option("name", *argument, "ComputeRequest")->required();
  command->callback([&session, argument, action] {
    session.action = [&session, argument, action] { return action(session, *argument); };
  });
}

void AddScale(CLI::App* request, Session& session) {
  const auto flags = std::make_shared<ScaleFlags>();
  auto* scale = request->add_subcommand("scale", "Change size, demand or deadline");
  scale->add_option("name", flags->name, "ComputeRequest")->required();
  scale->add_option("--pods", flags->initial,
                    "So many pods now; from then on usage decides, from --min to --max");
  scale->add_option("--min", flags->min, "Never fewer pods: adds what is missing now");
  scale->add_option("--max", flags->max, "Never more pods: takes away what is free now");
  scale->add_option("--demand", flags->demand, "Operations that are waiting");
  scale->add_option("--deadline", flags->deadline, kDeadlineHelp);
  scale->callback(
      [&session, flags] { session.action = [&session, flags] { return Scale(session, *flags); }; });
}

}  // namespace

void AddRequestCommands(CLI::App& app, Session& session) {
  auto* request = app.add_subcommand("request", "Ask for backup pods: request SOURCE --pods 2");
  request->alias("requests");  // as in `longshore requests list`, and as the API calls them
  AddCreate(request, session);
  const auto source = std::make_shared<std::string>();
  auto* list = request->add_subcommand("list", "List requests");
  list->add_option("--source", *source, "Only of this source");
  list->callback([&session, source] {
    session.action = [&session, source] { return List(session, *source); };
  });
  AddNamed(request, session, "get", "Show one request", Get);
  AddScale(request, session);
  AddNamed(request, session, "delete", "Give the pods back; busy ones finish first", Delete);
}

}  // namespace longshore::cli

// SPDX-License-Identifier: Apache-2.0
//
// longshore pods: the pod database; acquire and release for managers that pick their pods.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/fields.h"
#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

struct PodsFlags {
  std::string request, source, state;
};

// "31457280" as "30 MiB": quantities of bytes come as whole numbers.
std::string Bytes(const Json& usage, const char* pointer) {
  const auto bytes = ParseInt(Text(usage, pointer));
  return bytes ? FormatBytes(static_cast<double>(*bytes)) : "";
}

std::string Io(const Json& usage) {
  const std::string read = Bytes(usage, "/readBytes"), write = Bytes(usage, "/writeBytes");
  return read.empty() && write.empty() ? "" : read + "/s, " + write + "/s";
}

Table PodTable(const Json& items, WallTime now) {
  Table table{{"NAME", "STATE", "NODE", "TIER", "CPU", "MEMORY", "READ, WRITE", "OPERATION",
               "REASON", "SINCE"},
              {}};
  for (const Json& pod : items) {
    table.rows.push_back({Text(pod, "/name"), Text(pod, "/state"), Text(pod, "/node"),
                          Text(pod, "/tier"), Text(pod, "/usage/cpu"), Bytes(pod, "/usage/memory"),
                          Io(At(pod, "/usage")), Text(pod, "/lease/operation"),
                          Text(pod, "/reason"), FormatAge(Text(pod, "/since"), now)});
  }
  return table;
}

Status List(Session& session, const PodsFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.ListNamespace());
  LS_ASSIGN_OR_RETURN(const Json list, api->Get(WithQuery("/v1/pods", {{"namespace", ns},
                                                                       {"request", flags.request},
                                                                       {"source", flags.source},
                                                                       {"state", flags.state}})));
  session.Print(list, "pod", PodTable(Items(list), session.io.clock.Now()));
  return {};
}

struct AcquireFlags {
  std::string request, wait = "0", key;
};

Status Acquire(Session& session, const AcquireFlags& flags) {
  LS_ASSIGN_OR_RETURN(const int64_t wait, ParseSeconds(flags.wait));
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const auto request, session.ParseName(flags.request));
  LS_ASSIGN_OR_RETURN(
      Json pod,
      api->Post("/v1/pods:acquire",
                {{"namespace", request.ns}, {"request", request.name}, {"waitSeconds", wait}},
                flags.key.empty() ? RandomId(32) : flags.key));
  pod["name"] = Text(pod, "/pod");
  session.Print(
      pod, "pod",
      {{"POD", "NODE", "EPOCH", "EXPIRES"},
       {{Text(pod, "/pod"), Text(pod, "/node"), Text(pod, "/epoch"), Text(pod, "/expires")}}});
  return {};
}

Status Release(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const auto pod, session.ParseName(name));
  LS_ASSIGN_OR_RETURN(const Json released, api->Post("/v1/pods/" + http::UrlEncode(pod.ns) + "/" +
                                                         http::UrlEncode(pod.name) + ":release",
                                                     Json::object()));
  session.Print(released, "pod", PodTable(Json::array({released}), session.io.clock.Now()));
  return {};
}

}  // namespace

void AddPodCommands(CLI::App& app, Session& session) {
  auto* pods = app.add_subcommand("pods", "List backup pods; acquire and release them");
  const auto flags = std::make_shared<PodsFlags>();
  const auto list = [&session, flags] {
    session.action = [&session, flags] { return List(session, *flags); };
  };
  auto* list_command = pods->add_subcommand("list", "List backup pods");
  for (CLI::App* command : {pods, list_command}) {
    command->add_option("--request", flags->request, "Only of this request");
    command->add_option("--source", flags->source, "Only of this source");
    command->add_option("--state", flags->state, "Only in this state, such as Available");
  }
  list_command->callback(list);
  pods->require_subcommand(0, 1);
  pods->callback([pods, list] {
    if (pods->get_subcommands().empty()) list();
  });

  const auto acquire_flags = std::make_shared<AcquireFlags>();
  auto* acquire = pods->add_subcommand("acquire", "Take one available pod of a request");
  acquire->add_option("request", acquire_flags->request, "ComputeRequest")->required();
  acquire->add_option("--wait", acquire_flags->wait, "Wait so long for one (at most 60s)");
  acquire
      ->add_option("--idempotency-key", acquire_flags->key, "Same key, same pod (default: random)")
      ->check(NotEmpty, "");
  acquire->callback([&session, acquire_flags] {
    session.action = [&session, acquire_flags] { return Acquire(session, *acquire_flags); };
  });

  const auto name = std::make_shared<std::string>();
  auto* release = pods->add_subcommand("release", "Give an acquired pod back");
  release->add_option("pod", *name, "BackupPod")->required();
  release->callback(
      [&session, name] { session.action = [&session, name] { return Release(session, *name); }; });
}

}  // namespace longshore::cli

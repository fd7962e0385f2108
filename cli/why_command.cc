// SPDX-License-Identifier: Apache-2.0
//
// longshore why REQUEST: why it has as many pods as it has, what holds it, and what would make it
// grow or shrink.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/explain.h"
#include "cli/fields.h"
#include "cli/session.h"

namespace longshore::cli {
namespace {

std::string Decisions(const Json& scaling) {
  const Json& decisions = Items(scaling, "/decisions");
  if (decisions.empty()) return "\nNothing was decided yet.\n";
  return "\nDecisions, newest first:\n" + Indented(RenderDecisions(decisions, "DECIDED"));
}

std::string Candidates(const Json& candidates, const std::string& title) {
  if (candidates.empty()) return "";
  Table table{{"CANDIDATE", "WANTS", "CHOSEN", "WHY"}, {}};
  for (const Json& one : candidates) {
    table.rows.push_back({Text(one, "/name"), Text(one, "/pods"),
                          At(one, "/chosen") == Json(true) ? "yes" : "no", Text(one, "/message")});
  }
  return "\n" + title + ":\n" + Indented(RenderTable(table));
}

std::string PodsNow(const Json& now) {
  Table table{{"POD", "IDLE FOR", "SIGNAL", "NOW", "UP", "OVER FOR", "DOWN"}, {}};
  const std::string idle_of = " of " + FormatSeconds(Number(now, "/idleSeconds"));
  for (const Json& pod : Items(now, "/pods")) {
    const std::string idle = At(pod, "/busy") == Json(true)
                                 ? "has work"
                                 : FormatSeconds(Number(pod, "/idleSeconds")) + idle_of;
    for (const Json& signal : Items(pod, "/signals")) {
      const std::string value = Text(signal, "/value");
      table.rows.push_back(
          {Text(pod, "/name"), idle, Text(signal, "/signal"), value.empty() ? "unknown" : value,
           Text(signal, "/up"),
           Text(signal, "/overSeconds") + "s of " + Text(signal, "/windowSeconds") + "s",
           Text(signal, "/down")});
    }
  }
  return table.rows.empty() ? "" : "\nMeasured:\n" + Indented(RenderTable(table));
}

std::string Sentences(const Json& now, const char* pointer, const std::string& title) {
  std::string text;
  for (const std::string& sentence : Strings(now, pointer)) {
    text += "  " + Printable(sentence) + "\n";
  }
  return text.empty() ? "" : "\n" + title + ":\n" + text;
}

Status Why(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const auto request, session.ParseName(name));
  LS_ASSIGN_OR_RETURN(const Json scaling,
                      api->Get(RequestPath(request.ns, request.name) + "/scaling"));
  if (session.json()) {
    session.Print(scaling, "request", {});
  } else {
    session.io.out << RenderScaling(scaling);
  }
  return {};
}

}  // namespace

std::string RenderDecisions(const Json& decisions, const std::string& time_title) {
  Table table{{time_title, "PODS", "CAUSE", "LIMITED BY", "WHY"}, {}};
  for (const Json& one : decisions) {
    table.rows.push_back({Text(one, "/time"), Text(one, "/from") + " to " + Text(one, "/to"),
                          Text(one, "/cause"), Text(one, "/limit/reason"), Text(one, "/message")});
  }
  return RenderTable(table);
}

std::string RenderScaling(const Json& scaling) {
  Table table{{"request", Text(scaling, "/namespace") + "/" + Text(scaling, "/name")}, {}};
  const auto add = [&](const std::string& field, const std::string& value) {
    if (!value.empty()) table.rows.push_back({field, value});
  };
  add("pods", Text(scaling, "/desiredPods") + " wanted");
  add("predicted end", Text(scaling, "/predictedFinishTime"));
  for (const Json& condition : Items(scaling, "/conditions")) {
    const std::string message = Text(condition, "/message");
    add(Text(condition, "/type"), Text(condition, "/status") + " " + Text(condition, "/reason") +
                                      (message.empty() ? "" : ": " + message));
  }
  const Json& now = At(scaling, "/now");
  std::string text =
      RenderTable(table) + Decisions(scaling) +
      Candidates(Items(scaling, "/decisions/0/candidates"), "Who had a say in the last decision");
  if (now.is_null()) {
    return text +
           "\nNothing was evaluated since the controller started: the request is not "
           "accepted, or the controller has just begun.\n";
  }
  return text + Candidates(Items(now, "/candidates"), "Who wants what now") + PodsNow(now) +
         Sentences(now, "/growth", "Growth") + Sentences(now, "/shrink", "Shrinking");
}

void AddWhyCommand(CLI::App& app, Session& session) {
  const auto name = std::make_shared<std::string>();
  auto* why = app.add_subcommand("why", "Why a request has as many pods as it has");
  why->add_option("request", *name, "ComputeRequest")->required();
  why->callback(
      [&session, name] { session.action = [&session, name] { return Why(session, *name); }; });
}

}  // namespace longshore::cli

// SPDX-License-Identifier: Apache-2.0
//
// longshore explain POD: why it is where it is, and what it was measured to do.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/explain.h"
#include "cli/fields.h"
#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr size_t kSamplesShown = 5;
constexpr size_t kVerdictsShown = 4;  // those in a row that say the same are one
constexpr size_t kNodesShown = 8;
// An API server with nothing to tell is heard once a minute (watch bookmarks).
constexpr int64_t kSilentMs = 90'000;

std::string PodPart(const Json& explanation, WallTime now) {
  const Json& pod = At(explanation, "/pod");
  Table table{{"pod", Text(pod, "/namespace") + "/" + Text(pod, "/name")}, {}};
  const auto add = [&](const std::string& field, const std::string& value) {
    if (!value.empty()) table.rows.push_back({field, value});
  };
  add("request", Text(pod, "/request") + " (source " + Text(pod, "/source") + ")");
  add("state", Text(pod, "/state") + " for " + FormatAge(Text(pod, "/since"), now) + ": " +
                   Text(pod, "/reason") + " " + Text(pod, "/message"));
  add("provisioned", Text(pod, "/cause"));
  add("node", Text(pod, "/node"));
  add("nearness", Text(pod, "/tier"));
  const std::string holder = Text(pod, "/lease/holder");
  if (!holder.empty()) add("held by", holder + " " + Text(pod, "/lease/operation"));
  const int64_t heard = Number(explanation, "/workerAgeMs", -1);
  add("worker", heard < 0 ? "not heard" : "heard " + std::to_string(heard) + " ms ago");
  add("image",
      Text(explanation, "/request/image/name") + " " + Text(explanation, "/request/image/reason"));
  const std::vector<std::string> candidates = Strings(explanation, "/spec/candidateNodes");
  add("steered to", candidates.empty() ? "anywhere" : Join(candidates, ", "));
  if (!Text(explanation, "/spec/placementMode").empty()) {
    add("nearness was", "required until requireTimeoutSeconds of the source had passed");
  }
  add("data", Text(explanation, "/location/reason"));
  return RenderTable(table);
}

std::vector<std::string> ScoreRow(const Json& score) {
  const bool feasible = At(score, "/feasible") != Json(false);
  std::vector<std::string> row = {Text(score, "/node"), Text(score, "/tier"),
                                  feasible ? Text(score, "/score") : "no"};
  for (const char* part : {"/localityPoints", "/pressurePoints", "/roomPoints", "/imagePoints"}) {
    row.push_back(Text(score, part));
  }
  row.push_back(Join(Strings(score, "/reasons"), "; "));
  return row;
}

bool IsByOldData(const Json& verdict) { return Number(verdict, "/snapshotAgeMs") > kSilentMs; }

// What a call came to. Of a node that is kept out that is the first reason: its load, told as well,
// is another one each time and changes nothing.
Json OutcomeOf(const Json& verdict) {
  Json nodes = Json::object();
  for (const Json& node : Items(verdict, "/nodes")) {
    const std::vector<std::string> reasons = Strings(node, "/reasons");
    const bool kept_out = At(node, "/feasible") == Json(false) && !reasons.empty();
    nodes[Text(node, "/node")] = kept_out ? Json(reasons.front()) : Json(ScoreRow(node));
  }
  return {{"verb", Text(verdict, "/verb")},
          {"offered", Text(verdict, "/nodesOffered")},
          {"old", IsByOldData(verdict)},
          {"nodes", std::move(nodes)}};
}

// Calls in a row that came to the same: the scheduler asks again and again about a pod that waits.
struct Calls {
  const Json* last;
  int before = 0;     // calls before that one
  std::string since;  // when the first of them was
};

std::vector<Calls> Grouped(const Json& verdicts) {
  std::vector<Calls> groups;
  Json outcome_before;
  for (const Json& verdict : verdicts) {
    Json outcome = OutcomeOf(verdict);
    if (groups.empty() || outcome != outcome_before) {
      groups.push_back({.last = &verdict, .since = Text(verdict, "/time")});
    } else {
      groups.back().last = &verdict;
      ++groups.back().before;
    }
    outcome_before = std::move(outcome);
  }
  return groups;
}

// "T filter of 3 nodes, as in the 5 calls before since T"; that what was known may be old is said
// only where it may be.
std::string VerdictTitle(const Calls& calls) {
  const Json& verdict = *calls.last;
  const std::string offered = Text(verdict, "/nodesOffered");
  std::string title = Text(verdict, "/time") + " " + Text(verdict, "/verb") + " of " + offered +
                      (offered == "1" ? " node" : " nodes");
  if (calls.before == 1) title += ", as in the call before, at " + calls.since;
  if (calls.before > 1) {
    title += ", as in the " + std::to_string(calls.before) + " calls before, since " + calls.since;
  }
  if (IsByOldData(verdict)) {
    title += ", by old data: the API server was last heard " +
             FormatSeconds(Number(verdict, "/snapshotAgeMs") / 1000) + " before";
  }
  return Printable(title);
}

std::string VerdictPart(const Json& explanation) {
  const Json& verdicts = Items(explanation, "/verdicts");
  if (verdicts.empty()) return "\nThe scheduler extender has told nothing about this pod.\n";
  std::string text = "\nWhat the scheduler extender decided:\n";
  const std::vector<Calls> groups = Grouped(verdicts);
  const size_t first = groups.size() > kVerdictsShown ? groups.size() - kVerdictsShown : 0;
  for (size_t i = first; i < groups.size(); ++i) {
    text += "  " + VerdictTitle(groups[i]) + "\n" + ScoreTable(Items(*groups[i].last, "/nodes"));
  }
  return text;
}

std::string SamplePart(const Json& explanation) {
  const Json& samples = Items(explanation, "/samples");
  if (samples.empty()) return "\nNo usage is measured: no node agent reports this pod.\n";
  Table table{{"TIME", "CPU", "MEMORY", "READ", "WRITE"}, {}};
  const auto bytes = [](const Json& sample, const char* pointer) {
    const auto value = ParseInt(Text(sample, pointer));
    return value ? FormatBytes(static_cast<double>(*value)) : "";
  };
  const size_t first = samples.size() > kSamplesShown ? samples.size() - kSamplesShown : 0;
  for (size_t i = first; i < samples.size(); ++i) {
    const Json& sample = samples[i];
    table.rows.push_back({Text(sample, "/time"), Text(sample, "/usage/cpu"),
                          bytes(sample, "/usage/memory"), bytes(sample, "/usage/readBytes"),
                          bytes(sample, "/usage/writeBytes")});
  }
  return "\nMeasured usage:\n" + Indented(RenderTable(table));
}

// How the node stands that was asked about, however far down; empty: nobody asked.
std::string AskedPart(const Json& node) {
  if (!node.is_object()) return "";
  return "\nHow " + Printable(Text(node, "/node")) + " ranks: " + Text(node, "/rank") + " of " +
         Text(node, "/rankOf") + "\n" + ScoreTable(Json::array({node}));
}

// What would have made the node win; empty: nobody asked.
std::string CounterfactualPart(const Json& counterfactual) {
  if (!counterfactual.is_object()) return "";
  const std::string node = Printable(Text(counterfactual, "/node"));
  if (At(counterfactual, "/wins") == Json(true)) {
    return "\nNothing would have had to change for " + node + ".\n";
  }
  std::string text = "\nWhat would have changed it for " + node + ":\n";
  for (const Json& change : Items(counterfactual, "/changes")) {
    text += "  " + Printable(Text(change, "/text")) + "\n";
  }
  return text;
}

struct ExplainFlags {
  std::string pod, node;
};

Status Explain(Session& session, const ExplainFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const auto pod, session.ParseName(flags.pod));
  const std::string query = flags.node.empty() ? "" : "?node=" + http::UrlEncode(flags.node);
  LS_ASSIGN_OR_RETURN(const Json explanation, api->Get("/v1/explain/" + http::UrlEncode(pod.ns) +
                                                       "/" + http::UrlEncode(pod.name) + query));
  if (session.json()) {
    session.Print(explanation, "pod", {});
  } else {
    session.io.out << RenderExplanation(explanation, session.io.clock.Now());
  }
  return {};
}

}  // namespace

std::string ScoreTable(const Json& scores) {
  Table table{{"NODE", "TIER", "SCORE", "LOCALITY", "PRESSURE", "ROOM", "IMAGE", "WHY"}, {}};
  for (const Json& score : scores) {
    if (table.rows.size() == kNodesShown) break;
    table.rows.push_back(ScoreRow(score));
  }
  return Indented(RenderTable(table));
}

std::string RenderExplanation(const Json& explanation, WallTime now) {
  std::string text = PodPart(explanation, now);
  if (const std::string decision = Text(explanation, "/request/lastDecision/message");
      !decision.empty()) {
    text += "\nLast scaling decision of the request:\n  " + Printable(decision) + "\n";
  }
  const Json& ranking = Items(explanation, "/ranking");
  if (!ranking.empty()) text += "\nHow the nodes rank now:\n" + ScoreTable(ranking);
  return text + AskedPart(At(explanation, "/node")) +
         CounterfactualPart(At(explanation, "/counterfactual")) + VerdictPart(explanation) +
         SamplePart(explanation);
}

void AddExplainCommand(CLI::App& app, Session& session) {
  const auto flags = std::make_shared<ExplainFlags>();
  auto* explain = app.add_subcommand("explain", "Why a backup pod is where it is");
  explain->add_option("pod", flags->pod, "BackupPod")->required();
  explain
      ->add_option("--node", flags->node,
                   "Say how this node ranks, and what would have to change for it to come first")
      ->check(NotEmpty, "");
  explain->callback([&session, flags] {
    session.action = [&session, flags] { return Explain(session, *flags); };
  });
}

}  // namespace longshore::cli

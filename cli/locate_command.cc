// SPDX-License-Identifier: Apache-2.0
//
// longshore locate SOURCE: where its data is, how that is known, and which nodes are near.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/explain.h"
#include "cli/fields.h"
#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

std::string Places(const Json& location) {
  const std::vector<std::string> nodes = Strings(location, "/nodes");
  if (!nodes.empty()) return Join(nodes, ", ");
  for (const char* part : {"/rack", "/zone", "/region"}) {
    const std::string name = Text(location, part);
    if (!name.empty()) return std::string(part + 1) + " " + name;
  }
  return Text(location, "/method") == "External" ? "outside of the cluster" : "unknown";
}

std::string Wanted(const Json& placement) {
  const std::string mode = Text(placement, "/mode"), tier = Text(placement, "/tier");
  return (mode.empty() ? "Prefer" : mode) + " " + (tier.empty() ? "Node" : tier);
}

Status Locate(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const auto source, session.ParseName(name));
  LS_ASSIGN_OR_RETURN(const Json located,
                      api->Get("/v1/sources/" + http::UrlEncode(source.ns) + "/" +
                               http::UrlEncode(source.name) + "/location"));
  if (session.json()) {
    session.Print(located, "source", {});
  } else {
    session.io.out << RenderLocation(located);
  }
  return {};
}

}  // namespace

std::string RenderLocation(const Json& located) {
  const Json& location = At(located, "/location");
  Table table{{"source", Text(located, "/source/namespace") + "/" + Text(located, "/source/name")},
              {}};
  table.rows.push_back({"data", Places(location)});
  std::vector<std::string> where;
  for (const char* part : {"/rack", "/zone", "/region"}) {
    const std::string value = Text(location, part);
    if (!value.empty()) where.push_back(std::string(part + 1) + " " + value);
  }
  if (!where.empty()) table.rows.push_back({"topology", Join(where, ", ")});
  table.rows.push_back({"wanted", Wanted(At(located, "/placement"))});
  std::string text = RenderTable(table);

  Table links{{"TRIED", "FOUND", "WHY"}, {}};
  for (const Json& link : Items(location, "/links")) {
    links.rows.push_back({Text(link, "/name"), At(link, "/found") == Json(true) ? "yes" : "no",
                          Text(link, "/reason")});
  }
  if (links.rows.empty()) {
    text += "\nNothing says where the data is: set spec.location of the source.\n";
  } else {
    text += "\nHow that is known:\n" + Indented(RenderTable(links));
  }
  const Json& ranking = Items(located, "/ranking");
  if (!ranking.empty()) text += "\nHow the nodes rank now:\n" + ScoreTable(ranking);
  return text;
}

void AddLocateCommand(CLI::App& app, Session& session) {
  const auto name = std::make_shared<std::string>();
  auto* locate = app.add_subcommand("locate", "Where a source's data is, and how that is known");
  locate->add_option("source", *name, "BackupSource")->required();
  locate->callback(
      [&session, name] { session.action = [&session, name] { return Locate(session, *name); }; });
}

}  // namespace longshore::cli

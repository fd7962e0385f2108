// SPDX-License-Identifier: Apache-2.0
//
// longshore copies and longshore sources.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/fields.h"
#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

Table CopyTable(const Json& items, WallTime now) {
  Table table{{"ID", "SOURCE", "PART", "SIZE", "ITEMS", "ROWS", "TAKEN", "SNAPSHOT"}, {}};
  for (const Json& copy : items) {
    const std::string rows = Text(copy, "/rows");
    table.rows.push_back({Text(copy, "/id"), Text(copy, "/source"), Text(copy, "/part"),
                          FormatBytes(static_cast<double>(Number(copy, "/bytes"))),
                          Text(copy, "/items"), rows == "0" ? "" : rows,
                          FormatAge(Text(copy, "/time"), now),
                          Text(copy, "/dataSnapshot").substr(0, 8)});
  }
  return table;
}

Status Copies(Session& session, const std::string& source) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.ListNamespace());
  LS_ASSIGN_OR_RETURN(const Json list,
                      api->Get(WithQuery("/v1/copies", {{"namespace", ns}, {"source", source}})));
  session.Print(list, "copy", CopyTable(Items(list), session.io.clock.Now()));
  return {};
}

Table SourceTable(const Json& items, WallTime now) {
  Table table{{"NAME", "KIND", "VERSION", "PARTS", "READY", "AGE"}, {}};
  for (const Json& source : items) {
    const Json& said = Condition(source, "SourceReady");
    std::string ready;
    if (!said.is_null()) ready = Text(said, "/status") + " " + Text(said, "/reason");
    std::string version = Text(source, "/status/serverVersion");
    if (version.empty()) version = Text(source, "/spec/version");
    table.rows.push_back({Text(source, "/name"), Text(source, "/spec/kind"), version,
                          Shorten(Join(Strings(source, "/spec/parts"), ","), 40), ready,
                          FormatAge(Text(source, "/createdAt"), now)});
  }
  return table;
}

Status Sources(Session& session) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.ListNamespace());
  LS_ASSIGN_OR_RETURN(const Json list, api->Get(WithQuery("/v1/sources", {{"namespace", ns}})));
  session.Print(list, "source", SourceTable(Items(list), session.io.clock.Now()));
  return {};
}

}  // namespace

void AddListCommands(CLI::App& app, Session& session) {
  const auto source = std::make_shared<std::string>();
  auto* copies = app.add_subcommand("copies", "List secondary copies, newest first");
  copies->add_option("--source", *source, "Only of this source");
  copies->callback([&session, source] {
    session.action = [&session, source] { return Copies(session, *source); };
  });
  auto* sources = app.add_subcommand("sources", "List what can be backed up");
  sources->callback([&session] { session.action = [&session] { return Sources(session); }; });
}

}  // namespace longshore::cli

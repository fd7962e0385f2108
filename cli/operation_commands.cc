// SPDX-License-Identifier: Apache-2.0
//
// longshore operations: what runs and what ran; get, watch, cancel.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "cli/fields.h"
#include "cli/progress.h"
#include "cli/session.h"

namespace longshore::cli {
namespace {

struct ListFlags {
  std::string request, source, state;
};

// Newest first, as copies are: what was started last is what people look for.
Json NewestFirst(Json items) {
  std::stable_sort(items.begin(), items.end(), [](const Json& a, const Json& b) {
    return Text(a, "/createdAt") > Text(b, "/createdAt");
  });
  return items;
}

Table OperationTable(const Json& items, WallTime now) {
  Table progress = ProgressTable(items);
  progress.header.insert(progress.header.begin() + 1, "TYPE");
  progress.header.push_back("AGE");
  for (size_t i = 0; i < progress.rows.size(); ++i) {
    auto& row = progress.rows[i];
    row.insert(row.begin() + 1, Text(items[i], "/spec/type"));
    row.push_back(FormatAge(Text(items[i], "/createdAt"), now));
  }
  return progress;
}

Table Details(const Json& operation, WallTime now) {
  Table table{{"FIELD", "VALUE"}, {}};
  const auto add = [&](const std::string& field, const std::string& value) {
    if (!value.empty()) table.rows.push_back({field, value});
  };
  add("operation", Text(operation, "/namespace") + "/" + Text(operation, "/name"));
  add("type", Text(operation, "/spec/type"));
  add("source", Text(operation, "/spec/sourceRef/name"));
  add("part", Text(operation, "/spec/part"));
  add("from copy", Text(operation, "/spec/copyID"));
  add("into part", Text(operation, "/spec/target/part"));
  add("request", Text(operation, "/spec/requestRef/name"));
  add("job", Text(operation, "/spec/managerJobID"));
  add("state", ProgressLine(operation));
  add("attempt", Text(operation, "/status/attempt"));
  add("pod", Text(operation, "/status/pod"));
  add("node", Text(operation, "/status/node"));
  add("age", FormatAge(Text(operation, "/createdAt"), now));
  add("ended", Text(operation, "/status/completionTime"));
  add("error", Text(operation, "/status/error/class"));
  add("error says", Text(operation, "/status/error/message"));
  for (const char* field :
       {"id", "time", "bytes", "items", "rows", "position", "sourceVersion", "toolVersion",
        "manifestDigest", "recordDigest", "dataSnapshot", "recordSnapshot"}) {
    const std::string value = Text(operation, ("/status/copy/" + std::string(field)).c_str());
    if (value != "0") add("copy " + std::string(field), value);
  }
  return table;
}

Status List(Session& session, const ListFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.ListNamespace());
  LS_ASSIGN_OR_RETURN(const Json list,
                      api->Get(WithQuery("/v1/operations", {{"namespace", ns},
                                                            {"request", flags.request},
                                                            {"source", flags.source},
                                                            {"state", flags.state}})));
  session.Print(list, "operation",
                OperationTable(NewestFirst(Items(list)), session.io.clock.Now()));
  return {};
}

Result<std::string> OperationPath(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(const auto parsed, session.ParseName(name));
  return "/v1/operations/" + http::UrlEncode(parsed.ns) + "/" + http::UrlEncode(parsed.name);
}

Status Get(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string path, OperationPath(session, name));
  LS_ASSIGN_OR_RETURN(const Json operation, api->Get(path));
  session.Print(operation, "operation", Details(operation, session.io.clock.Now()));
  return {};
}

Status Watch(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const auto parsed, session.ParseName(name));
  // Following waits for ever for a server that is not there: ask once whether this one is.
  LS_ASSIGN_OR_RETURN(const std::string path, OperationPath(session, name));
  LS_RETURN_IF_ERROR(api->Get(path));
  LS_ASSIGN_OR_RETURN(const Json ended,
                      Follow(session, *api, {.ns = parsed.ns, .names = {parsed.name}}));
  if (session.json()) session.Print(ended, "operation", {});
  return CheckSucceeded(ended);
}

Status Cancel(Session& session, const std::string& name) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string path, OperationPath(session, name));
  LS_ASSIGN_OR_RETURN(const Json operation, api->Post(path + ":cancel", Json::object()));
  session.Print(operation, "operation",
                OperationTable(Json::array({operation}), session.io.clock.Now()));
  return {};
}

void AddNamed(CLI::App* operations, Session& session, const char* name, const char* help,
              Status (*action)(Session&, const std::string&)) {
  const auto argument = std::make_shared<std::string>();
  auto* command = operations->add_subcommand(name, help);
  command->add_option("name", *argument, "Operation")->required();
  command->callback([&session, argument, action] {
    session.action = [&session, argument, action] { return action(session, *argument); };
  });
}

}  // namespace

void AddOperationCommands(CLI::App& app, Session& session) {
  auto* operations =
      app.add_subcommand("operations", "List operations, newest first; get, watch, cancel one");
  const auto flags = std::make_shared<ListFlags>();
  const auto add_filters = [&](CLI::App* command) {
    command->add_option("--request", flags->request, "Only of this request");
    command->add_option("--source", flags->source, "Only of this source");
    command->add_option("--state", flags->state, "Only in this state, such as Running");
  };
  const auto list = [&session, flags] {
    session.action = [&session, flags] { return List(session, *flags); };
  };
  add_filters(operations);
  operations->require_subcommand(0, 1);
  operations->callback([operations, list] {
    if (operations->get_subcommands().empty()) list();
  });
  auto* list_command = operations->add_subcommand("list", "List operations, newest first");
  add_filters(list_command);
  list_command->callback(list);
  AddNamed(operations, session, "get", "Show one operation", Get);
  AddNamed(operations, session, "watch", "Show progress until it is done", Watch);
  AddNamed(operations, session, "cancel", "Cancel one; repeating it is harmless", Cancel);
}

}  // namespace longshore::cli

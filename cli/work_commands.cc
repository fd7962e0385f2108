// SPDX-License-Identifier: Apache-2.0
//
// longshore backup, restore, verify, check: start operations, and follow them if asked to.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "cli/fields.h"
#include "cli/progress.h"
#include "cli/request_wait.h"
#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

// What backup, restore, verify and check have in common.
struct WorkFlags {
  std::string subject;  // source or copy
  std::string request, target_source, target_part, job, key, timeout = "0";
  std::vector<std::string> parts;
  bool all_parts = false, wait = false;
};

// Finds the request whose pods may do it: the one that was named, or the only live one that fits.
// `purposes` are tried in this order.
Result<std::string> FindRequest(ApiClient& api, const std::string& ns, const std::string& named,
                                const std::string& source,
                                const std::vector<std::string>& purposes) {
  if (!named.empty()) return named;
  LS_ASSIGN_OR_RETURN(const Json list,
                      api.Get(WithQuery("/v1/requests", {{"namespace", ns}, {"source", source}})));
  std::string refused;
  for (const std::string& purpose : purposes) {
    std::vector<std::string> fitting;
    for (const Json& request : Items(list)) {
      if (!Text(request, "/deletedAt").empty() || Text(request, "/spec/purpose") != purpose) {
        continue;
      }
      const std::string why = Refusal(request);  // of one that has ended, too
      if (why.empty()) {
        fitting.push_back(Text(request, "/name"));
      } else {
        refused += " (" + Text(request, "/name") + " is not served: " + why + ")";
      }
    }
    if (fitting.size() == 1) return fitting.front();
    if (fitting.size() > 1) {
      return InvalidArgument("several requests of source " + source + " could do it; choose with " +
                             "--request: " + Join(fitting, ", "));
    }
  }
  return NotFound("source " + source + " has no request for " + purposes.front() +
                  " in namespace " + ns + ": ask for pods first with longshore request " + source +
                  " --purpose " + purposes.front() + refused);
}

// One key for each operation; a given key is made different for each part, the same way each time.
std::string KeyFor(const WorkFlags& flags, const std::string& part) {
  if (flags.key.empty()) return RandomId(32);
  return part.empty() ? flags.key : flags.key + "-" + Sha256Hex(part).substr(0, 12);
}

Table OperationTable(const Json& items) {
  Table table{{"NAME", "TYPE", "SOURCE", "PART", "STATE"}, {}};
  for (const Json& item : items) {
    table.rows.push_back({Text(item, "/name"), Text(item, "/spec/type"),
                          Text(item, "/spec/sourceRef/name"), Text(item, "/spec/part"),
                          Text(item, "/status/state")});
  }
  return table;
}

// Creates the operations, one per spec, and follows them with --wait.
Status Start(Session& session, const WorkFlags& flags, const std::string& ns,
             std::vector<Json> specs) {
  LS_ASSIGN_OR_RETURN(const int64_t timeout, ParseSeconds(flags.timeout));
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  Json made = Json::array();
  FollowOptions follow{.ns = ns, .names = {}, .timeout = std::chrono::seconds(timeout)};
  for (Json& spec : specs) {
    if (!flags.job.empty()) spec["managerJobID"] = flags.job;
    const std::string part = Text(spec, "/part");
    auto operation =
        api->Post("/v1/operations", {{"namespace", ns}, {"spec", spec}}, KeyFor(flags, part));
    if (!operation) {
      const std::string before =
          made.empty() ? "" : " (started before it: " + Join(follow.names, ", ") + ")";
      return Annotate(operation.error(), part.empty() ? "not started" : part + before);
    }
    follow.names.push_back(Text(*operation, "/name"));
    made.push_back(*std::move(operation));
  }
  Json result = {{"items", std::move(made)}};
  if (flags.wait) {
    LS_ASSIGN_OR_RETURN(result, Follow(session, *api, follow));
    if (!session.json() && !session.names_only()) return CheckSucceeded(result);
  }
  session.Print(result, "operation", OperationTable(Items(result)));
  return flags.wait ? CheckSucceeded(result) : Status();
}

Json SourceRef(const Session::ObjectName& source, const std::string& ns) {
  Json reference = {{"name", source.name}};
  if (source.ns != ns) reference["namespace"] = source.ns;
  return reference;
}

// The parts to back up: those named, or all that the source declares.
Result<std::vector<std::string>> PartsOf(ApiClient& api, const WorkFlags& flags,
                                         const Session::ObjectName& source) {
  if (!flags.parts.empty()) return flags.parts;
  LS_ASSIGN_OR_RETURN(const Json object, api.Get("/v1/sources/" + http::UrlEncode(source.ns) + "/" +
                                                 http::UrlEncode(source.name)));
  std::vector<std::string> parts;
  for (const Json& part : Items(object, "/spec/parts")) parts.push_back(part.get<std::string>());
  if (parts.empty()) {
    return InvalidArgument("source " + source.name + " declares no parts: name them with --part");
  }
  if (parts.size() > 1 && !flags.all_parts) {
    return InvalidArgument("source " + source.name + " has several parts (" + Join(parts, ", ") +
                           "): choose with --part, or --all-parts");
  }
  return parts;
}

Status Backup(Session& session, const WorkFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.Namespace());
  LS_ASSIGN_OR_RETURN(const auto source, session.ParseName(flags.subject));
  LS_ASSIGN_OR_RETURN(const std::string request,
                      FindRequest(*api, ns, flags.request, source.name, {"Backup"}));
  LS_ASSIGN_OR_RETURN(const auto parts, PartsOf(*api, flags, source));
  std::vector<Json> specs;
  for (const std::string& part : parts) {
    specs.push_back({{"type", "Backup"},
                     {"sourceRef", SourceRef(source, ns)},
                     {"requestRef", {{"name", request}}},
                     {"part", part}});
  }
  return Start(session, flags, ns, std::move(specs));
}

Result<Json> FindCopy(ApiClient& api, const std::string& ns, const std::string& id) {
  LS_ASSIGN_OR_RETURN(const Json list, api.Get(WithQuery("/v1/copies", {{"namespace", ns}})));
  for (const Json& copy : Items(list)) {
    if (Text(copy, "/id") == id) return copy;
  }
  return NotFound("copy " + id + " is not known in namespace " + ns +
                  "; longshore copies lists what is");
}

std::string CopyId(const std::string& text) {
  return text.starts_with("copy/") ? text.substr(5) : text;
}

Status Restore(Session& session, const WorkFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.Namespace());
  LS_ASSIGN_OR_RETURN(const Json copy, FindCopy(*api, ns, CopyId(flags.subject)));
  LS_ASSIGN_OR_RETURN(const auto target, session.ParseName(flags.target_source));
  LS_ASSIGN_OR_RETURN(const std::string request,
                      FindRequest(*api, ns, flags.request, target.name, {"Restore"}));
  Json spec = {{"type", "Restore"},
               {"sourceRef", SourceRef(target, ns)},
               {"requestRef", {{"name", request}}},
               {"copyID", Text(copy, "/id")}};
  if (const std::string part = Text(copy, "/part"); !part.empty()) spec["part"] = part;
  if (!flags.target_part.empty()) spec["target"] = {{"part", flags.target_part}};
  return Start(session, flags, ns, {spec});
}

Status Verify(Session& session, const WorkFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.Namespace());
  LS_ASSIGN_OR_RETURN(const Json copy, FindCopy(*api, ns, CopyId(flags.subject)));
  const Session::ObjectName source{Text(copy, "/sourceNamespace"), Text(copy, "/source")};
  LS_ASSIGN_OR_RETURN(const std::string request, FindRequest(*api, ns, flags.request, source.name,
                                                             {"Verify", "Backup", "Restore"}));
  Json spec = {{"type", "Verify"},
               {"sourceRef", SourceRef(source, ns)},
               {"requestRef", {{"name", request}}},
               {"copyID", Text(copy, "/id")}};
  if (const std::string part = Text(copy, "/part"); !part.empty()) spec["part"] = part;
  return Start(session, flags, ns, {spec});
}

Status Check(Session& session, const WorkFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.Namespace());
  LS_ASSIGN_OR_RETURN(const auto source, session.ParseName(flags.subject));
  LS_ASSIGN_OR_RETURN(const std::string request, FindRequest(*api, ns, flags.request, source.name,
                                                             {"Backup", "Restore", "Verify"}));
  return Start(session, flags, ns,
               {{{"type", "Check"},
                 {"sourceRef", SourceRef(source, ns)},
                 {"requestRef", {{"name", request}}}}});
}

CLI::App* AddWork(CLI::App& app, Session& session, const char* name, const char* help,
                  const char* subject, const char* subject_help,
                  const std::shared_ptr<WorkFlags>& flags,
                  Status (*action)(Session&, const WorkFlags&)) {
  auto* command = app.add_subcommand(name, help);
  command->add_option(subject, flags->subject, subject_help)->required();
  command->add_option("--request", flags->request,
                      "Whose pods do it (default: the only that fits)");
  command->add_option("--job", flags->job, "Your own name for it");
  command->add_option("--idempotency-key", flags->key, "Same key, same operation (default: random)")
      ->check(NotEmpty, "");
  command->add_flag("--wait", flags->wait, "Show progress until it is done");
  command->add_option("--timeout", flags->timeout, "With --wait: give up waiting after this");
  command->callback([&session, flags, action] {
    // -o name of a request is taken as it was printed.
    if (flags->request.starts_with("request/")) flags->request.erase(0, 8);
    session.action = [&session, flags, action] { return action(session, *flags); };
  });
  return command;
}

}  // namespace

void AddWorkCommands(CLI::App& app, Session& session) {
  const auto backup = std::make_shared<WorkFlags>();
  auto* backup_command = AddWork(app, session, "backup", "Back up a source, one operation per part",
                                 "source", "BackupSource ([NAMESPACE/]NAME)", backup, Backup);
  auto* part =
      backup_command->add_option("--part", backup->parts, "Database or directory; repeatable");
  backup_command->add_flag("--all-parts", backup->all_parts, "Every part the source declares")
      ->excludes(part);

  const auto restore = std::make_shared<WorkFlags>();
  auto* restore_command = AddWork(app, session, "restore", "Restore a copy into a source", "copy",
                                  "Copy (longshore copies)", restore, Restore);
  restore_command->add_option("--to", restore->target_source, "BackupSource that is written")
      ->required();
  restore_command->add_option("--part", restore->target_part,
                              "Database or directory to write (default: as it was named)");

  AddWork(app, session, "verify", "Compare a copy with its manifest", "copy",
          "Copy (longshore copies)", std::make_shared<WorkFlags>(), Verify);
  AddWork(app, session, "check", "Log in to a source", "source", "BackupSource ([NAMESPACE/]NAME)",
          std::make_shared<WorkFlags>(), Check);
}

}  // namespace longshore::cli

// SPDX-License-Identifier: Apache-2.0
//
// Puts the commands together, parses, runs the chosen one and turns its result into an exit code.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr char kVersion[] = "longshore 0.1.0";

constexpr char kFooter[] =
    "Flags of every command, before or after it: longshore --help. Times: 90, 90s, 5m, 2h.\n"
    "Exit codes: 0 done, 1 an operation failed, 2 wrong usage or input, 3 not found, 4 denied,\n"
    "5 unavailable, 6 timed out, 130 interrupted.\n"
    "Environment: LONGSHORE_SERVER, LONGSHORE_CA_FILE, LONGSHORE_TOKEN_FILE,\n"
    "LONGSHORE_TLS_SERVER_NAME, LONGSHORE_NAMESPACE, LONGSHORE_CONFIG.";

void AddGlobalFlags(CLI::App& app, GlobalFlags& flags) {
  app.add_option("--server", flags.server, "URL of the storage manager API");
  app.add_option("--ca-file", flags.ca_file, "Certificate authority of the server (PEM)");
  app.add_option("--token-file", flags.token_file, "File with the bearer token");
  app.add_option("--tls-server-name", flags.tls_server_name,
                 "Name to expect in the server's certificate instead of the URL's");
  app.add_option("--config", flags.config_file, "Configuration file of longshore login");
  app.add_option("-n,--namespace", flags.ns, "Namespace of requests and pods");
  app.add_flag("-A,--all-namespaces", flags.all_namespaces, "List those of all namespaces");
  app.add_option("-o,--output", flags.output, "table, json or name")
      ->check(CLI::IsMember({"table", "json", "name"}))
      ->capture_default_str();
  app.set_version_flag("--version", kVersion);
  app.footer(kFooter);
}

void AddCommands(CLI::App& app, Session& session) {
  AddRequestCommands(app, session);
  AddPodCommands(app, session);
  AddWorkCommands(app, session);
  AddOperationCommands(app, session);
  AddListCommands(app, session);
  AddEventCommands(app, session);
  AddExplainCommand(app, session);
  AddLocateCommand(app, session);
  AddWhyCommand(app, session);
  AddWatchCommand(app, session);
  AddSimulateCommands(app, session);
  AddCertificateCommands(app, session);
  AddDoctorCommand(app, session);
  AddLoginCommand(app, session);
  AddCompletionCommand(app, session);
}

// The library says only that a command is required; people want to know what was wrong with theirs.
std::string UnknownCommand(const CLI::App& app) {
  if (!app.get_subcommands().empty()) return "";
  const std::vector<std::string> words = app.remaining();
  if (words.empty() || words.front().starts_with("-")) return "";
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return "there is no command \"" + words.front() + "\"; there are " + Join(names, ", ");
}

int Report(Session& session, const Error& error) {
  session.io.out.flush();
  session.io.err << "longshore: " << Printable(error.message) << std::endl;
  return ExitCodeFor(error.code);
}

}  // namespace

int Run(const std::vector<std::string>& arguments, Surroundings surroundings) {
  Session session(std::move(surroundings));
  CLI::App app("Backup pods on demand: ask for them, give them operations, follow those.",
               "longshore");
  app.fallthrough();  // global flags are taken after the command too
  app.require_subcommand(1);
  AddGlobalFlags(app, session.flags);
  AddCommands(app, session);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    const std::string unknown = error.get_exit_code() == 0 ? "" : UnknownCommand(app);
    if (!unknown.empty()) return Report(session, InvalidArgument(unknown));
    const int code = app.exit(error, session.io.out, session.io.err);
    return code == 0 ? 0 : ExitCodeFor(Code::kInvalidArgument);
  }
  const Status done = session.action();
  return done ? 0 : Report(session, done.error());
}

}  // namespace longshore::cli

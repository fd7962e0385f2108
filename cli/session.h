// SPDX-License-Identifier: Apache-2.0
//
// What one run of `longshore` has: the global flags, where they point, where output goes. Commands
// are registered on a CLI::App; parsing chooses one, and its action then runs.
//
// Exit codes: 0 done, 1 an operation failed, 2 wrong usage or input, 3 not found, 4 denied,
// 5 unavailable, 6 timed out, 130 interrupted.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/api_client.h"
#include "cli/table.h"
#include "common/api/archive.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace CLI {
class App;
}

namespace longshore::cli {

using api::Json;

inline constexpr int kExitInterrupted = 130;
int ExitCodeFor(Code code);

// A check of flags: an empty value is a script's unset variable, not a wish for the default.
std::string NotEmpty(const std::string& value);

// Where a run reads its surroundings and writes: the process's own, or a test's.
struct Surroundings {
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;
  bool out_is_terminal = false;
  // Columns and rows of the terminal, as it is now.
  std::function<std::pair<size_t, size_t>()> terminal_size = [] { return std::pair(80UL, 24UL); };
  std::function<std::string(const char*)> environment;  // empty: not set
  const Clock& clock = Clock::Real();
  // Sleeps; false when the user pressed Ctrl-C.
  std::function<bool(std::chrono::milliseconds)> sleep;
};

// As given on the command line; empty: not given.
struct GlobalFlags {
  std::string server, ca_file, token_file, tls_server_name, ns, config_file;
  std::string output = "table";
  bool all_namespaces = false;
};

// Flags win over LONGSHORE_… variables, which win over the configuration file.
struct Settings {
  std::string server, ca_file, token_file, tls_server_name, ns;
};
Result<Settings> ResolveSettings(const GlobalFlags& flags,
                                 const std::function<std::string(const char*)>& environment);
std::string ConfigPath(const GlobalFlags& flags,
                       const std::function<std::string(const char*)>& environment);
Status WriteConfig(const std::string& path, const Settings& settings);

class Session {
 public:
  explicit Session(Surroundings surroundings) : io(std::move(surroundings)) {}

  Surroundings io;
  GlobalFlags flags;
  // Set by the chosen command's callback.
  std::function<Status()> action;

  // Made at first use; the errors say which flag or variable is missing.
  Result<ApiClient*> Api();
  Result<std::string> Namespace();
  // The ?namespace= of lists: empty with --all-namespaces.
  Result<std::string> ListNamespace();
  // "NS/NAME" or NAME in the session's namespace.
  struct ObjectName {
    std::string ns, name;
  };
  Result<ObjectName> ParseName(const std::string& text);

  bool json() const { return flags.output == "json"; }
  bool names_only() const { return flags.output == "name"; }

  // One object or {"items":[…]} in the asked-for form; `kind` stands before names ("request/…").
  void Print(const Json& document, const std::string& kind, const Table& table);

 private:
  std::optional<Settings> settings_;
  std::unique_ptr<ApiClient> api_;
  Status Resolve();
};

// Each adds its commands to the application.
void AddRequestCommands(CLI::App& app, Session& session);
void AddPodCommands(CLI::App& app, Session& session);
void AddOperationCommands(CLI::App& app, Session& session);
void AddWorkCommands(CLI::App& app, Session& session);  // backup, restore, verify, check
void AddListCommands(CLI::App& app, Session& session);  // copies, sources
void AddEventCommands(CLI::App& app, Session& session);
void AddExplainCommand(CLI::App& app, Session& session);
void AddLocateCommand(CLI::App& app, Session& session);
void AddWhyCommand(CLI::App& app, Session& session);
void AddWatchCommand(CLI::App& app, Session& session);
void AddSimulateCommands(CLI::App& app, Session& session);  // record, simulate
void AddDoctorCommand(CLI::App& app, Session& session);
void AddCertificateCommands(CLI::App& app, Session& session);
void AddLoginCommand(CLI::App& app, Session& session);
void AddCompletionCommand(CLI::App& app, Session& session);

// The whole program: parses, runs, prints errors. Returns the exit code.
int Run(const std::vector<std::string>& arguments, Surroundings surroundings);

}  // namespace longshore::cli

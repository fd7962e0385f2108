// SPDX-License-Identifier: Apache-2.0
#include "worker/tools.h"

#include <cstdio>
#include <regex>
#include <vector>

#include "worker/run.h"

namespace longshore::worker {
namespace {

struct Tool {
  const char* name;
  const char* version_argument;
};
constexpr Tool kRestic{"restic", "version"};
constexpr Tool kPostgresqlTools[] = {
    {"pg_dump", "--version"}, {"pg_restore", "--version"}, {"psql", "--version"}};

// restic has --stdin-from-command from 0.17 on.
bool ResticIsNewEnough(const std::string& version) {
  int major = 0, minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2) return false;
  return major > 0 || minor >= 17;
}

Result<std::string> Prove(Reaper& reaper, const Tool& tool, const std::string& scratch) {
  Command command{{tool.name, tool.version_argument}, BaseEnvironment(scratch), ""};
  RunOptions run;
  run.timeout = std::chrono::seconds(30);
  LS_ASSIGN_OR_RETURN(const Finished finished, Run(reaper, command, run));
  const std::string version = FindVersion(finished.out);
  if (!finished.ok() || version.empty()) {
    return FailedPrecondition(std::string(tool.name) + ": does not tell its version (" +
                              finished.status.ToString() + ")");
  }
  return version;
}

}  // namespace

std::string FindVersion(const std::string& text) {
  static const std::regex kVersion("[0-9]+(\\.[0-9]+)+");
  std::smatch match;
  return std::regex_search(text, match, kVersion) ? match.str() : "";
}

Result<std::map<std::string, std::string>> ProveTools(Reaper& reaper, const std::string& kind,
                                                      const std::string& scratch) {
  std::vector<Tool> tools{kRestic};
  if (kind == "postgresql") {
    tools.insert(tools.end(), std::begin(kPostgresqlTools), std::end(kPostgresqlTools));
  } else if (kind != "filesystem") {
    return InvalidArgument("--kind: '" + kind + "' is not postgresql or filesystem");
  }
  std::map<std::string, std::string> versions;
  for (const Tool& tool : tools) {
    auto version = Prove(reaper, tool, scratch);
    if (!version) {
      return FailedPrecondition(std::string(tool.name) + ": " + version.error().message);
    }
    versions[tool.name] = *version;
  }
  if (!ResticIsNewEnough(versions["restic"])) {
    return FailedPrecondition("restic: 0.17 or newer is needed, found " + versions["restic"]);
  }
  return versions;
}

}  // namespace longshore::worker

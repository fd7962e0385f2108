// SPDX-License-Identifier: Apache-2.0
//
// longshore login: checks that server, CA and token work, then remembers where they are.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <ostream>

#include "cli/fields.h"
#include "cli/session.h"

namespace longshore::cli {
namespace {

// A relative path would mean another file from another folder.
void MakeAbsolute(std::string& path) {
  if (!path.empty()) path = std::filesystem::absolute(path).lexically_normal().string();
}

Status Login(Session& session) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(const std::string ns, session.Namespace());
  LS_RETURN_IF_ERROR(api->Get(WithQuery("/v1/requests", {{"namespace", ns}})));
  LS_ASSIGN_OR_RETURN(Settings settings, ResolveSettings(session.flags, session.io.environment));
  MakeAbsolute(settings.ca_file);
  MakeAbsolute(settings.token_file);
  const std::string path = ConfigPath(session.flags, session.io.environment);
  LS_RETURN_IF_ERROR(WriteConfig(path, settings));
  session.io.out << settings.server << " accepts the token; remembered in " << path << "\n";
  return {};
}

}  // namespace

void AddLoginCommand(CLI::App& app, Session& session) {
  auto* login = app.add_subcommand(
      "login", "Check --server, --ca-file and --token-file, and remember where they are");
  login->callback([&session] { session.action = [&session] { return Login(session); }; });
}

}  // namespace longshore::cli

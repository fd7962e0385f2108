// SPDX-License-Identifier: Apache-2.0
//
// Where the storage manager API is and who we are: flags, LONGSHORE_… variables, and the file that
// `longshore login` writes. Only paths of tokens are kept, never a token.
#include <sys/stat.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>

#include "cli/session.h"
#include "common/base/files.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr char kDefaultNamespace[] = "longshore-backup";

Result<Settings> ReadConfig(const std::string& path, bool must_exist) {
  const auto text = ReadFile(path, 1 << 20);
  if (!text) {
    if (text.error().code == Code::kNotFound && !must_exist) return Settings{};
    return Annotate(text.error(), path);
  }
  try {
    const YAML::Node root = YAML::Load(*text);
    if (!root.IsMap() && !root.IsNull()) return InvalidArgument(path + ": expected fields");
    Settings settings;
    const std::map<std::string, std::string*> fields = {
        {"server", &settings.server},
        {"caFile", &settings.ca_file},
        {"tokenFile", &settings.token_file},
        {"tlsServerName", &settings.tls_server_name},
        {"namespace", &settings.ns}};
    for (const auto& entry : root) {
      const auto name = entry.first.as<std::string>();
      const auto field = fields.find(name);
      if (field == fields.end()) return InvalidArgument(path + ": " + name + ": no such field");
      *field->second = entry.second.as<std::string>();
    }
    return settings;
  } catch (const YAML::Exception& error) {
    return InvalidArgument(path + ": line " + std::to_string(error.mark.line + 1) +
                           ": not the YAML of a configuration");
  }
}

// Makes a folder and those above it, for the user alone.
Status MakeFolders(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, folder);
  }
  return {};
}

}  // namespace

std::string ConfigPath(const GlobalFlags& flags,
                       const std::function<std::string(const char*)>& environment) {
  if (!flags.config_file.empty()) return flags.config_file;
  if (const std::string named = environment("LONGSHORE_CONFIG"); !named.empty()) return named;
  std::string folder = environment("XDG_CONFIG_HOME");
  if (folder.empty()) folder = environment("HOME") + "/.config";
  return folder + "/longshore/config.yaml";
}

Result<Settings> ResolveSettings(const GlobalFlags& flags,
                                 const std::function<std::string(const char*)>& environment) {
  LS_ASSIGN_OR_RETURN(const Settings file,
                      ReadConfig(ConfigPath(flags, environment), !flags.config_file.empty()));
  const auto first = [](const std::string& a, const std::string& b, const std::string& c) {
    return !a.empty() ? a : !b.empty() ? b : c;
  };
  Settings settings;
  settings.server = first(flags.server, environment("LONGSHORE_SERVER"), file.server);
  settings.ca_file = first(flags.ca_file, environment("LONGSHORE_CA_FILE"), file.ca_file);
  settings.token_file =
      first(flags.token_file, environment("LONGSHORE_TOKEN_FILE"), file.token_file);
  settings.tls_server_name =
      first(flags.tls_server_name, environment("LONGSHORE_TLS_SERVER_NAME"), file.tls_server_name);
  settings.ns = first(flags.ns, environment("LONGSHORE_NAMESPACE"), file.ns);
  if (settings.ns.empty()) settings.ns = kDefaultNamespace;
  while (settings.server.ends_with('/')) settings.server.pop_back();
  return settings;
}

Status WriteConfig(const std::string& path, const Settings& settings) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  const std::pair<const char*, const std::string*> fields[] = {
      {"server", &settings.server},
      {"caFile", &settings.ca_file},
      {"tokenFile", &settings.token_file},
      {"tlsServerName", &settings.tls_server_name},
      {"namespace", &settings.ns}};
  for (const auto& [name, value] : fields) {
    if (!value->empty()) out << YAML::Key << name << YAML::Value << YAML::DoubleQuoted << *value;
  }
  out << YAML::EndMap;
  LS_RETURN_IF_ERROR(MakeFolders(path));
  return WriteFileAtomically(path, std::string(out.c_str()) + "\n", 0600);
}

}  // namespace longshore::cli

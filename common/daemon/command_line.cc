// SPDX-License-Identifier: Apache-2.0
#include "common/daemon/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "common/base/log.h"
#include "common/base/strings.h"

namespace longshore::daemon {
namespace {

void SetController(const std::string& text, streams::ClientOptions& stream) {
  const size_t colon = text.rfind(':');
  const auto port = colon == std::string::npos ? Result<int64_t>(InvalidArgument("no port"))
                                               : ParseInt(std::string_view(text).substr(colon + 1));
  if (colon == 0 || !port.has_value() || *port < 1 || *port > 65535) {
    throw CLI::ValidationError("--controller", "expected HOST:PORT, got " + text);
  }
  stream.host = text.substr(0, colon);
  stream.port = static_cast<int>(*port);
}

}  // namespace

std::string Version() { return LONGSHORE_VERSION; }

void AddPort(CLI::App& app, const std::string& option, int& port, const std::string& help) {
  app.add_option(option, port, help + "; 0: any")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
}

void AddHealthPort(CLI::App& app, int& port) {
  AddPort(app, "--health-port", port, "/healthz, /readyz and /metrics");
}

void AddLogLevel(CLI::App& app) {
  static const std::map<std::string, LogLevel> kLevels{{"debug", LogLevel::kDebug},
                                                       {"info", LogLevel::kInfo},
                                                       {"warn", LogLevel::kWarn},
                                                       {"error", LogLevel::kError}};
  app.add_option_function<std::string>(
         "--log-level", [](const std::string& name) { SetLogLevel(kLevels.at(name)); },
         "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->default_str("info");
}

void AddController(CLI::App& app, streams::ClientOptions& stream) {
  auto* controller = app.add_option_function<std::string>(
      "--controller", [&stream](const std::string& text) { SetController(text, stream); },
      "HOST:PORT of the controller's streams");
  if (!stream.host.empty()) {
    controller->default_str(stream.host + ":" + std::to_string(stream.port));
  }
  app.add_option("--ca-file", stream.ca_file, "CA of the controller's certificate")
      ->capture_default_str();
  app.add_option("--token-file", stream.token_file, "service account token for the controller")
      ->capture_default_str();
}

Parsed Parse(CLI::App& app, int argc, char** argv, const std::function<Status()>& check) {
  app.set_version_flag("--version", Version());
  std::string wrong;
  try {
    app.parse(argc, argv);
    if (const Status checked = check ? check() : Status{}; !checked.has_value()) {
      wrong = checked.error().message;
    }
  } catch (const CLI::Success& success) {
    app.exit(success);  // prints help or version
    return Parsed::kExitSuccess;
  } catch (const CLI::ParseError& error) {
    wrong = error.what();
  }
  if (wrong.empty()) return Parsed::kRun;
  std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), wrong.c_str());
  return Parsed::kExitUsage;
}

}  // namespace longshore::daemon

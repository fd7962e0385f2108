// SPDX-License-Identifier: Apache-2.0
//
// longshore-worker: PID 1 of a backup pod. Proves its tools, dials the controller and takes one
// operation at a time until it is told to stop. docs/worker.md says more.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "common/base/log.h"
#include "common/base/signals.h"
#include "common/base/strings.h"
#include "worker/relay.h"
#include "worker/tools.h"

#ifndef LONGSHORE_VERSION
#define LONGSHORE_VERSION "0.0.0"
#endif

namespace longshore::worker {
namespace {

struct Flags {
  std::string controller, ca_file, token_file, server_name;
  Settings settings;
  int stop_grace_seconds = 270;
  std::string log_level = "info";
  bool ready = false, self_test = false;
};

// A bad start: one line, exit 2.
int Refuse(const std::string& message) {
  std::fprintf(stderr, "longshore-worker: %s\n", message.c_str());
  return 2;
}

void Define(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", std::string(LONGSHORE_VERSION));
  app.add_option("--controller", flags.controller, "HOST:PORT of the controller's streams");
  app.add_option("--server-name", flags.server_name,
                 "name in the controller's certificate (default: the host of --controller)");
  app.add_option("--ca-file", flags.ca_file, "CA of the controller, PEM");
  app.add_option("--token-file", flags.token_file, "projected service account token");
  app.add_option("--kind", flags.settings.kind, "kind of source: postgresql or filesystem");
  app.add_option("--scratch", flags.settings.scratch, "folder for caches and temporary files")
      ->capture_default_str();
  app.add_option("--secrets-dir", flags.settings.secrets_dir,
                 "folder on tmpfs for the secrets of the running operation")
      ->capture_default_str();
  app.add_option("--source-dir", flags.settings.source_dir, "where a volume to back up is mounted")
      ->capture_default_str();
  app.add_option("--target-dir", flags.settings.target_dir,
                 "where a volume to restore into is mounted")
      ->capture_default_str();
  app.add_option("--stop-grace-seconds", flags.stop_grace_seconds,
                 "how long a running operation may take after SIGTERM, less than the pod's grace")
      ->capture_default_str()
      ->check(CLI::Range(0, 86400));
  app.add_option("--log-level", flags.log_level, "debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  app.add_flag("--ready", flags.ready, "exit 0 if the worker is connected");
  app.add_flag("--self-test", flags.self_test, "prove the tools of --kind, print them and exit");
}

// Connected, or said to be, in the last ten seconds.
int Ready(const Flags& flags) {
  struct stat file{};
  if (::stat(ReadyFile(flags.settings.scratch).c_str(), &file) != 0) return 1;
  const auto age =
      std::chrono::system_clock::now() - std::chrono::system_clock::from_time_t(file.st_mtime);
  return age < std::chrono::seconds(11) ? 0 : 1;
}

Status ParseController(Flags& flags, streams::ClientOptions& client) {
  const size_t colon = flags.controller.rfind(':');
  const auto port = colon == std::string::npos ? Result<int64_t>(InvalidArgument(""))
                                               : ParseInt(flags.controller.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535 || colon == 0) {
    return InvalidArgument("--controller: expected HOST:PORT");
  }
  client.host = flags.controller.substr(0, colon);
  client.port = static_cast<int>(*port);
  client.path = "/v1/workers";
  client.server_name = flags.server_name;
  client.ca_file = flags.ca_file;
  client.token_file = flags.token_file;
  return {};
}

Status CheckFolders(const Settings& settings) {
  for (const auto& [flag, folder] : {std::pair("--scratch", settings.scratch),
                                     std::pair("--secrets-dir", settings.secrets_dir)}) {
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
      return FailedPrecondition(std::string(flag) + ": " + folder + " is not a writable folder");
    }
  }
  return {};
}

LogLevel Level(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

int Serve(Flags& flags) {
  Relay::Options options;
  if (auto parsed = ParseController(flags, options.client); !parsed) {
    return Refuse(parsed.error().message);
  }
  if (flags.ca_file.empty()) return Refuse("--ca-file: is needed");
  if (flags.token_file.empty()) return Refuse("--token-file: is needed");
  if (auto checked = CheckFolders(flags.settings); !checked) return Refuse(checked.error().message);
  // A container of this pod that was killed may have left secrets behind.
  if (auto wiped = WipeSecrets(flags.settings.secrets_dir); !wiped) {
    return Refuse("--secrets-dir: " + wiped.error().message);
  }
  Reaper reaper;
  auto tools = ProveTools(reaper, flags.settings.kind, flags.settings.scratch);
  if (!tools) return Refuse(tools.error().message);
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  options.settings = flags.settings;
  options.settings.host_name = host;
  options.settings.tools = *tools;
  options.version = LONGSHORE_VERSION;
  options.stop_grace = std::chrono::seconds(flags.stop_grace_seconds);
  LogInfo("worker starts", {{"version", LONGSHORE_VERSION},
                            {"kind", flags.settings.kind},
                            {"controller", flags.controller}});
  Relay relay(std::move(options), reaper);
  std::thread([&relay] {
    WaitForStopSignal();
    relay.Stop();
  }).detach();
  const Status served = relay.Run();
  if (!served) return Refuse(served.error().message);
  LogInfo("worker ends");
  // The signal thread may still wait and refers to the relay: leave without unwinding.
  std::fflush(nullptr);
  ::_exit(0);
}

int SelfTest(const Flags& flags) {
  Reaper reaper;
  const auto tools = ProveTools(reaper, flags.settings.kind, flags.settings.scratch);
  if (!tools) return Refuse(tools.error().message);
  for (const auto& [tool, version] : *tools) std::printf("%s %s\n", tool.c_str(), version.c_str());
  return 0;
}

int Main(int argc, char** argv) {
  Flags flags;
  flags.settings.scratch = "/scratch";
  flags.settings.secrets_dir = "/run/longshore";
  flags.settings.source_dir = "/source";
  flags.settings.target_dir = "/target";
  CLI::App app("Takes backup and restore operations in a backup pod.", "longshore-worker");
  Define(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return Refuse(error.what());
  }
  SetLogLevel(Level(flags.log_level));
  if (flags.ready) return Ready(flags);
  ::umask(0077);
  BlockStopSignals();
  return flags.self_test ? SelfTest(flags) : Serve(flags);
}

}  // namespace
}  // namespace longshore::worker

int main(int argc, char** argv) { return longshore::worker::Main(argc, argv); }

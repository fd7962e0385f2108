// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/options.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "common/base/result.h"
#include "common/base/strings.h"

#ifndef LONGSHORE_VERSION
#define LONGSHORE_VERSION "0.0.0"
#endif

namespace longshore::nodeagent {
namespace {

void Describe(CLI::App& app, Options& o, double& interval) {
  app.set_version_flag("--version", std::string(LONGSHORE_VERSION));
  app.add_option("--controller", o.controller, "HOST:PORT of the controller's streams");
  app.add_option("--ca-file", o.ca_file, "CA of the controller's certificate")
      ->capture_default_str();
  app.add_option("--token-file", o.token_file, "service account token for the controller")
      ->capture_default_str();
  app.add_option("--node-name", o.node_name, "this node's name in the cluster [$NODE_NAME]");
  app.add_option("--cgroup-root", o.cgroup_root,
                 "the kubelet's cgroup root, e.g. / or /node-1; auto: that of the pod we run in")
      ->capture_default_str();
  app.add_option("--max-cgroups", o.max_cgroups, "cgroups that are counted apart")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  app.add_option("--interval", interval, "seconds between samples")
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str();
  app.add_option("--health-port", o.health_port, "/healthz, /readyz and /metrics; 0: any")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_flag("--once", o.once, "print the pods' usage over one interval and end; no controller");
  app.add_option("-o,--output", o.output, "of --once: table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("--log-level", o.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
}

Status CheckDaemon(Options& options) {
  if (options.controller.empty()) {
    return InvalidArgument("--controller: HOST:PORT is needed, or --once to print the usage");
  }
  if (options.node_name.empty()) {
    return InvalidArgument("--node-name: is needed (or $NODE_NAME)");
  }
  const size_t colon = options.controller.rfind(':');
  const auto port = colon == std::string::npos
                        ? Result<int64_t>(InvalidArgument("no port"))
                        : ParseInt(std::string_view(options.controller).substr(colon + 1));
  if (colon == 0 || !port.has_value() || *port < 1 || *port > 65535) {
    return InvalidArgument("--controller: expected HOST:PORT, got " + options.controller);
  }
  options.controller_host = options.controller.substr(0, colon);
  options.controller_port = static_cast<int>(*port);
  return {};
}

}  // namespace

Parsed ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app("Longshore's node agent: measures what each pod of this node uses, with eBPF.",
               "longshore-nodeagent");
  if (const char* name = std::getenv("NODE_NAME")) options.node_name = name;
  double interval = std::chrono::duration<double>(options.interval).count();
  Describe(app, options, interval);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app.exit(success);  // prints help or version
    return Parsed::kExitSuccess;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "longshore-nodeagent: %s\n", error.what());
    return Parsed::kExitUsage;
  }
  options.interval = std::chrono::milliseconds(std::lround(interval * 1000));
  if (options.once) return Parsed::kRun;
  if (const Status checked = CheckDaemon(options); !checked.has_value()) {
    std::fprintf(stderr, "longshore-nodeagent: %s\n", checked.error().message.c_str());
    return Parsed::kExitUsage;
  }
  return Parsed::kRun;
}

}  // namespace longshore::nodeagent

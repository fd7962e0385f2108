// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/options.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>

#include "common/base/result.h"

namespace longshore::nodeagent {
namespace {

void Describe(CLI::App& app, Options& o, double& interval) {
  daemon::AddController(app, o.controller);
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
  daemon::AddHealthPort(app, o.health_port);
  app.add_flag("--once", o.once, "print the pods' usage over one interval and end; no controller");
  app.add_option("-o,--output", o.output, "of --once: table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  daemon::AddLogLevel(app);
}

Status CheckDaemon(const Options& options) {
  if (options.once) return {};
  if (options.controller.host.empty()) {
    return InvalidArgument("--controller: HOST:PORT is needed, or --once to print the usage");
  }
  if (options.node_name.empty()) {
    return InvalidArgument("--node-name: is needed (or $NODE_NAME)");
  }
  return {};
}

}  // namespace

daemon::Parsed ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app("Longshore's node agent: measures what each pod of this node uses, with eBPF.",
               "longshore-nodeagent");
  if (const char* name = std::getenv("NODE_NAME")) options.node_name = name;
  double interval = std::chrono::duration<double>(options.interval).count();
  Describe(app, options, interval);
  const auto parsed = daemon::Parse(app, argc, argv, [&] { return CheckDaemon(options); });
  options.interval = std::chrono::milliseconds(std::lround(interval * 1000));
  return parsed;
}

}  // namespace longshore::nodeagent

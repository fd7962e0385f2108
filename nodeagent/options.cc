// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/options.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>

#include "common/base/result.h"
#include "nodeagent/top/columns.h"

namespace longshore::nodeagent {
namespace {

// CLI::Range lets "nan" through, as no comparison with it is true.
const CLI::Validator kInterval(
    [](const std::string& text) {
      double seconds = 0;
      const bool fits = CLI::detail::lexical_cast(text, seconds) && seconds >= 0.1 && seconds <= 60;
      return fits ? std::string() : "not a number of seconds from 0.1 to 60: " + text;
    },
    "0.1 to 60");

// As the kubelet's own `cgroupRoot`, not as a path of files.
Status CheckRoot(const std::string& root) {
  if (root == "auto") return {};
  if (!root.starts_with('/')) {
    return InvalidArgument("--cgroup-root: auto, or a path such as / or /node-1: " + root);
  }
  if (root.starts_with("/sys/fs/cgroup")) {
    return InvalidArgument(
        "--cgroup-root: the path within the hierarchies, such as /node-1, without where they are "
        "mounted: " +
        root);
  }
  return {};
}

void AddMeasurement(CLI::App& app, MeasurementOptions& o) {
  app.add_option("--cgroup-root", o.cgroup_root,
                 "the kubelet's cgroup root, e.g. / or /node-1; auto: that of the pod we run in")
      ->capture_default_str();
  app.add_option("--max-cgroups", o.max_cgroups, "cgroups that are counted apart")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-device-cells", o.max_device_cells,
                 "pairs of cgroup and block device that are counted apart; 800 bytes each")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
}

void AddInterval(CLI::App& app, Options& o) {
  app.add_option_function<double>(
         "--interval",
         [&o](double s) { o.interval = std::chrono::milliseconds(std::lround(s * 1000)); },
         "seconds between samples")
      ->check(kInterval)
      ->default_str("1");
}

void AddRun(CLI::App& app, Options& o) {
  daemon::AddController(app, o.controller);
  app.add_option("--node-name", o.node_name, "this node's name in the cluster [$NODE_NAME]");
  AddMeasurement(app, o.measurement);
  AddInterval(app, o);
  daemon::AddHealthPort(app, o.health_port);
  app.add_option("--metrics-pods", o.metrics_pods,
                 "pods that /metrics shows apart, the busiest; the others are summed as one")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  daemon::AddLogLevel(app);
}

void AddOutput(CLI::App& app, bool& json) {
  app.add_option_function<std::string>(
         "-o,--output", [&json](const std::string& name) { json = name == "json"; },
         "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
}

Status CheckSort(const std::string& column) {
  if (top::FindColumn(column) >= 0) return {};
  return InvalidArgument("--sort: there is no column " + column + ", but " + top::ColumnNames());
}

void AddTop(CLI::App& app, Options& o) {
  AddMeasurement(app, o.measurement);
  AddInterval(app, o);
  app.add_option("--sort", o.top.sort, "column to sort by: " + top::ColumnNames())
      ->capture_default_str();
  app.add_flag("--reverse", o.top.reverse, "the least first");
  app.add_flag("--containers", o.top.containers, "a row for each container instead of each pod");
  app.add_option("--pod", o.top.pod,
                 "one pod in full: its UID, the beginning of it, or NAMESPACE/NAME");
  app.add_flag("--once", o.top.once, "print one interval and end");
  AddOutput(app, o.top.json);
  app.add_option("--pod-logs", o.top.pod_folder, "the kubelet's folder that pods' names come from")
      ->capture_default_str();
}

Status CheckRun(const Options& options) {
  if (options.controller.host.empty()) {
    return InvalidArgument("--controller: HOST:PORT is needed; `top` and `doctor` need none");
  }
  if (options.node_name.empty()) {
    return InvalidArgument("--node-name: is needed (or $NODE_NAME)");
  }
  return {};
}

Status CheckTop(const top::TopOptions& options) {
  LS_RETURN_IF_ERROR(CheckSort(options.sort));
  if (options.pod && options.pod->empty()) return InvalidArgument("--pod: is empty");
  return {};
}

Status Check(const Options& options) {
  LS_RETURN_IF_ERROR(CheckRoot(options.measurement.cgroup_root));
  switch (options.command) {
    case Command::kRun:
      return CheckRun(options);
    case Command::kTop:
      return CheckTop(options.top);
    case Command::kDoctor:
      break;
  }
  return {};
}

}  // namespace

daemon::Parsed ParseOptions(int argc, char** argv, Options& o) {
  CLI::App app("Longshore's node agent: measures what each pod of this node uses, with eBPF.",
               "longshore-nodeagent");
  if (const char* name = std::getenv("NODE_NAME")) o.node_name = name;
  app.require_subcommand(0, 1);
  AddRun(app, o);
  const auto command = [&](const char* name, const char* help, Command command) {
    return app.add_subcommand(name, help)->callback([&o, command] { o.command = command; });
  };
  AddRun(*command("run", "measure and report to the controller: the default", Command::kRun), o);
  AddTop(*command("top", "what each pod uses, live; no controller", Command::kTop), o);
  CLI::App* doctor = command("doctor",
                             "what this kernel and this container allow; exit 0: all, "
                             "1: some signals are missing, 2: nothing can be measured",
                             Command::kDoctor);
  AddMeasurement(*doctor, o.measurement);
  AddOutput(*doctor, o.doctor_json);
  return daemon::Parse(app, argc, argv, [&] { return Check(o); });
}

}  // namespace longshore::nodeagent

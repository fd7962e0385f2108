// SPDX-License-Identifier: Apache-2.0
#include "extender/options.h"

#include <CLI/CLI.hpp>
#include <vector>

namespace longshore::extender {
namespace {

void AddReplay(CLI::App& app, Options& o) {
  CLI::App* replay = app.add_subcommand(
      "replay",
      "answer a recorded call again, with no cluster; exit 0: the same reply, 1: another one");
  replay->callback([&o] { o.command = Command::kReplay; });
  replay->add_option("file", o.replay.file, "from the folder of --record-dir")->required();
  replay->add_option("--node", o.replay.node,
                     "say what would have changed the outcome for this node, which was offered");
  replay
      ->add_option_function<std::string>(
          "-o,--output", [&o](const std::string& name) { o.replay.json = name == "json"; },
          "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
}

}  // namespace

daemon::Parsed ParseOptions(int argc, char** argv, Options& o) {
  CLI::App app("Longshore's scheduler extender: places backup pods near the data they copy.",
               "longshore-extender");
  std::vector<std::string> allowed;
  uint64_t record_mib = o.record.max_bytes >> 20;
  daemon::AddPort(app, "--port", o.port, "HTTPS with client certificates, for kube-scheduler");
  daemon::AddHealthPort(app, o.health_port);
  app.add_option("--tls-dir", o.tls_dir, "folder with tls.crt and tls.key; re-read on change")
      ->capture_default_str();
  app.add_option("--client-ca-file", o.client_ca_file, "CA that client certificates come from")
      ->capture_default_str();
  app.add_option("--allowed-client", allowed,
                 "common name of a client that is heard; may be repeated [longshore-scheduler]");
  daemon::AddController(app, o.pressure);
  app.add_option("--record-dir", o.record.folder,
                 "keep calls about backup pods in this folder, for replay");
  app.add_option("--record-files", o.record.max_files, "the most files in it; then the oldest go")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--record-mib", record_mib, "the most MiB in it")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--kubeconfig", o.kubeconfig, "instead of the pod's own service account");
  daemon::AddLogLevel(app);
  app.require_subcommand(0, 1);
  AddReplay(app, o);
  const daemon::Parsed parsed = daemon::Parse(app, argc, argv);
  if (!allowed.empty()) o.allowed_clients = {allowed.begin(), allowed.end()};
  o.record.max_bytes = record_mib << 20;
  return parsed;
}

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
#include "extender/options.h"

#include <CLI/CLI.hpp>
#include <vector>

namespace longshore::extender {

daemon::Parsed ParseOptions(int argc, char** argv, Options& o) {
  CLI::App app("Longshore's scheduler extender: places backup pods near the data they copy.",
               "longshore-extender");
  std::vector<std::string> allowed;
  daemon::AddPort(app, "--port", o.port, "HTTPS with client certificates, for kube-scheduler");
  daemon::AddHealthPort(app, o.health_port);
  app.add_option("--tls-dir", o.tls_dir, "folder with tls.crt and tls.key; re-read on change")
      ->capture_default_str();
  app.add_option("--client-ca-file", o.client_ca_file, "CA that client certificates come from")
      ->capture_default_str();
  app.add_option("--allowed-client", allowed,
                 "common name of a client that is heard; may be repeated [longshore-scheduler]");
  daemon::AddController(app, o.pressure);
  app.add_option("--kubeconfig", o.kubeconfig, "instead of the pod's own service account");
  daemon::AddLogLevel(app);
  const daemon::Parsed parsed = daemon::Parse(app, argc, argv);
  if (!allowed.empty()) o.allowed_clients = {allowed.begin(), allowed.end()};
  return parsed;
}

}  // namespace longshore::extender

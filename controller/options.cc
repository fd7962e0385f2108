// SPDX-License-Identifier: Apache-2.0
#include "controller/options.h"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace longshore::controller {

Parsed ParseOptions(int argc, char** argv, Options& o) {
  CLI::App app("Longshore's controller: provisions backup pods on request, next to the data.",
               "longshore-controller");
  app.set_version_flag("--version", std::string(LONGSHORE_VERSION));
  const auto port = CLI::Range(0, 65535);
  app.add_option("--kubeconfig", o.kubeconfig, "instead of the pod's own service account");
  app.add_option("--api-port", o.api_port, "storage manager API, HTTPS; 0: any")
      ->check(port)
      ->capture_default_str();
  app.add_option("--streams-port", o.streams_port, "agents, workers and extenders, TLS; 0: any")
      ->check(port)
      ->capture_default_str();
  app.add_option("--health-port", o.health_port, "/healthz, /readyz and /metrics; 0: any")
      ->check(port)
      ->capture_default_str();
  app.add_option("--tls-dir", o.tls_dir, "folder with tls.crt and tls.key; re-read on change")
      ->capture_default_str();
  app.add_option("--ca-file", o.ca_file, "CA of our certificate; handed to the backup pods")
      ->capture_default_str();
  app.add_option("--worker-endpoint", o.worker_endpoint, "HOST:PORT that backup pods dial")
      ->capture_default_str();
  app.add_option("--audience", o.audience, "audience that bearer tokens must be for")
      ->capture_default_str();
  app.add_option("--log-level", o.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app.exit(success);  // prints help or version
    return Parsed::kExitSuccess;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "longshore-controller: %s\n", error.what());
    return Parsed::kExitUsage;
  }
  return Parsed::kRun;
}

}  // namespace longshore::controller

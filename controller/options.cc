// SPDX-License-Identifier: Apache-2.0
#include "controller/options.h"

#include <CLI/CLI.hpp>

namespace longshore::controller {

daemon::Parsed ParseOptions(int argc, char** argv, Options& o) {
  CLI::App app("Longshore's controller: provisions backup pods on request, next to the data.",
               "longshore-controller");
  app.add_option("--kubeconfig", o.kubeconfig, "instead of the pod's own service account");
  daemon::AddPort(app, "--api-port", o.api_port, "storage manager API, HTTPS");
  daemon::AddPort(app, "--streams-port", o.streams_port, "agents, workers and extenders, TLS");
  daemon::AddHealthPort(app, o.health_port);
  app.add_option("--tls-dir", o.tls_dir, "folder with tls.crt and tls.key; re-read on change")
      ->capture_default_str();
  app.add_option("--ca-file", o.ca_file, "CA of our certificate; handed to the backup pods")
      ->capture_default_str();
  app.add_option("--worker-endpoint", o.worker_endpoint, "HOST:PORT that backup pods dial")
      ->capture_default_str();
  app.add_option("--lease", o.lease,
                 "NAMESPACE/NAME of the Lease by which one of several replicas leads; without it "
                 "this one is alone");
  app.add_option("--pod", o.pod,
                 "our Pod's name, in the Lease's namespace: labelled while it leads");
  app.add_option("--audience", o.audience, "audience that bearer tokens must be for")
      ->capture_default_str();
  app.add_option("--pod-burst", o.pod_burst,
                 "so many backup pods are made at once, and 10 a second beyond them")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  daemon::AddLogLevel(app);
  return daemon::Parse(app, argc, argv);
}

}  // namespace longshore::controller

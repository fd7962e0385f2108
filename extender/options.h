// SPDX-License-Identifier: Apache-2.0
//
// The extender's command line.
#pragma once

#include <set>
#include <string>

#include "common/base/result.h"

namespace longshore::extender {

struct Options {
  int port = 8443;
  int health_port = 9090;
  std::string tls_dir = "/etc/longshore/tls";  // tls.crt, tls.key
  std::string client_ca_file = "/etc/longshore/ca/ca.crt";
  std::set<std::string> allowed_clients{"longshore-scheduler"};
  std::string controller = "longshore-controller-streams.longshore-system.svc:9443";
  std::string ca_file = "/etc/longshore/ca/ca.crt";  // of the controller's certificate
  std::string token_file = "/var/run/secrets/longshore/token";
  std::string kubeconfig;  // empty: $KUBECONFIG, or the pod's own service account
  std::string log_level = "info";

  std::string controller_host;  // the parts of `controller`
  int controller_port = 0;
};

enum class Parsed { kRun, kExitSuccess, kExitUsage };

// --help and --version print and ask to exit; anything unusable is one line on stderr.
Parsed ParseOptions(int argc, char** argv, Options& options);

}  // namespace longshore::extender

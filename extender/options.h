// SPDX-License-Identifier: Apache-2.0
//
// The extender's command line.
#pragma once

#include <set>
#include <string>

#include "common/daemon/command_line.h"
#include "common/streams/client.h"

namespace longshore::extender {

struct Options {
  int port = 8443;
  int health_port = 9090;
  std::string tls_dir = "/etc/longshore/tls";  // tls.crt, tls.key
  std::string client_ca_file = "/etc/longshore/ca/ca.crt";
  std::set<std::string> allowed_clients{"longshore-scheduler"};
  std::string kubeconfig;  // empty: $KUBECONFIG, or the pod's own service account
  // Where the leader tells how loaded the nodes are.
  streams::ClientOptions pressure{.host = "longshore-controller-streams.longshore-system.svc",
                                  .port = 9443,
                                  .path = "/v1/pressure",
                                  .ca_file = "/etc/longshore/ca/ca.crt",
                                  .token_file = "/var/run/secrets/longshore/token"};
};

daemon::Parsed ParseOptions(int argc, char** argv, Options& options);

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
//
// The command line of longshore-extender: the daemon's, and `replay`. Read by main.cc.
#pragma once

#include <set>
#include <string>

#include "common/daemon/command_line.h"
#include "common/streams/client.h"
#include "extender/recorder.h"
#include "extender/replay_command.h"

namespace longshore::extender {

enum class Command { kServe, kReplay };

struct Options {
  Command command = Command::kServe;
  int port = 8443;
  int health_port = 9090;
  std::string tls_dir = "/etc/longshore/tls";  // tls.crt, tls.key
  std::string client_ca_file = "/etc/longshore/ca/ca.crt";
  std::set<std::string> allowed_clients{"longshore-scheduler"};
  std::string kubeconfig;  // empty: $KUBECONFIG, or the pod's own service account
  RecorderOptions record;  // without a folder nothing is recorded
  // Where the leader tells how loaded the nodes are.
  streams::ClientOptions pressure{.host = "longshore-controller-streams.longshore-system.svc",
                                  .port = 9443,
                                  .path = "/v1/pressure",
                                  .ca_file = "/etc/longshore/ca/ca.crt",
                                  .token_file = "/var/run/secrets/longshore/token"};
  ReplayOptions replay;
};

daemon::Parsed ParseOptions(int argc, char** argv, Options& options);

}  // namespace longshore::extender

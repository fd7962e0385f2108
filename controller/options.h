// SPDX-License-Identifier: Apache-2.0
//
// Command line of longshore-controller.
#pragma once

#include <string>

#include "common/daemon/command_line.h"

namespace longshore::controller {

struct Options {
  std::string kubeconfig;
  int api_port = 8443, streams_port = 9443, health_port = 9090;
  std::string tls_dir = "/etc/longshore/tls";
  std::string ca_file = "/etc/longshore/ca/ca.crt";
  std::string worker_endpoint = "longshore-controller-streams.longshore-system.svc:9443";
  std::string lease, pod;  // of the election; see leadership.h
  std::string audience = "longshore-controller";
  int pod_burst = 50;
};

daemon::Parsed ParseOptions(int argc, char** argv, Options& options);

}  // namespace longshore::controller

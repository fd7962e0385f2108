// SPDX-License-Identifier: Apache-2.0
//
// The command line of longshore-nodeagent. Read by main.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/daemon/command_line.h"
#include "common/streams/client.h"

namespace longshore::nodeagent {

struct Options {
  streams::ClientOptions controller{.path = "/v1/agents",
                                    .ca_file = "/etc/longshore/ca/ca.crt",
                                    .token_file = "/var/run/secrets/longshore/token"};
  std::string node_name;
  std::string cgroup_root = "auto";
  uint32_t max_cgroups = 2048;
  int health_port = 9090;
  std::chrono::milliseconds interval{1000};
  bool once = false;
  std::string output = "table";  // "json"
};

daemon::Parsed ParseOptions(int argc, char** argv, Options& options);

}  // namespace longshore::nodeagent

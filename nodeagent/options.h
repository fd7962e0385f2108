// SPDX-License-Identifier: Apache-2.0
//
// The command line of longshore-nodeagent: `run` (also without a command), `top` and `doctor`. Read
// by main.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/daemon/command_line.h"
#include "common/streams/client.h"
#include "nodeagent/measurement.h"
#include "nodeagent/top/top_options.h"

namespace longshore::nodeagent {

enum class Command { kRun, kTop, kDoctor };

struct Options {
  Command command = Command::kRun;

  // Of all commands.
  MeasurementOptions measurement;
  // Of run and top.
  std::chrono::milliseconds interval{1000};
  // Of run.
  streams::ClientOptions controller{.path = "/v1/agents",
                                    .ca_file = "/etc/longshore/ca/ca.crt",
                                    .token_file = "/var/run/secrets/longshore/token"};
  std::string node_name;
  int health_port = 9090;
  uint32_t metrics_pods = 250;
  // Of top.
  top::TopOptions top;
  // Of doctor.
  bool doctor_json = false;
};

daemon::Parsed ParseOptions(int argc, char** argv, Options& options);

}  // namespace longshore::nodeagent

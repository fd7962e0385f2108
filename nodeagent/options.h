// SPDX-License-Identifier: Apache-2.0
//
// The command line of longshore-nodeagent. Read by main.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace longshore::nodeagent {

struct Options {
  std::string controller;  // HOST:PORT
  std::string controller_host;
  int controller_port = 0;
  std::string ca_file = "/etc/longshore/ca/ca.crt";
  std::string token_file = "/var/run/secrets/longshore/token";
  std::string node_name;
  std::string cgroup_root = "auto";
  uint32_t max_cgroups = 2048;
  int health_port = 9090;
  std::chrono::milliseconds interval{1000};
  bool once = false;
  std::string output = "table";  // "json"
  std::string log_level = "info";
};

enum class Parsed { kRun, kExitSuccess, kExitUsage };

// Prints help, version, or one line about what is wrong.
Parsed ParseOptions(int argc, char** argv, Options& options);

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// Runs the program LONGSHORE_NODEAGENT as its user does. Of command_test.cc and
// command_kernel_test.cc.
#pragma once

#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace longshore::nodeagent {

struct Outcome {
  int status = -1;   // -1: it did not exit
  std::string said;  // stdout and stderr
};

inline Outcome Say(const std::string& arguments) {
  const std::string command =
      "env -u NODE_NAME " LONGSHORE_NODEAGENT " " + arguments + " 2>&1 </dev/null";
  std::FILE* out = ::popen(command.c_str(), "r");
  if (out == nullptr) return {.said = std::string("not run: ") + std::strerror(errno)};
  Outcome outcome;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, out)) {
    outcome.said.append(buffer, count);
  }
  const int status = ::pclose(out);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

}  // namespace longshore::nodeagent

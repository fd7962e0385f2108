// SPDX-License-Identifier: Apache-2.0
#include "common/daemon/program.h"

#include <sys/resource.h>

#include <cstdio>
#include <string>

#include "common/base/log.h"
#include "common/base/signals.h"

namespace longshore::daemon {
namespace {

// Container runtimes start programs with 1024 descriptors for the sake of select(2), which nothing
// here calls; a server's connections and the watches of the API server would share those.
void TakeAllDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int Main(std::string_view program, Parsed parsed, const std::function<Status()>& run) {
  if (parsed == Parsed::kExitSuccess) return 0;
  if (parsed == Parsed::kExitUsage) return 2;
  BlockStopSignals();
  TakeAllDescriptors();
  const Status ran = run();
  if (ran.has_value()) return 0;
  std::fprintf(stderr, "%s: %s\n", std::string(program).c_str(), ran.error().message.c_str());
  return 2;
}

void AwaitStopSignal() {
  const int signal = WaitForStopSignal();
  LogInfo("stopping", {{"signal", signal}});
}

}  // namespace longshore::daemon

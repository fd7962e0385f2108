// SPDX-License-Identifier: Apache-2.0
#include "common/daemon/program.h"

#include <cstdio>
#include <string>

#include "common/base/log.h"
#include "common/base/signals.h"

namespace longshore::daemon {

int Main(std::string_view program, Parsed parsed, const std::function<Status()>& run) {
  if (parsed == Parsed::kExitSuccess) return 0;
  if (parsed == Parsed::kExitUsage) return 2;
  BlockStopSignals();
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

// SPDX-License-Identifier: Apache-2.0
//
// The life of a daemon: exit 0 after SIGTERM or SIGINT, exit 2 with one line on stderr when its
// configuration is unusable. Called by each main.cc.
#pragma once

#include <functional>
#include <string_view>

#include "common/base/result.h"
#include "common/daemon/command_line.h"

namespace longshore::daemon {

// What main() returns. Stop signals are blocked in every thread that `run` makes; its errors are
// of the configuration.
int Main(std::string_view program, Parsed parsed, const std::function<Status()>& run);

// Waits for SIGTERM or SIGINT, and logs it.
void AwaitStopSignal();

// Starts what has `Status Start()` and `void Stop()`, and stops it when a signal says so.
template <class Service>
Status Serve(Service& service) {
  LS_RETURN_IF_ERROR(service.Start());
  AwaitStopSignal();
  service.Stop();
  return {};
}

}  // namespace longshore::daemon

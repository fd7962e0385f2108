// SPDX-License-Identifier: Apache-2.0
//
// longshore-nodeagent: one per node, measures what each pod uses and tells the controller; see
// docs/nodeagent.md. With --once it prints one sample and ends.
#include <cstdio>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/signals.h"
#include "nodeagent/daemon.h"
#include "nodeagent/measurement.h"
#include "nodeagent/options.h"
#include "nodeagent/report.h"

namespace longshore::nodeagent {
namespace {

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

int Fail(const Error& error, int status) {
  std::fprintf(stderr, "longshore-nodeagent: %s\n", error.message.c_str());
  return status;
}

int PrintOnce(const Options& options) {
  auto measurement = Measurement::Start(options.cgroup_root, options.max_cgroups, Clock::Real());
  if (!measurement.has_value()) {
    const bool usage = measurement.error().code == Code::kNotFound;
    return Fail(measurement.error(), usage ? 2 : 1);
  }
  Collector& collector = (*measurement)->collector();
  const Sample before = collector.Take();
  collector.WaitUntil(Clock::Real().Monotonic() + options.interval);
  const Sample now = collector.Take();
  const std::string text =
      options.output == "json" ? RenderJson(before, now) + "\n" : RenderTable(before, now);
  return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0;
}

int RunDaemon(const Options& options) {
  BlockStopSignals();
  Daemon daemon(options, Clock::Real());
  if (const Status started = daemon.Start(); !started.has_value()) {
    return Fail(started.error(), 2);
  }
  const int signal = WaitForStopSignal();
  LogInfo("stopping", {{"signal", signal}});
  daemon.Stop();
  return 0;
}

}  // namespace
}  // namespace longshore::nodeagent

int main(int argc, char** argv) {
  using namespace longshore::nodeagent;
  Options options;
  switch (ParseOptions(argc, argv, options)) {
    case Parsed::kExitSuccess:
      return 0;
    case Parsed::kExitUsage:
      return 2;
    case Parsed::kRun:
      break;
  }
  longshore::SetLogLevel(LevelOf(options.log_level));
  return options.once ? PrintOnce(options) : RunDaemon(options);
}

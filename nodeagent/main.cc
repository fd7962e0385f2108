// SPDX-License-Identifier: Apache-2.0
//
// longshore-nodeagent: one per node, measures what each pod uses and tells the controller; see
// docs/nodeagent.md. With --once it prints one sample and ends.
#include <cstdio>

#include "common/base/clock.h"
#include "common/daemon/program.h"
#include "nodeagent/daemon.h"
#include "nodeagent/measurement.h"
#include "nodeagent/options.h"
#include "nodeagent/report.h"

namespace longshore::nodeagent {
namespace {

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

Status Run(const Options& options) {
  Daemon daemon(options, Clock::Real());
  return daemon::Serve(daemon);
}

}  // namespace
}  // namespace longshore::nodeagent

int main(int argc, char** argv) {
  using namespace longshore;
  nodeagent::Options options;
  const daemon::Parsed parsed = nodeagent::ParseOptions(argc, argv, options);
  if (parsed == daemon::Parsed::kRun && options.once) return nodeagent::PrintOnce(options);
  return daemon::Main("longshore-nodeagent", parsed, [&] { return nodeagent::Run(options); });
}

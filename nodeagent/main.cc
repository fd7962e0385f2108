// SPDX-License-Identifier: Apache-2.0
//
// longshore-nodeagent: one per node, measures what each pod uses and tells the controller; see
// docs/nodeagent.md. `top` shows it in the terminal, `doctor` says what this machine allows.
#include "common/base/clock.h"
#include "common/daemon/program.h"
#include "nodeagent/daemon.h"
#include "nodeagent/doctor/doctor.h"
#include "nodeagent/options.h"
#include "nodeagent/top/top.h"

namespace longshore::nodeagent {
namespace {

Status RunDaemon(const Options& options) {
  Daemon daemon(options, Clock::Real());
  return daemon::Serve(daemon);
}

}  // namespace
}  // namespace longshore::nodeagent

int main(int argc, char** argv) {
  using namespace longshore;
  nodeagent::Options options;
  const daemon::Parsed parsed = nodeagent::ParseOptions(argc, argv, options);
  if (parsed == daemon::Parsed::kRun && options.command == nodeagent::Command::kTop) {
    return nodeagent::top::RunTop(options.top, options.measurement, options.interval);
  }
  if (parsed == daemon::Parsed::kRun && options.command == nodeagent::Command::kDoctor) {
    return nodeagent::doctor::RunDoctor(options.measurement, options.doctor_json);
  }
  return daemon::Main("longshore-nodeagent", parsed, [&] { return nodeagent::RunDaemon(options); });
}

// SPDX-License-Identifier: Apache-2.0
//
// The node agent's dashboard and alerts name only metrics that there are.
#include <gtest/gtest.h>

#include <memory>

#include "nodeagent/metrics.h"
#include "nodeagent/usage_metrics.h"
#include "tests/common/metrics/components.h"
#include "tests/common/metrics/exposed.h"

namespace longshore::nodeagent {
namespace {

constexpr char kPrefix[] = "longshore_nodeagent_";

// Every family of /metrics, of a node where every signal is known.
std::set<std::string> Exposed() {
  metrics::Registry registry;
  AgentMetrics agent(registry);
  UsageMetrics usage(10, Clock::Real());
  auto sample = std::make_shared<Sample>();
  sample->node.pressure = Pressure{};
  sample->node.devices[{8, 0}] = {.in_flight = 0};
  sample->node.interfaces.resize(1);
  sample->pods.push_back({.uid = "a", .watched = true});
  sample->audit = Audit{.worst_io_bytes = 0};
  usage.Update(sample, {{.program = "sched_switch"}});
  return metrics::Exposed(registry.Text() + usage.Text());
}

TEST(DashboardsTest, NameOnlyMetricsThatThereAre) {
  metrics::ExpectDashboard("dashboards/nodes.json", kPrefix, Exposed(), 10);
}

TEST(AlertsTest, NameOnlyMetricsThatThereAre) {
  const std::string alerts = metrics::ReadComponent("alerts/nodeagent.rules.yaml");
  EXPECT_GE(metrics::ExpectExposed(alerts, kPrefix, Exposed()), 5u);
}

}  // namespace
}  // namespace longshore::nodeagent

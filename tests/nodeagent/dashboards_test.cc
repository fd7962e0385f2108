// SPDX-License-Identifier: Apache-2.0
//
// Dashboards and alerts hold names of metrics, which nothing else would notice when one is renamed.
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "common/base/files.h"
#include "nodeagent/metrics.h"
#include "nodeagent/usage_metrics.h"

namespace longshore::nodeagent {
namespace {

// Every family of /metrics, of a node where every signal is known.
std::set<std::string> Exposed() {
  metrics::Registry registry;
  AgentMetrics agent(registry);
  UsageMetrics usage(10);
  auto sample = std::make_shared<Sample>();
  sample->node.pressure = Pressure{};
  sample->node.devices[{8, 0}] = {};
  sample->node.interfaces.resize(1);
  sample->audit = Audit{.worst_io_bytes = 0};
  usage.Update(sample, {{.program = "sched_switch"}});
  const std::string text = registry.Text() + usage.Text();
  std::set<std::string> names;
  const std::regex type("# TYPE (\\S+) (\\S+)");
  for (std::sregex_iterator it(text.begin(), text.end(), type), end; it != end; ++it) {
    const std::string name = (*it)[1];
    if ((*it)[2] != "histogram") {
      names.insert(name);
      continue;
    }
    for (const char* suffix : {"_bucket", "_sum", "_count"}) names.insert(name + suffix);
  }
  return names;
}

size_t ExpectExposed(const std::string& text) {
  static const std::set<std::string> exposed = Exposed();
  const std::regex metric("longshore_nodeagent_[a-z0-9_]+");
  size_t found = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), metric), end; it != end; ++it, ++found) {
    EXPECT_TRUE(exposed.contains(it->str())) << it->str();
  }
  return found;
}

std::string Read(const std::string& file) {
  const auto text = ReadFile(std::string(LONGSHORE_SOURCE_DIR) + "/manifests/components/" + file);
  EXPECT_TRUE(text.has_value()) << file;
  return text.value_or("");
}

// It parses, every panel has a query, and every query names metrics that there are.
TEST(DashboardsTest, NameOnlyMetricsThatThereAre) {
  const auto dashboard = nlohmann::json::parse(Read("dashboards/nodes.json"));
  EXPECT_GE(dashboard["panels"].size(), 10u);
  for (const auto& panel : dashboard["panels"]) {
    ASSERT_FALSE(panel["targets"].empty()) << panel["title"];
    for (const auto& target : panel["targets"]) {
      EXPECT_GE(ExpectExposed(target["expr"]), 1u) << panel["title"];
    }
  }
  for (const auto& variable : dashboard["templating"]["list"]) ExpectExposed(variable["query"]);
}

TEST(AlertsTest, NameOnlyMetricsThatThereAre) {
  EXPECT_GE(ExpectExposed(Read("alerts/nodeagent.rules.yaml")), 4u);
}

}  // namespace
}  // namespace longshore::nodeagent

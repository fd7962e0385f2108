// SPDX-License-Identifier: Apache-2.0
//
// The controller's /metrics: what a reading becomes, and that dashboard, alerts and documentation
// name what there is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "common/base/files.h"
#include "controller/api/api_metrics.h"
#include "controller/controller_metrics.h"
#include "controller/scrape_metrics.h"
#include "controller/token_reviewer.h"
#include "tests/common/metrics/components.h"
#include "tests/common/metrics/exposed.h"

namespace longshore::controller {
namespace {

using metrics::ValueOf;
using std::chrono::seconds;

constexpr char kPrefix[] = "longshore_controller_";

// Every metric, of parts that have done nothing yet.
class MetricsTest : public testing::Test {
 protected:
  double Value(const std::string& series) { return ValueOf(registry_.Text(), kPrefix + series); }

  metrics::Registry registry_;
  ControllerMetrics counted_{registry_};
  ScrapeMetrics scraped_{registry_, {{"backuppods", {}}, {"nodes", {}}}};
  ApiMetrics api_{&registry_, {"GET /v1/pods"}};
  TokenReviewer tokens_{nullptr, {}, Clock::Real(), &registry_, "api"};
};

TEST_F(MetricsTest, AReadingIsShownByStateAndResource) {
  Reading reading;
  reading.leading = true;
  reading.census.pods = {{"Available", 3}};
  reading.census.operations = {{"Queued", 4}};
  reading.census.leases_acquired = 2;
  reading.census.oldest_drain = seconds(90);
  reading.caches = {{"backuppods", {seconds(30), seconds(2)}}, {"unheardof", {seconds(1), {}}}};
  reading.queue = {.keys = 7, .due = 2, .late = std::chrono::milliseconds(1500)};
  scraped_.Set(reading);
  EXPECT_EQ(Value("leading"), 1);
  EXPECT_EQ(Value("backup_pods{state=\"Available\"}"), 3);
  EXPECT_EQ(Value("backup_pods{state=\"Draining\"}"), 0);
  EXPECT_EQ(Value("operations{state=\"Queued\"}"), 4);
  EXPECT_EQ(Value("leases{use=\"acquired\"}"), 2);
  EXPECT_EQ(Value("oldest_drain_seconds"), 90);
  EXPECT_EQ(Value("cache_age_seconds{resource=\"backuppods\"}"), 30);
  EXPECT_EQ(Value("cache_lag_seconds{resource=\"backuppods\"}"), 2);
  EXPECT_EQ(Value("queue_keys"), 7);
  EXPECT_EQ(Value("queue_due_keys"), 2);
  EXPECT_EQ(Value("queue_delay_seconds"), 1.5);
  EXPECT_THAT(registry_.Text(), testing::Not(testing::HasSubstr("unheardof")));
}

// A state that nothing is in any more is said to be empty, not left as it was.
TEST_F(MetricsTest, WhatThereIsNoMoreIsZeroInTheNextReading) {
  scraped_.Set({.census = {.pods = {{"Lost", 1}}}});
  EXPECT_EQ(Value("backup_pods{state=\"Lost\"}"), 1);
  scraped_.Set({});
  EXPECT_EQ(Value("backup_pods{state=\"Lost\"}"), 0);
}

TEST_F(MetricsTest, TotalsOfOthersAreCounters) {
  Reading reading;
  reading.streams.foreign_samples = 5;
  reading.reconciles.errors = 2;
  reading.announcements = {{"PodsAvailable", 6}};
  for (int i = 0; i < 2; ++i) scraped_.Set(reading);
  EXPECT_EQ(Value("foreign_samples_total"), 5);
  EXPECT_EQ(Value("reconcile_errors_total"), 2);
  EXPECT_EQ(Value("announcements_total{type=\"PodsAvailable\"}"), 6);
}

TEST_F(MetricsTest, EachLimitHasItsSeries) {
  const Tally tally = counted_.MakeTally();
  for (const char* limit : api::kLimits) {
    tally.limited(limit);
    EXPECT_EQ(Value("scaling_limited_total{limit=\"" + std::string(limit) + "\"}"), 1) << limit;
  }
}

// Another version's limit must not make another series.
TEST_F(MetricsTest, AnUnknownNameIsCountedAsOther) {
  const Tally tally = counted_.MakeTally();
  tally.limited("MaxPods");
  tally.limited("PhaseOfTheMoon");
  EXPECT_EQ(Value("scaling_limited_total{limit=\"MaxPods\"}"), 1);
  EXPECT_EQ(Value("scaling_limited_total{limit=\"Other\"}"), 1);
}

TEST_F(MetricsTest, NamesFollowTheConventions) {
  for (const auto& [name, type] : metrics::Families(registry_.Text())) {
    EXPECT_TRUE(name.starts_with(kPrefix)) << name;
    EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
    EXPECT_TRUE(type != "histogram" || name.ends_with("_seconds")) << name;
  }
}

TEST_F(MetricsTest, DashboardNamesOnlyMetricsThatThereAre) {
  metrics::ExpectDashboard("dashboards/controller.json", kPrefix,
                           metrics::Exposed(registry_.Text()), 12);
}

TEST_F(MetricsTest, AlertsNameOnlyMetricsThatThereAreAndSayHowBadItIs) {
  const std::string text = metrics::ReadComponent("alerts/controller.rules.yaml");
  EXPECT_GE(metrics::ExpectExposed(text, kPrefix, metrics::Exposed(registry_.Text())), 8u);
  for (const auto& group : YAML::Load(text)["groups"]) {
    for (const auto& rule : group["rules"]) {
      const auto alert = rule["alert"].as<std::string>();
      EXPECT_TRUE(alert.starts_with("Longshore")) << alert;
      for (const auto& said : {rule["expr"], rule["for"], rule["labels"]["severity"],
                               rule["annotations"]["summary"]}) {
        EXPECT_TRUE(said.IsScalar()) << alert;
      }
    }
  }
}

// The table of docs/controller.md holds each metric, and nothing else.
TEST_F(MetricsTest, DocumentationHasEachOfThem) {
  const auto page = ReadFile(std::string(LONGSHORE_SOURCE_DIR) + "/docs/controller.md");
  ASSERT_TRUE(page.has_value());
  const size_t begin = page->find("\n## Metrics\n");
  ASSERT_NE(begin, std::string::npos);
  std::set<std::string> documented, exposed;
  const std::regex name("`([a-z_]+)(\\{[a-z,]+\\})?`");
  for (const std::string& line :
       Split(page->substr(begin, page->find("\n## ", begin + 1) - begin), '\n')) {
    if (!line.starts_with("| `")) continue;
    const std::string column = line.substr(0, line.find(" | "));
    for (std::sregex_iterator it(column.begin(), column.end(), name), end; it != end; ++it) {
      documented.insert(kPrefix + (*it)[1].str());
    }
  }
  for (const auto& [family, type] : metrics::Families(registry_.Text())) exposed.insert(family);
  EXPECT_EQ(documented, exposed);
}

}  // namespace
}  // namespace longshore::controller

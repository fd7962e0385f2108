// SPDX-License-Identifier: Apache-2.0
//
// What Prometheus reads.
#include "common/metrics/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace longshore::metrics {
namespace {

using ::testing::HasSubstr;

TEST(RegistryTest, WritesTheTextFormat) {
  Registry registry;
  registry.MakeCounter("longshore_test_calls_total", "Calls.", {{"code", "200"}}).Increment();
  Counter& failed =
      registry.MakeCounter("longshore_test_calls_total", "Calls.", {{"code", "5\"00\n"}});
  failed.Increment(2.5);
  registry.MakeGauge("longshore_test_pods", "Pods.").Set(-3);
  Histogram& histogram =
      registry.MakeHistogram("longshore_test_wait_seconds", "Waiting.", {0.1, 1});
  histogram.Observe(0.1);
  histogram.Observe(5);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("# HELP longshore_test_calls_total Calls.\n"
                              "# TYPE longshore_test_calls_total counter\n"));
  EXPECT_THAT(text, HasSubstr("longshore_test_calls_total{code=\"200\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("longshore_test_calls_total{code=\"5\\\"00\\n\"} 2.5\n"));
  EXPECT_THAT(text, HasSubstr("longshore_test_pods -3\n"));
  EXPECT_THAT(text, HasSubstr("longshore_test_wait_seconds_bucket{le=\"0.1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("longshore_test_wait_seconds_bucket{le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("longshore_test_wait_seconds_count 2\n"));
  // The type is said once a name, however many label sets it has.
  EXPECT_EQ(text.find("# TYPE longshore_test_calls_total"),
            text.rfind("# TYPE longshore_test_calls_total"));
}

TEST(RegistryTest, TheSameNameAndLabelsAreOneMetric) {
  Registry registry;
  registry.MakeCounter("longshore_test_total", "Same.").Increment();
  registry.MakeCounter("longshore_test_total", "Same.").Increment();
  EXPECT_THAT(registry.Text(), HasSubstr("longshore_test_total 2\n"));
}

TEST(RegistryTest, CountsFromManyThreads) {
  Registry registry;
  Counter& counter = registry.MakeCounter("longshore_test_total", "Concurrent.");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) counter.Increment();
      registry.MakeGauge("longshore_test_made", "Made meanwhile.").Set(1);
      EXPECT_FALSE(registry.Text().empty());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(registry.Text(), HasSubstr("longshore_test_total 40000\n"));
}

TEST(RegistryTest, ACounterFollowsATotalThatNeverFalls) {
  Registry registry;
  Counter& counter = registry.MakeCounter("longshore_test_total", "Counted elsewhere.");
  for (const double total : {3.0, 5.0, 4.0, 5.0, 7.0}) counter.Follow(total);
  EXPECT_THAT(registry.Text(), HasSubstr("longshore_test_total 7\n"));
}

// Two scrapes at once, each with a total of its own time.
TEST(RegistryTest, ACounterFollowsOneTotalFromManyThreads) {
  Registry registry;
  Counter& counter = registry.MakeCounter("longshore_test_total", "Counted elsewhere.");
  std::atomic<int> total{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) counter.Follow(++total);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(registry.Text(), HasSubstr("longshore_test_total 40000\n"));
}

TEST(RegistryDeathTest, OneNameForTwoTypesAborts) {
  EXPECT_DEATH(
      {
        Registry registry;
        registry.MakeCounter("longshore_test_x", "x");
        registry.MakeGauge("longshore_test_x", "x");
      },
      "");
}

}  // namespace
}  // namespace longshore::metrics

// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/usage_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>

#include "tests/common/base/fake_clock.h"

namespace longshore::nodeagent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class UsageMetricsTest : public ::testing::Test {
 protected:
  // The CPU seconds of each pod, by name.
  void At(int64_t seconds, const std::map<std::string, uint64_t>& cpu_seconds,
          const std::string& final = "") {
    auto sample = std::make_shared<Sample>();
    sample->end = MonotonicTime(std::chrono::seconds(seconds));
    for (const auto& [uid, cpu] : cpu_seconds) {
      PodSample pod;
      pod.uid = uid;
      pod.usage.counters.cpu_ns = cpu * 1'000'000'000;
      pod.final = uid == final;
      sample->pods.push_back(std::move(pod));
    }
    edit_(*sample);
    metrics_.Update(std::move(sample), costs_);
  }
  double Value(const std::string& series) {
    const std::string text = metrics_.Text();
    const size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::atof(text.c_str() + at + series.size() + 2);
  }
  double Cpu(const std::string& uid) {
    return Value("longshore_nodeagent_pod_cpu_seconds_total{pod_uid=\"" + uid + "\"}");
  }

  FakeClock clock_;
  UsageMetrics metrics_{2, clock_};
  std::function<void(Sample&)> edit_ = [](Sample&) {};
  std::vector<ProgramCost> costs_;
};

// Before the first sample there is nothing to tell.
TEST_F(UsageMetricsTest, IsEmptyBeforeTheFirstSample) { EXPECT_EQ(metrics_.Text(), ""); }

// The busiest are apart; what the others use from then on is one series.
TEST_F(UsageMetricsTest, ShowsTheBusiestAndSumsTheOthers) {
  At(1, {{"a", 10}, {"b", 20}, {"c", 5}, {"d", 1}});
  EXPECT_EQ(Cpu("a"), 10);
  EXPECT_EQ(Cpu("b"), 20);
  EXPECT_EQ(Cpu("c"), -1);
  EXPECT_EQ(Cpu("other"), 0);
  At(2, {{"a", 11}, {"b", 21}, {"c", 8}, {"d", 2}});
  EXPECT_EQ(Cpu("other"), 4);
}

// A counter that falls would look like a restart: `other` doesn't when a pod of it gets a series of
// its own, or ends.
TEST_F(UsageMetricsTest, OtherNeverFalls) {
  At(1, {{"a", 10}, {"b", 20}, {"c", 0}});
  At(2, {{"a", 10}, {"b", 20}, {"c", 30}});
  EXPECT_EQ(Cpu("other"), 30);
  At(62, {{"a", 10}, {"b", 20}, {"c", 60}});  // chosen again: c is busier now
  EXPECT_EQ(Cpu("c"), 60);
  EXPECT_EQ(Cpu("other"), 30);
  At(63, {{"c", 61}});
  EXPECT_EQ(Cpu("other"), 30);
}

// A pod too short for a sample in its life is in its last record, and so in `other`.
TEST_F(UsageMetricsTest, APodThatEndedIsCountedAndItsSeriesVanish) {
  At(1, {{"a", 10}, {"b", 20}});
  At(2, {{"a", 10}, {"b", 20}, {"short", 3}}, "short");
  EXPECT_EQ(Cpu("other"), 3);
  At(3, {{"a", 12}, {"b", 20}}, "a");
  EXPECT_EQ(Cpu("a"), -1);
  At(4, {{"b", 20}});
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("pod_uid=\"a\"")));
}

// With room for all, a pod of some milliseconds has a series for the seconds of its tombstone,
// which nobody may read. What it used is not gone with it.
TEST_F(UsageMetricsTest, WhatAPodUsedThatNobodyReadGoesToTheOthers) {
  At(1, {{"a", 10}});
  At(2, {{"a", 10}, {"short", 3}});
  At(3, {{"a", 10}, {"short", 4}}, "short");
  EXPECT_EQ(Cpu("short"), -1);
  EXPECT_EQ(Cpu("other"), 4);
  At(4, {{"a", 10}});
  EXPECT_EQ(Cpu("other"), 4) << "once";
}

// A long life that was read while it lasted doesn't come again in one step.
TEST_F(UsageMetricsTest, WhatWasReadOfAPodIsNotToldAgainWhenItEnds) {
  At(1, {{"a", 10}});
  At(2, {{"a", 500}});
  EXPECT_EQ(Cpu("a"), 500);
  At(3, {{"a", 507}}, "a");
  EXPECT_EQ(Cpu("other"), 7) << "used after it was last read";
  EXPECT_EQ(Cpu("a"), -1);
}

// A pod that has become unknown, or lost its series to a busier one, leaves its rest as well.
TEST_F(UsageMetricsTest, APodThatIsShownNoMoreLeavesItsRestToTheOthers) {
  At(1, {{"a", 0}, {"b", 0}, {"c", 0}});
  At(2, {{"a", 5}, {"b", 6}, {"c", 0}});
  EXPECT_EQ(Cpu("a"), 5);
  At(62, {{"a", 7}, {"b", 16}, {"c", 20}});
  EXPECT_EQ(Cpu("a"), -1);
  EXPECT_EQ(Cpu("other"), 2);
  At(63, {{"a", 7}, {"c", 20}});
  At(64, {{"a", 7}, {"c", 20}});
  EXPECT_EQ(Cpu("other"), 2) << "b was read to the end";
}

// Whatever runs on the node: the number of lines is bounded.
TEST_F(UsageMetricsTest, SeriesHaveABound) {
  edit_ = [](Sample& sample) {
    for (uint32_t i = 0; i < 100; ++i) sample.node.devices[{8, i}] = {};
    sample.node.interfaces.resize(100);
  };
  std::map<std::string, uint64_t> pods;
  for (uint64_t i = 0; i < 1000; ++i) pods["p" + std::to_string(i)] = i;
  At(1, pods);
  const std::string text = metrics_.Text();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_GT(lines, 100);
  EXPECT_LT(lines, 800);
}

// By all reasons, and what the programs cost: of one run in 1024, which stands for all.
TEST_F(UsageMetricsTest, TellsWhatIsLostAndWhatItCosts) {
  costs_ = {{.program = "sched_switch", .runs = 4096, .sampled_runs = 4, .sampled_ns = 400}};
  edit_ = [](Sample& sample) {
    sample.lost.devices = 7;
    sample.uncounted_cgroups = 9;
    sample.audit = Audit{.pods = 3, .worst_cpu_error = 0.0001};
  };
  At(1, {});
  EXPECT_EQ(Value("longshore_nodeagent_lost_updates_total{reason=\"device_table_full\"}"), 7);
  EXPECT_EQ(Value("longshore_nodeagent_lost_updates_total{reason=\"member_map_full\"}"), 9);
  EXPECT_DOUBLE_EQ(Value("longshore_nodeagent_program_seconds_total{program=\"sched_switch\"}"),
                   4096 * 100e-9);
  EXPECT_DOUBLE_EQ(Value("longshore_nodeagent_audit_worst_cpu_error_ratio"), 0.0001);
}

// A counter that falls looks like a restart: a cheap run after a dear one takes nothing back.
TEST_F(UsageMetricsTest, TheCostOfAProgramNeverFalls) {
  const char* cost = "longshore_nodeagent_program_seconds_total{program=\"oom\"}";
  costs_ = {{.program = "oom", .runs = 16'000, .sampled_runs = 1, .sampled_ns = 500'000}};
  At(1, {});
  const double before = Value(cost);
  costs_ = {{.program = "oom", .runs = 16'400, .sampled_runs = 2, .sampled_ns = 501'000}};
  At(2, {});
  EXPECT_GT(Value(cost), before);
}

// Prometheus' histograms: cumulative buckets in seconds, the last without an end.
TEST_F(UsageMetricsTest, LatenciesAreHistograms) {
  edit_ = [](Sample& sample) {
    DeviceCounters counters;
    counters.read.buckets[0] = 2;
    counters.write.buckets[19] = 1;
    sample.node.devices[{8, 0}] = {.counters = counters, .name = "vda\"x"};
  };
  At(1, {});
  const std::string device = R"({device="vda\"x",stacked="false",le=)";
  const std::string name = "longshore_nodeagent_device_latency_seconds_bucket" + device;
  EXPECT_THAT(metrics_.Text(), ::testing::ContainsRegex("le=\"[^\"]*e-06\"} 2\n"));
  EXPECT_EQ(Value(name + "\"+Inf\"}"), 3);
}

// In the fewest digits, which read back as the same number.
TEST_F(UsageMetricsTest, NumbersAreAsShortAsTheyCanBe) {
  edit_ = [](Sample& sample) {
    sample.node.devices[{8, 0}].counters.read.buckets[0] = 2;
    sample.node.system_cpu_ns = 100'000'000;
    sample.node.memory_available_bytes = (uint64_t{1} << 53) - 1;
  };
  At(1, {});
  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr("system_cpu_seconds_total 0.1\n"));
  EXPECT_THAT(text, HasSubstr("le=\"2e-06\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("memory_available_bytes 9007199254740991\n"));
}

// Each kind of memory of a pod, with the others as one; pressure of those that are shown, since
// shares of time don't add up.
TEST_F(UsageMetricsTest, MemoryAndPressureOfPodsAreShown) {
  edit_ = [](Sample& sample) {
    for (PodSample& pod : sample.pods) {
      pod.usage.memory = {.kubelet_working_set_bytes = 20, .anon_bytes = 30, .file_bytes = 40};
    }
    sample.pods[1].usage.pressure = Pressure{.memory_full_us = 2'500'000};
    sample.pods[2].usage.pressure = Pressure{.memory_full_us = 9};
  };
  At(1, {{"a", 10}, {"b", 20}, {"c", 0}, {"d", 0}});
  const auto value = [&](const std::string& name, const std::string& labels) {
    return Value("longshore_nodeagent_pod_" + name + "{pod_uid=" + labels + "}");
  };
  EXPECT_EQ(value("memory_kubelet_working_set_bytes", "\"a\""), 20);
  EXPECT_EQ(value("memory_anonymous_bytes", "\"b\""), 30);
  EXPECT_EQ(value("memory_file_bytes", "\"other\""), 80);
  EXPECT_EQ(value("pressure_seconds_total", R"("b",resource="memory",kind="full")"), 2.5);
  EXPECT_EQ(value("pressure_seconds_total", R"("b",resource="io",kind="some")"), 0);
  EXPECT_EQ(value("pressure_seconds_total", R"("a",resource="io",kind="some")"), -1) << "unknown";
  EXPECT_EQ(value("pressure_seconds_total", R"("c",resource="memory",kind="full")"), -1);
}

// The node's sum of it comes from files; where there are none, there is no series.
TEST_F(UsageMetricsTest, ThrottledTimeOfAllPodsIsToldWhereItIsCounted) {
  edit_ = [](Sample& sample) { sample.node.pods_throttled_ns = 1'500'000'000; };
  At(1, {});
  EXPECT_EQ(Value("longshore_nodeagent_pods_throttled_seconds_total"), 1.5);
}

// All pods of the node together, without what only files of each pod tell.
TEST_F(UsageMetricsTest, TheNodesPodsAreSummed) {
  edit_ = [](Sample& sample) {
    sample.node.pods.run_queue_wait_ns = 2'500'000'000;
    sample.node.pods.oom_kills = 3;
    sample.node.system_cpu_ns = 4'000'000'000;
  };
  At(1, {{"a", 1}});
  EXPECT_EQ(Value("longshore_nodeagent_pods_run_queue_wait_seconds_total"), 2.5);
  EXPECT_EQ(Value("longshore_nodeagent_pods_oom_kills_total"), 3);
  EXPECT_EQ(Value("longshore_nodeagent_system_cpu_seconds_total"), 4);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("pods_throttled")));
}

// A reader sees how old the figures are, also when no new sample comes.
TEST_F(UsageMetricsTest, TheSamplesAgeGrowsUntilTheNext) {
  At(24 * 3600, {});
  EXPECT_EQ(Value("longshore_nodeagent_sample_age_seconds"), 0);
  clock_.Advance(std::chrono::milliseconds(2500));
  EXPECT_EQ(Value("longshore_nodeagent_sample_age_seconds"), 2.5);
  clock_.Advance(std::chrono::milliseconds(500));
  At(24 * 3600 + 3, {});
  EXPECT_EQ(Value("longshore_nodeagent_sample_age_seconds"), 0);
}

// Unknown pressure is no series, not a zero.
TEST_F(UsageMetricsTest, UnknownPressureIsLeftOut) {
  At(1, {});
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("pressure_seconds_total")));
  edit_ = [](Sample& sample) { sample.node.pressure = Pressure{.io_full_us = 1'500'000}; };
  At(2, {});
  EXPECT_EQ(Value("longshore_nodeagent_pressure_seconds_total{resource=\"io\",kind=\"full\"}"),
            1.5);
}

}  // namespace
}  // namespace longshore::nodeagent

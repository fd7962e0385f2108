// SPDX-License-Identifier: Apache-2.0
//
// Samples from cumulative counters: resets, epochs and gaps make no sample, and nothing is ever
// NaN.
#include "controller/usage_store.h"

#include <gtest/gtest.h>

#include <cmath>

#include "controller/pressure_store.h"
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;

class UsageStoreTest : public testing::Test {
 protected:
  // A report at `second` of the agent's clock with the pod's counters.
  messages::UsageReport Report(double second, uint64_t cpu_ns, uint64_t written = 0) {
    messages::UsageReport report;
    report.set_interval_end_ns(static_cast<int64_t>(second * 1e9));
    report.set_wall_end_ns(static_cast<int64_t>(second * 1e9));
    messages::PodCounters& pod = *report.add_pods();
    pod.set_pod_uid("p");
    pod.mutable_usage()->set_cpu_ns(cpu_ns);
    pod.mutable_usage()->set_write_bytes(written);
    pod.mutable_usage()->mutable_memory()->set_working_set_bytes(1000);
    return report;
  }
  size_t Add(const messages::UsageReport& report, const std::string& epoch = "e",
             const std::string& node = "n") {
    clock.Advance(seconds(1));
    return store.Add(node, epoch, report).size();
  }
  FakeClock clock;
  UsageStore store{clock};
};

TEST_F(UsageStoreTest, TwoReportsMakeASampleOfRates) {
  EXPECT_EQ(Add(Report(1, 0)), 0u);
  EXPECT_EQ(Add(Report(3, 500'000'000, 4096)), 1u);
  const auto samples = store.Last("p", seconds(60));
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_DOUBLE_EQ(samples[0].value(Signal::kCpu), 250);
  EXPECT_DOUBLE_EQ(samples[0].value(Signal::kWriteBytes), 2048);
  EXPECT_DOUBLE_EQ(samples[0].value(Signal::kMemory), 1000);
  EXPECT_EQ(samples[0].length, seconds(2));
}

TEST_F(UsageStoreTest, ResetMakesNoSampleAndBeginsAnew) {
  Add(Report(1, 1000));
  EXPECT_EQ(Add(Report(2, 500)), 0u);
  EXPECT_EQ(Add(Report(3, 700)), 1u);
  EXPECT_DOUBLE_EQ(store.Last("p", seconds(60))[0].value(Signal::kCpu), 200 / 1e6);
}

TEST_F(UsageStoreTest, AnotherEpochOrNodeMakesNoSample) {
  Add(Report(1, 1000));
  EXPECT_EQ(Add(Report(2, 2000), "other"), 0u);
  EXPECT_EQ(Add(Report(3, 3000), "other", "m"), 0u);
  EXPECT_EQ(Add(Report(4, 4000), "other", "m"), 1u);
}

TEST_F(UsageStoreTest, RepeatedAndBackwardReportsAreIgnored) {
  Add(Report(5, 1000));
  EXPECT_EQ(Add(Report(5, 1000)), 0u);
  EXPECT_EQ(Add(Report(4, 2000)), 0u);
  EXPECT_EQ(Add(Report(6, 2000)), 1u);
  for (const Sample& sample : store.Last("p", seconds(60))) {
    for (const double value : sample.values) EXPECT_TRUE(std::isfinite(value) && value >= 0);
  }
}

TEST_F(UsageStoreTest, LongSilenceIsAGapNotASample) {
  Add(Report(1, 1000));
  EXPECT_EQ(Add(Report(30, 2000)), 0u);
  EXPECT_EQ(Add(Report(31, 3000)), 1u);
}

TEST_F(UsageStoreTest, OldSamplesLeaveAndForgottenPodsAreSwept) {
  for (int i = 0; i < 400; ++i) Add(Report(i, static_cast<uint64_t>(i) * 1000));
  EXPECT_LE(store.Last("p", std::chrono::hours(1)).size(), 301u);
  clock.Advance(std::chrono::minutes(11));
  store.Sweep();
  EXPECT_EQ(store.pods(), 0u);
}

TEST(PressureStoreTest, RatesNeedTwoReportsOfOneEpoch) {
  FakeClock clock;
  PressureStore store(clock);
  const auto report = [](int second, uint64_t cpu_ns, uint64_t io_us) {
    messages::UsageReport made;
    made.set_interval_end_ns(second * int64_t{1'000'000'000});
    made.mutable_node()->set_cpu_ns(cpu_ns);
    made.mutable_node()->set_cpu_capacity_milli(2000);
    made.mutable_node()->mutable_pressure()->set_io_some_us(io_us);
    return made;
  };
  store.Add("n", "e", report(1, 0, 0));
  EXPECT_TRUE(store.Get().empty());
  store.Add("n", "e", report(2, 1'500'000'000, 250'000));
  EXPECT_EQ(store.Get()["n"].cpu_used_milli, 1500);
  EXPECT_EQ(store.Get()["n"].psi_io_permille, 250);
  clock.Advance(seconds(6));
  EXPECT_FALSE(store.Get()["n"].known());
  EXPECT_EQ(store.Snapshot().nodes(0).sample_age_ms(), 6000);
  store.Add("n", "other", report(1, 0, 0));
  EXPECT_TRUE(store.Get().empty());
}

}  // namespace
}  // namespace longshore::controller

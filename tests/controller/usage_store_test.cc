// SPDX-License-Identifier: Apache-2.0
//
// Samples from cumulative counters: resets, epochs and gaps make no sample, and nothing is ever
// NaN.
#include "controller/usage_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/controller/agent_reports.h"
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;

class UsageStoreTest : public testing::Test {
 protected:
  // A report at `second` of the agent's clock with the pod's counters, and the next in sequence.
  messages::UsageReport Report(double second, uint64_t cpu_ns, uint64_t written = 0) {
    auto report = ReportAt(++sequence, second);
    AddPod(report, "p", cpu_ns, written);
    return report;
  }
  // One that leaves the pod out.
  messages::UsageReport Without(double second, bool complete) {
    return ReportAt(++sequence, second, complete);
  }
  size_t Add(const messages::UsageReport& report, const std::string& epoch = "e",
             const std::string& node = "n", uint64_t stream = 1) {
    clock.Advance(seconds(1));
    return store.Add({node, epoch, stream}, report).size();
  }
  Sample Newest() { return store.Last("p", seconds(60)).back(); }

  FakeClock clock;
  UsageStore store{clock};
  uint64_t sequence = 0;
};

TEST_F(UsageStoreTest, TwoReportsMakeASampleOfRates) {
  EXPECT_EQ(Add(Report(1, 0)), 0u);
  EXPECT_EQ(Add(Report(3, 500'000'000, 4096)), 1u);
  const auto samples = store.Last("p", seconds(60));
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_DOUBLE_EQ(samples[0].value(Signal::kCpu).value_or(-1), 250);
  EXPECT_DOUBLE_EQ(samples[0].value(Signal::kWriteBytes).value_or(-1), 2048);
  EXPECT_DOUBLE_EQ(samples[0].value(Signal::kMemory).value_or(-1), 1000);
  EXPECT_EQ(samples[0].length, seconds(2));
}

// An agent says what changed: a pod that it leaves out did nothing.
TEST_F(UsageStoreTest, LeftOutOfAnIncompleteReportIsASampleOfZero) {
  Add(Report(1, 0));
  Add(Report(2, 500'000'000, 4096));
  EXPECT_EQ(Add(Without(3, false)), 1u);
  EXPECT_DOUBLE_EQ(Newest().value(Signal::kCpu).value_or(-1), 0);
  EXPECT_DOUBLE_EQ(Newest().value(Signal::kWriteBytes).value_or(-1), 0);
  EXPECT_DOUBLE_EQ(Newest().value(Signal::kMemory).value_or(-1), 1000);
  EXPECT_EQ(Add(Report(4, 800'000'000, 4096)), 1u);
  EXPECT_DOUBLE_EQ(Newest().value(Signal::kCpu).value_or(-1), 300) << "of the last second only";
}

// The agent knows nothing of it any more. It is not idle, and when it comes back it begins anew.
TEST_F(UsageStoreTest, LeftOutOfACompleteReportIsUnknown) {
  Add(Report(1, 0));
  Add(Report(2, 1000));
  EXPECT_EQ(Add(Without(3, true)), 0u);
  EXPECT_EQ(Add(Without(4, false)), 0u);
  EXPECT_EQ(Add(Report(5, 9000)), 0u);
  EXPECT_EQ(Add(Report(6, 9000)), 1u);
}

// What was lost may have said that the pod is gone, or anything.
TEST_F(UsageStoreTest, AGapInTheSequenceMakesNoSampleAndForgetsWhatIsLeftOut) {
  Add(Report(1, 0));
  ++sequence;
  EXPECT_EQ(Add(Report(3, 1000)), 0u);
  EXPECT_EQ(Add(Report(4, 2000)), 1u);
  ++sequence;
  EXPECT_EQ(Add(Without(6, false)), 0u);
  EXPECT_EQ(Add(Without(7, false)), 0u) << "unknown until it is said again";
  EXPECT_EQ(Add(Report(8, 5000)), 0u);
  EXPECT_EQ(Add(Report(9, 6000)), 1u);
}

// The agent reconnects: all counters again, and nothing is counted twice.
TEST_F(UsageStoreTest, ANewStreamBeginsAnewAndDoublesNothing) {
  Add(Report(1, 1000));
  Add(Report(2, 2000));
  EXPECT_EQ(Add(Report(3, 900'000'000), "e", "n", 2), 0u);
  EXPECT_EQ(Add(Report(4, 900'000'000), "e", "n", 2), 1u);
  EXPECT_DOUBLE_EQ(Newest().value(Signal::kCpu).value_or(-1), 0);
}

// Two agents on one node: the later stream wins, and their counters never mix.
TEST_F(UsageStoreTest, OfTwoAgentsThatClaimANodeOnlyTheLaterIsCounted) {
  Add(Report(1, 0), "first", "n", 1);
  sequence = 0;
  Add(Report(100, 7'000'000'000), "second", "n", 2);
  const uint64_t second = sequence;
  sequence = 1;
  EXPECT_EQ(Add(Report(2, 500'000'000), "first", "n", 1), 0u);
  EXPECT_EQ(Add(Report(3, 900'000'000), "first", "n", 1), 0u);
  sequence = second;
  EXPECT_EQ(Add(Report(101, 7'100'000'000), "second", "n", 2), 1u);
  EXPECT_DOUBLE_EQ(Newest().value(Signal::kCpu).value_or(-1), 100);
}

TEST_F(UsageStoreTest, ALastRecordIsASampleAndTheEnd) {
  Add(Report(1, 0));
  auto last = Report(2, 250'000'000);
  last.set_complete(false);
  last.mutable_pods(0)->set_final(true);
  EXPECT_EQ(Add(last), 1u);
  EXPECT_DOUBLE_EQ(Newest().value(Signal::kCpu).value_or(-1), 250);
  EXPECT_EQ(Add(Without(3, false)), 0u);
}

TEST_F(UsageStoreTest, ResetMakesNoSampleAndBeginsAnew) {
  Add(Report(1, 1000));
  EXPECT_EQ(Add(Report(2, 500)), 0u);
  EXPECT_EQ(Add(Report(3, 700)), 1u);
  EXPECT_FLOAT_EQ(Newest().value(Signal::kCpu).value_or(-1), 200 / 1e6);
}

TEST_F(UsageStoreTest, AnotherEpochOrNodeMakesNoSample) {
  Add(Report(1, 1000));
  EXPECT_EQ(Add(Report(2, 2000), "other"), 0u);
  EXPECT_EQ(Add(Report(3, 3000), "other", "m"), 0u);
  EXPECT_EQ(Add(Report(4, 4000), "other", "m"), 1u);
  // The node it left says nothing of it: that is no sample of it.
  EXPECT_EQ(Add(ReportAt(3, 5, false), "other", "n"), 0u);
}

TEST_F(UsageStoreTest, LongSilenceIsAGapNotASample) {
  Add(Report(1, 1000));
  EXPECT_EQ(Add(Report(30, 2000)), 0u);
  EXPECT_EQ(Add(Report(31, 3000)), 1u);
}

TEST_F(UsageStoreTest, NothingIsEverNegativeOrNotANumber) {
  Add(Report(5, 1000));
  --sequence;
  Add(Report(5, 1000));
  Add(Report(4, 2000));
  Add(Report(6, 2000));
  Add(Report(7, 1));
  Add(Report(8, 2));
  for (const Sample& sample : store.Last("p", seconds(60))) {
    for (const float value : sample.values) EXPECT_TRUE(std::isnan(value) || value >= 0);
    EXPECT_TRUE(sample.value(Signal::kCpu).has_value());
  }
}

// Samples that were held up on their way are not fresh because they come now.
TEST_F(UsageStoreTest, ASampleIsAsOldAsItsReport) {
  Add(Report(1, 1000));
  Add(Report(2, 2000));
  clock.Advance(seconds(8));
  Add(Report(3, 3000));
  EXPECT_GT(clock.Monotonic() - Newest().received, seconds(5));
}

// An idle window of an hour takes an hour of samples, of its own pods only.
TEST_F(UsageStoreTest, SamplesAreKeptForAsLongAsTheirPodsRequestLooksBack) {
  UsageStore small{clock, seconds(10)};
  uint64_t number = 0;
  const auto add = [&] {
    ++number;
    auto report = ReportAt(number, static_cast<double>(number));
    AddPod(report, "p", number, 0);
    AddPod(report, "q", number, 0);
    clock.Advance(seconds(1));
    small.Add({"n", "e", 1}, report);
  };
  add();
  small.Keep("p", seconds(40));
  for (int i = 0; i < 60; ++i) add();
  EXPECT_EQ(small.Last("p", seconds(3600)).size(), 41u);
  EXPECT_EQ(small.Last("q", seconds(3600)).size(), 11u);
  small.Keep("p", seconds(1));
  add();
  EXPECT_EQ(small.Last("p", seconds(3600)).size(), 11u);
}

// What an agent reports beyond cpu, memory and bytes of block I/O.
class MoreSignalsTest : public UsageStoreTest {
 protected:
  // A report with one device whose operations took `ms` each.
  messages::UsageReport Report(double second, uint64_t n, uint64_t ms = 4) {
    auto report = UsageStoreTest::Report(second, n * 1000);
    messages::Usage& usage = *report.mutable_pods(0)->mutable_usage();
    usage.set_read_ops(n);
    usage.set_write_ops(2 * n);
    usage.set_network_receive_bytes(1000 * n);
    usage.set_network_send_bytes(500 * n);
    usage.set_throttled_ns(n * 1'000'000);
    messages::DeviceCounters& device = *usage.add_devices();
    device.mutable_read()->add_buckets(n);
    device.mutable_write()->add_buckets(2 * n);
    device.set_queue_ns(3 * n * 1'000'000);
    device.set_device_ns(3 * n * (ms - 1) * 1'000'000);
    usage.mutable_pressure()->set_cpu_some_us(n * 1000);
    usage.mutable_pressure()->set_io_some_us(n * 2000);
    usage.mutable_pressure()->set_memory_some_us(n * 3000);
    return report;
  }
  double Value(Signal signal) { return Newest().value(signal).value_or(-1); }
};

TEST_F(MoreSignalsTest, AreRatesMeansAndSharesOfTheTime) {
  Add(Report(1, 0));
  ASSERT_EQ(Add(Report(3, 200)), 1u);
  EXPECT_DOUBLE_EQ(Value(Signal::kIoOperations), 300);
  EXPECT_DOUBLE_EQ(Value(Signal::kNetworkBytes), 150'000);
  EXPECT_DOUBLE_EQ(Value(Signal::kIoLatency), 4);
  EXPECT_DOUBLE_EQ(Value(Signal::kCpuThrottling), 10);
  EXPECT_DOUBLE_EQ(Value(Signal::kCpuPressure), 10);
  EXPECT_DOUBLE_EQ(Value(Signal::kIoPressure), 20);
  EXPECT_DOUBLE_EQ(Value(Signal::kMemoryPressure), 30);
}

// A reading that is older than the sample holds more than the sample's time.
TEST_F(MoreSignalsTest, PressureIsNeverMoreThanAllOfTheTime) {
  Add(Report(1, 0));
  ASSERT_EQ(Add(Report(2, 5000)), 1u);
  EXPECT_DOUBLE_EQ(Value(Signal::kCpuPressure), 100);
  EXPECT_DOUBLE_EQ(Value(Signal::kIoPressure), 100);
  EXPECT_DOUBLE_EQ(Value(Signal::kMemoryPressure), 100);
}

TEST_F(MoreSignalsTest, NoOperationTookNoTime) {
  Add(Report(1, 100));
  ASSERT_EQ(Add(Report(2, 100)), 1u);
  EXPECT_DOUBLE_EQ(Value(Signal::kIoLatency), 0);
}

TEST_F(MoreSignalsTest, PressureThatIsNotCountedIsUnknown) {
  Add(Report(1, 100));
  auto without = Report(2, 200);
  without.mutable_pods(0)->mutable_usage()->clear_pressure();
  ASSERT_EQ(Add(without), 1u);
  EXPECT_FALSE(Newest().value(Signal::kIoPressure));
  ASSERT_EQ(Add(Report(3, 300)), 1u);
  EXPECT_FALSE(Newest().value(Signal::kIoPressure)) << "nothing is known of the second before";
  EXPECT_DOUBLE_EQ(Value(Signal::kIoOperations), 300);
}

// An agent that cannot measure a signal reports zeros: no crew shrinks, or is thought idle, by
// them.
TEST_F(MoreSignalsTest, WhatTheAgentCannotMeasureIsUnknown) {
  const struct {
    const char* degraded;
    std::vector<Signal> unknown;
  } cases[] = {
      {"network", {Signal::kNetworkBytes}},
      {"block-latency", {Signal::kIoLatency}},
      {"block-io",
       {Signal::kReadBytes, Signal::kWriteBytes, Signal::kIoOperations, Signal::kIoLatency}},
      {"memory", {Signal::kMemory}},
      {"throttling", {Signal::kCpuThrottling}},
      {"fsync", {}},
  };
  uint64_t stream = 1;
  for (const auto& [degraded, unknown] : cases) {
    messages::AgentHello hello;
    hello.add_degraded(degraded);
    const AgentStream from{"n", "e", ++stream, UnknownSignals(hello)};
    for (uint64_t n = 0; n < 2; ++n)
      store.Add(from, Report(static_cast<double>(2 * stream + n), 100 * n));
    for (size_t i = 0; i < scaling::kSignals; ++i) {
      const auto signal = static_cast<Signal>(i);
      const bool expected = std::find(unknown.begin(), unknown.end(), signal) == unknown.end();
      EXPECT_EQ(Newest().value(signal).has_value(), expected)
          << degraded << ": " << scaling::SignalName(signal);
    }
  }
}

// A device that was removed takes its counts along; the rest goes on.
TEST_F(MoreSignalsTest, LatencyOfALostDeviceIsUnknownAndTheRestIsNot) {
  Add(Report(1, 100));
  auto without = Report(2, 200);
  without.mutable_pods(0)->mutable_usage()->clear_devices();
  ASSERT_EQ(Add(without), 1u);
  EXPECT_FALSE(Newest().value(Signal::kIoLatency));
  EXPECT_DOUBLE_EQ(Value(Signal::kNetworkBytes), 150'000);
}

TEST_F(UsageStoreTest, OldSamplesLeaveAndForgottenPodsAreSwept) {
  for (int i = 1; i < 400; ++i) Add(Report(i, static_cast<uint64_t>(i) * 1000));
  EXPECT_LE(store.Last("p", std::chrono::hours(1)).size(), 301u);
  clock.Advance(std::chrono::minutes(11));
  store.Sweep();
  EXPECT_EQ(store.pods(), 0u);
}

}  // namespace
}  // namespace longshore::controller

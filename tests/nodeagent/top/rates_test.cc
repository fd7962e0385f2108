// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nodeagent/top/top_fixture.h"

namespace longshore::nodeagent::top {
namespace {

using std::chrono::microseconds;

// Over the time between the ends of the samples, whatever it is.
TEST(RatesTest, AreBetweenTheSamples) {
  const auto rows = PodRows(MakeSample(1000, {MakePod("a", 1'000'000'000)}),
                            MakeSample(3000, {MakePod("a", 2'000'000'000)}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_DOUBLE_EQ(rows[0].rates.cpu_cores, 0.5);
}

// A new pod has used all of its time since it was made; a counter that fell gives no negative rate.
TEST(RatesTest, NewPodsCountFromZeroAndNoRateIsNegative) {
  const auto rows = PodRows(MakeSample(1000, {MakePod("fell", 5'000'000'000)}),
                            MakeSample(2000, {MakePod("fell", 1), MakePod("new", 250'000'000)}));
  EXPECT_DOUBLE_EQ(rows[0].rates.cpu_cores, 0);
  EXPECT_DOUBLE_EQ(rows[1].rates.cpu_cores, 0.25);
}

// Who deletes what others have dirtied causes no writes, and no negative ones either.
TEST(RatesTest, DirtiedIsLessWhatWasDeletedBeforeItWasWritten) {
  Sample before = MakeSample(1000, {MakePod("a", 0), MakePod("b", 0)});
  Sample now = MakeSample(2000, {MakePod("a", 0), MakePod("b", 0)});
  now.pods[0].usage.counters.dirtied_bytes = 100;
  now.pods[0].usage.counters.cancelled_bytes = 30;
  now.pods[1].usage.counters.cancelled_bytes = 40;
  const auto rows = PodRows(before, now);
  EXPECT_DOUBLE_EQ(rows[0].rates.dirtied_bytes, 70);
  EXPECT_DOUBLE_EQ(rows[1].rates.dirtied_bytes, 0);
}

// Only what came in the interval counts for a quantile, and reads and writes are one distribution.
TEST(RatesTest, QuantilesAreOfTheInterval) {
  SharedDisk world;
  world.before.pods[0].usage.devices[kDisk].read.buckets[19] = 1000;
  world.now.pods[0].usage.devices[kDisk].read.buckets[19] = 1000;
  const Rates rates = PodRows(world.before, world.now)[0].rates;
  EXPECT_EQ(rates.device_p99, microseconds(16));
  EXPECT_EQ(rates.devices.at(kDisk).read_p99, microseconds(16));
  EXPECT_EQ(rates.devices.at(kDisk).write_p99, std::nullopt);
}

TEST(RatesTest, OnlyTheLastBucketHasNoUpperBound) {
  Histogram histogram;
  histogram.buckets[Histogram::kBuckets - 2] = 99;
  EXPECT_EQ(histogram.Quantile(1), Histogram::kLongest);
  histogram.buckets[Histogram::kBuckets - 1] = 1;
  EXPECT_EQ(histogram.Quantile(0.99), Histogram::kLongest);
  EXPECT_EQ(histogram.Quantile(1), Histogram::kUnbounded);
}

// A container that restarted has another id, so it is a row of its own.
TEST(RatesTest, ContainersAreKeptApart) {
  Sample before = MakeSample(1000, {MakePod("a", 0)});
  Sample now = MakeSample(2000, {MakePod("a", 3'000'000'000)});
  before.pods[0].containers = {{"old", {}}};
  now.pods[0].containers = {{"old", {}}, {"new", {}}};
  now.pods[0].containers[0].usage.counters.cpu_ns = 1'000'000'000;
  now.pods[0].containers[1].usage.counters.cpu_ns = 2'000'000'000;
  const auto rows = ContainerRows(before, now);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_DOUBLE_EQ(rows[0].rates.cpu_cores, 1);
  EXPECT_DOUBLE_EQ(rows[1].rates.cpu_cores, 2);
}

// Unknown pressure must not look like none, also when only one of the samples has it.
TEST(RatesTest, PressureIsUnknownUntilBothSamplesHaveIt) {
  Sample before = MakeSample(1000, {}), now = MakeSample(2000, {});
  now.node.pressure = Pressure{.cpu_some_us = 500'000};
  EXPECT_FALSE(NodeRow(before, now).pressure.has_value());
  before.node.pressure = Pressure{};
  EXPECT_DOUBLE_EQ(NodeRow(before, now).pressure->cpu_some, 0.5);
}

// An interface's counters are the machine's: one that appears says nothing of this interval.
TEST(RatesTest, AnInterfaceCountsFromWhenItIsSeen) {
  Sample before = MakeSample(1000, {}), now = MakeSample(2000, {});
  now.node.interfaces = {{"eth0", 1'000'000, 0, 0, 0}};
  EXPECT_DOUBLE_EQ(NodeRow(before, now).interfaces[0].receive_bytes, 0);
  before.node.interfaces = {{"eth0", 400'000, 0, 0, 0}};
  EXPECT_DOUBLE_EQ(NodeRow(before, now).interfaces[0].receive_bytes, 600'000);
}

// Who took the most CPU comes first.
TEST(RatesTest, PreemptionsNameTheWorstOffenderFirst) {
  const SharedDisk world;
  const auto pairs = PreemptionsOf("db-uid", world.before, world.now);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].offender, "backup-uid");
  EXPECT_DOUBLE_EQ(pairs[0].per_second, 25);
  EXPECT_DOUBLE_EQ(pairs[0].offender_cores, 0.2);
  EXPECT_EQ(pairs[1].offender, "");
  EXPECT_TRUE(PreemptionsOf("backup-uid", world.before, world.now).empty());
}

}  // namespace
}  // namespace longshore::nodeagent::top

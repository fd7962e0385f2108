// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/usage_report.h"

#include <gtest/gtest.h>

namespace longshore::nodeagent {
namespace {

// Each field has a number of its own, so that none can stand in for another.
Usage FullUsage() {
  Usage usage;
  usage.counters.cpu_ns = 1;
  usage.counters.run_queue_wait_ns = 2;
  usage.counters.run_queue_wait.buckets[1] = 3;
  usage.throttled_ns = 4;
  usage.counters.voluntary_switches = 5;
  usage.counters.involuntary_switches = 6;
  usage.counters.read_bytes = 7;
  usage.counters.write_bytes = 8;
  usage.counters.read_ops = 9;
  usage.counters.write_ops = 10;
  usage.counters.file_read_bytes = 12;
  usage.counters.file_write_bytes = 13;
  usage.counters.file_reads = 14;
  usage.counters.file_writes = 15;
  usage.counters.fetched_bytes = 16;
  usage.counters.dirtied_bytes = 17;
  usage.counters.cancelled_bytes = 28;
  usage.counters.major_faults = 18;
  usage.counters.fsyncs = 19;
  usage.counters.fsync_ns = 20;
  usage.counters.fsync.buckets[0] = 21;
  usage.counters.reclaim_stall_ns = 22;
  usage.oom_kills = 23;
  usage.counters.network_receive_bytes = 24;
  usage.counters.network_send_bytes = 25;
  usage.memory = {31, 32, 33, 34, 35, 36, 37, 38, 39};
  usage.pressure = Pressure{41, 42, 43, 44, 45, 46};
  DeviceCounters& device = usage.devices[{254, 0}];
  device.read_bytes = 51;
  device.flushes = 52;
  device.queue_ns = 53;
  device.device_ns = 54;
  device.write.buckets[19] = 55;
  return usage;
}

Sample At(int second, std::vector<PodSample> pods) {
  Sample sample;
  sample.end = MonotonicTime(std::chrono::seconds(second));
  sample.start = sample.end - std::chrono::seconds(1);
  sample.wall_end = WallTime(std::chrono::seconds(1'800'000'000));
  sample.pods = std::move(pods);
  return sample;
}

PodSample Pod(const std::string& uid, uint64_t cpu_ns) {
  PodSample pod;
  pod.uid = uid;
  pod.usage.counters.cpu_ns = cpu_ns;
  return pod;
}

messages::UsageReport MakeReport(const Sample& sample, uint64_t sequence, const Sample* told) {
  messages::UsageReport report;
  FillReport(report, sample, sequence, told);
  return report;
}

// By reflection's poor relation: the fields of Usage are numbered 1 to 28 and each scalar one was
// given its own number (memory and pressure from 31 and 41 on).
void ExpectFull(const messages::Usage& usage) {
  EXPECT_EQ(usage.cpu_ns(), 1u);
  EXPECT_EQ(usage.run_queue_wait_ns(), 2u);
  ASSERT_EQ(usage.run_queue_wait().buckets_size(), 2) << "trailing zeros are left out";
  EXPECT_EQ(usage.run_queue_wait().buckets(1), 3u);
  EXPECT_EQ(usage.throttled_ns(), 4u);
  EXPECT_EQ(usage.voluntary_switches(), 5u);
  EXPECT_EQ(usage.involuntary_switches(), 6u);
  EXPECT_EQ(usage.read_bytes(), 7u);
  EXPECT_EQ(usage.write_bytes(), 8u);
  EXPECT_EQ(usage.read_ops(), 9u);
  EXPECT_EQ(usage.write_ops(), 10u);
  EXPECT_EQ(usage.file_read_bytes(), 12u);
  EXPECT_EQ(usage.file_write_bytes(), 13u);
  EXPECT_EQ(usage.file_reads(), 14u);
  EXPECT_EQ(usage.file_writes(), 15u);
  EXPECT_EQ(usage.fetched_bytes(), 16u);
  EXPECT_EQ(usage.dirtied_bytes(), 17u);
  EXPECT_EQ(usage.cancelled_bytes(), 28u);
  EXPECT_EQ(usage.major_faults(), 18u);
  EXPECT_EQ(usage.fsyncs(), 19u);
  EXPECT_EQ(usage.fsync_ns(), 20u);
  EXPECT_EQ(usage.fsync().buckets(0), 21u);
  EXPECT_EQ(usage.reclaim_stall_ns(), 22u);
  EXPECT_EQ(usage.oom_kills(), 23u);
  EXPECT_EQ(usage.network_receive_bytes(), 24u);
  EXPECT_EQ(usage.network_send_bytes(), 25u);
  EXPECT_EQ(usage.memory().usage_bytes(), 31u);
  EXPECT_EQ(usage.memory().working_set_bytes(), 32u);
  EXPECT_EQ(usage.memory().kubelet_working_set_bytes(), 33u);
  EXPECT_EQ(usage.memory().anon_bytes(), 34u);
  EXPECT_EQ(usage.memory().file_bytes(), 35u);
  EXPECT_EQ(usage.memory().inactive_file_bytes(), 36u);
  EXPECT_EQ(usage.memory().dirty_bytes(), 37u);
  EXPECT_EQ(usage.memory().writeback_bytes(), 38u);
  EXPECT_EQ(usage.memory().refaults(), 39u);
  EXPECT_EQ(usage.pressure().cpu_some_us(), 41u);
  EXPECT_EQ(usage.pressure().io_some_us(), 42u);
  EXPECT_EQ(usage.pressure().memory_some_us(), 43u);
  EXPECT_EQ(usage.pressure().cpu_full_us(), 44u);
  EXPECT_EQ(usage.pressure().io_full_us(), 45u);
  EXPECT_EQ(usage.pressure().memory_full_us(), 46u);
  ASSERT_EQ(usage.devices_size(), 1);
  EXPECT_EQ(usage.devices(0).device(), "254:0");
  EXPECT_EQ(usage.devices(0).read_bytes(), 51u);
  EXPECT_EQ(usage.devices(0).flushes(), 52u);
  EXPECT_EQ(usage.devices(0).queue_ns(), 53u);
  EXPECT_EQ(usage.devices(0).device_ns(), 54u);
  EXPECT_EQ(usage.devices(0).write().buckets_size(), 20);
  EXPECT_FALSE(usage.devices(0).has_read());
}

TEST(MakeReportTest, APodAndItsContainersCarryEveryField) {
  PodSample pod = Pod("a", 0);
  pod.usage = FullUsage();
  pod.containers.push_back({.id = "c1", .usage = FullUsage()});
  const messages::UsageReport report = MakeReport(At(5, {pod}), 17, nullptr);
  EXPECT_EQ(report.sequence(), 17u);
  EXPECT_EQ(report.interval_start_ns(), 4'000'000'000);
  EXPECT_EQ(report.interval_end_ns(), 5'000'000'000);
  EXPECT_EQ(report.wall_end_ns(), 1'800'000'000'000'000'000);
  EXPECT_TRUE(report.complete());
  ASSERT_EQ(report.pods_size(), 1);
  EXPECT_FALSE(report.pods(0).final());
  ExpectFull(report.pods(0).usage());
  ASSERT_EQ(report.pods(0).containers_size(), 1);
  EXPECT_EQ(report.pods(0).containers(0).container_id(), "c1");
  ExpectFull(report.pods(0).containers(0).usage());
}

TEST(MakeReportTest, TheNodeCarriesEveryField) {
  Sample sample = At(5, {});
  NodeUsage& node = sample.node;
  node.pods_throttled_ns = 20;
  node.pods.cpu_ns = 1, node.pods.oom_kills = 19, node.pods.fsyncs = 16, node.system_cpu_ns = 17;
  node.cpu_capacity_milli = 2, node.idle_cpu_ns = 3, node.interrupt_cpu_ns = 4;
  node.steal_cpu_ns = 5, node.memory_available_bytes = 6, node.memory_capacity_bytes = 7;
  node.dirty_bytes = 8, node.writeback_bytes = 9, node.refaults = 10;
  node.devices[{7, 0}] = {{.write_bytes = 11}, "loop0", true, 18};
  node.interfaces = {{"eth0", 12, 13, 14, 15}};
  sample.lost.no_index = 3;
  sample.lost.switches = 2;
  sample.uncounted_cgroups = 1;
  const messages::UsageReport report = MakeReport(sample, 1, nullptr);
  const messages::NodeCounters& out = report.node();
  EXPECT_EQ(out.cpu_ns(), 1u);
  EXPECT_EQ(out.pods().cpu_ns(), 1u);
  EXPECT_EQ(out.pods().fsyncs(), 16u);
  EXPECT_EQ(out.pods().oom_kills(), 19u);
  EXPECT_EQ(out.pods().throttled_ns(), 20u);
  EXPECT_EQ(out.system_cpu_ns(), 17u);
  EXPECT_EQ(out.cpu_capacity_milli(), 2u);
  EXPECT_EQ(out.idle_cpu_ns(), 3u);
  EXPECT_EQ(out.interrupt_cpu_ns(), 4u);
  EXPECT_EQ(out.steal_cpu_ns(), 5u);
  EXPECT_EQ(out.memory_available_bytes(), 6u);
  EXPECT_EQ(out.memory_capacity_bytes(), 7u);
  EXPECT_EQ(out.dirty_bytes(), 8u);
  EXPECT_EQ(out.writeback_bytes(), 9u);
  EXPECT_EQ(out.refaults(), 10u);
  EXPECT_FALSE(out.has_pressure()) << "unknown must not look like none";
  ASSERT_EQ(out.devices_size(), 1);
  EXPECT_EQ(out.devices(0).write_bytes(), 11u);
  EXPECT_EQ(out.devices(0).name(), "loop0");
  EXPECT_TRUE(out.devices(0).stacked());
  EXPECT_EQ(out.devices(0).in_flight(), 18u);
  ASSERT_EQ(out.interfaces_size(), 1);
  EXPECT_EQ(out.interfaces(0).name(), "eth0");
  EXPECT_EQ(out.interfaces(0).receive_bytes(), 12u);
  EXPECT_EQ(out.interfaces(0).send_bytes(), 13u);
  EXPECT_EQ(out.interfaces(0).drops(), 14u);
  EXPECT_EQ(out.interfaces(0).speed_bits_per_second(), 15u);
  EXPECT_EQ(report.lost_updates(), 6u);
}

// Any one signal that differs brings the pod, whole; a pod that is as it was is left out.
TEST(MakeReportTest, AgainstWhatWasToldOnlyWhatChangedIsSaid) {
  const Sample told = At(1, {Pod("cpu", 5), Pod("inside", 5), Pod("memory", 5), Pod("same", 5)});
  Sample now = At(2, told.pods);
  now.pods[0].usage.counters.cpu_ns = 6;
  now.pods[1].containers.push_back({.id = "c"});
  now.pods[2].usage.memory.dirty_bytes = 1;
  now.pods.insert(now.pods.begin() + 3, Pod("new", 0));
  const messages::UsageReport report = MakeReport(now, 2, &told);
  EXPECT_FALSE(report.complete());
  ASSERT_EQ(report.pods_size(), 4);
  EXPECT_EQ(report.pods(0).pod_uid(), "cpu");
  EXPECT_EQ(report.pods(1).pod_uid(), "inside");
  EXPECT_EQ(report.pods(2).pod_uid(), "memory");
  EXPECT_EQ(report.pods(3).pod_uid(), "new");
  EXPECT_EQ(MakeReport(told, 3, &told).pods_size(), 0);
}

// A pod that is left out of a report of changes is as it was: one that became unknown is not.
TEST(MakeReportTest, APodThatIsNotKnownAnyMoreMakesTheReportComplete) {
  PodSample ended = Pod("b", 5);
  ended.final = true;
  const Sample told = At(1, {Pod("a", 5), ended, Pod("c", 5)});
  const messages::UsageReport without = MakeReport(At(2, {Pod("a", 5)}), 2, &told);
  EXPECT_TRUE(without.complete());
  ASSERT_EQ(without.pods_size(), 1);
  EXPECT_EQ(without.pods(0).pod_uid(), "a");
  const messages::UsageReport after = MakeReport(At(2, {Pod("a", 5), Pod("c", 5)}), 2, &told);
  EXPECT_FALSE(after.complete()) << "that b had ended was said";
  EXPECT_EQ(after.pods_size(), 0);
}

TEST(MakeReportTest, PreemptionsAreThoseThatChanged) {
  Sample told = At(1, {});
  told.preemptions = {{"db", "backup", 5, 500}, {"db", "", 1, 10}};
  Sample now = told;
  now.preemptions[0].count = 6;
  EXPECT_EQ(MakeReport(now, 1, nullptr).preemptions_size(), 2);
  const messages::UsageReport report = MakeReport(now, 2, &told);
  ASSERT_EQ(report.preemptions_size(), 1);
  EXPECT_EQ(report.preemptions(0).victim_pod_uid(), "db");
  EXPECT_EQ(report.preemptions(0).offender_pod_uid(), "backup");
  EXPECT_EQ(report.preemptions(0).count(), 6u);
  EXPECT_EQ(report.preemptions(0).offender_ns(), 500u);
}

}  // namespace
}  // namespace longshore::nodeagent

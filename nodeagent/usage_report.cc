// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/usage_report.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace longshore::nodeagent {
namespace {

int64_t Nanoseconds(auto time_point) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time_point.time_since_epoch())
      .count();
}

// Without trailing zeros; an empty one is left out, which reads the same.
template <class Parent>
void Set(Parent& parent, messages::LatencyHistogram* (Parent::*mutable_field)(),
         const Histogram& histogram) {
  const auto last = std::find_if(histogram.buckets.rbegin(), histogram.buckets.rend(),
                                 [](uint64_t count) { return count > 0; });
  if (last == histogram.buckets.rend()) return;
  auto& buckets = *(parent.*mutable_field)()->mutable_buckets();
  buckets.Add(histogram.buckets.begin(), last.base());
}

void Fill(messages::DeviceCounters& out, DeviceId id, const DeviceCounters& counters) {
  using Message = messages::DeviceCounters;
  out.set_device(id.ToString());
  out.set_read_bytes(counters.read_bytes);
  out.set_write_bytes(counters.write_bytes);
  out.set_read_ops(counters.read_ops);
  out.set_write_ops(counters.write_ops);
  out.set_flushes(counters.flushes);
  out.set_queue_ns(counters.queue_ns);
  out.set_device_ns(counters.device_ns);
  Set(out, &Message::mutable_queue, counters.queue);
  Set(out, &Message::mutable_read, counters.read);
  Set(out, &Message::mutable_write, counters.write);
  Set(out, &Message::mutable_flush, counters.flush);
}

void Fill(messages::PressureTotals& out, const Pressure& pressure) {
  out.set_cpu_some_us(pressure.cpu_some_us);
  out.set_io_some_us(pressure.io_some_us);
  out.set_memory_some_us(pressure.memory_some_us);
  out.set_cpu_full_us(pressure.cpu_full_us);
  out.set_io_full_us(pressure.io_full_us);
  out.set_memory_full_us(pressure.memory_full_us);
}

void Fill(messages::MemoryGauges& out, const MemoryGauges& memory) {
  out.set_usage_bytes(memory.usage_bytes);
  out.set_working_set_bytes(memory.working_set_bytes);
  out.set_kubelet_working_set_bytes(memory.kubelet_working_set_bytes);
  out.set_anon_bytes(memory.anon_bytes);
  out.set_file_bytes(memory.file_bytes);
  out.set_inactive_file_bytes(memory.inactive_file_bytes);
  out.set_dirty_bytes(memory.dirty_bytes);
  out.set_writeback_bytes(memory.writeback_bytes);
  out.set_refaults(memory.refaults);
}

void Fill(messages::Usage& out, const Counters& counters) {
  out.set_cpu_ns(counters.cpu_ns);
  out.set_run_queue_wait_ns(counters.run_queue_wait_ns);
  Set(out, &messages::Usage::mutable_run_queue_wait, counters.run_queue_wait);
  out.set_voluntary_switches(counters.voluntary_switches);
  out.set_involuntary_switches(counters.involuntary_switches);
  out.set_read_bytes(counters.read_bytes);
  out.set_write_bytes(counters.write_bytes);
  out.set_read_ops(counters.read_ops);
  out.set_write_ops(counters.write_ops);
  out.set_file_read_bytes(counters.file_read_bytes);
  out.set_file_write_bytes(counters.file_write_bytes);
  out.set_file_reads(counters.file_reads);
  out.set_file_writes(counters.file_writes);
  out.set_fetched_bytes(counters.fetched_bytes);
  out.set_dirtied_bytes(counters.dirtied_bytes);
  out.set_cancelled_bytes(counters.cancelled_bytes);
  out.set_major_faults(counters.major_faults);
  out.set_fsyncs(counters.fsyncs);
  out.set_fsync_ns(counters.fsync_ns);
  Set(out, &messages::Usage::mutable_fsync, counters.fsync);
  out.set_reclaim_stall_ns(counters.reclaim_stall_ns);
  out.set_network_receive_bytes(counters.network_receive_bytes);
  out.set_network_send_bytes(counters.network_send_bytes);
  out.set_oom_kills(counters.oom_kills);
}

void Fill(messages::Usage& out, const Usage& usage) {
  Fill(out, usage.counters);
  for (const auto& [id, counters] : usage.devices) Fill(*out.add_devices(), id, counters);
  out.set_throttled_ns(usage.throttled_ns);
  out.set_oom_kills(usage.oom_kills);
  Fill(*out.mutable_memory(), usage.memory);
  if (usage.pressure) Fill(*out.mutable_pressure(), *usage.pressure);
}

void Fill(messages::NodeCounters& out, const NodeUsage& node) {
  out.set_cpu_ns(node.pods.cpu_ns);
  Fill(*out.mutable_pods(), node.pods);
  if (node.pods_throttled_ns) out.mutable_pods()->set_throttled_ns(*node.pods_throttled_ns);
  out.set_system_cpu_ns(node.system_cpu_ns);
  out.set_cpu_capacity_milli(node.cpu_capacity_milli);
  out.set_idle_cpu_ns(node.idle_cpu_ns);
  out.set_interrupt_cpu_ns(node.interrupt_cpu_ns);
  out.set_steal_cpu_ns(node.steal_cpu_ns);
  out.set_memory_available_bytes(node.memory_available_bytes);
  out.set_memory_capacity_bytes(node.memory_capacity_bytes);
  out.set_dirty_bytes(node.dirty_bytes);
  out.set_writeback_bytes(node.writeback_bytes);
  out.set_refaults(node.refaults);
  if (node.pressure) Fill(*out.mutable_pressure(), *node.pressure);
  for (const auto& [id, device] : node.devices) {
    messages::DeviceCounters& row = *out.add_devices();
    Fill(row, id, device.counters);
    row.set_name(device.name);
    row.set_stacked(device.stacked);
    if (device.in_flight) row.set_in_flight(*device.in_flight);
  }
  for (const NetworkInterface& interface : node.interfaces) {
    messages::NetworkInterface& row = *out.add_interfaces();
    row.set_name(interface.name);
    row.set_receive_bytes(interface.receive_bytes);
    row.set_send_bytes(interface.send_bytes);
    row.set_drops(interface.drops);
    row.set_speed_bits_per_second(interface.speed_bits_per_second);
  }
}

void Fill(messages::PodCounters& out, const PodSample& pod) {
  out.set_pod_uid(pod.uid);
  out.set_final(pod.final);
  Fill(*out.mutable_usage(), pod.usage);
  for (const ContainerSample& container : pod.containers) {
    messages::ContainerCounters& row = *out.add_containers();
    row.set_container_id(container.id);
    Fill(*row.mutable_usage(), container.usage);
  }
}

// Whether a pod that was told of is not known any more: what a report of changes leaves out would
// be taken for as it was.
bool Forgets(const Sample& sample, const Sample& told) {
  auto pod = sample.pods.begin();
  return std::any_of(told.pods.begin(), told.pods.end(), [&](const PodSample& before) {
    if (before.final) return false;
    while (pod != sample.pods.end() && pod->uid < before.uid) ++pod;
    return pod == sample.pods.end() || pod->uid != before.uid;
  });
}

void AddPods(messages::UsageReport& report, const Sample& sample, const Sample* told) {
  static const std::vector<PodSample> kNone;
  const std::vector<PodSample>& earlier = told != nullptr ? told->pods : kNone;
  auto before = earlier.begin();
  for (const PodSample& pod : sample.pods) {
    while (before != earlier.end() && before->uid < pod.uid) ++before;
    if (before == earlier.end() || *before != pod) Fill(*report.add_pods(), pod);
  }
}

void AddPreemptions(messages::UsageReport& report, const Sample& sample, const Sample* told) {
  for (const Preemption& preemption : sample.preemptions) {
    if (told != nullptr && std::find(told->preemptions.begin(), told->preemptions.end(),
                                     preemption) != told->preemptions.end()) {
      continue;
    }
    messages::Preemption& row = *report.add_preemptions();
    row.set_victim_pod_uid(preemption.victim);
    row.set_offender_pod_uid(preemption.offender);
    row.set_count(preemption.count);
    row.set_offender_ns(preemption.offender_ns);
  }
}

}  // namespace

messages::PodCounters ToMessage(const PodSample& pod) {
  messages::PodCounters out;
  Fill(out, pod);
  return out;
}

void FillReport(messages::UsageReport& report, const Sample& sample, uint64_t sequence,
                const Sample* told) {
  if (told != nullptr && Forgets(sample, *told)) told = nullptr;
  report.set_sequence(sequence);
  report.set_interval_start_ns(Nanoseconds(sample.start));
  report.set_interval_end_ns(Nanoseconds(sample.end));
  report.set_wall_end_ns(Nanoseconds(sample.wall_end));
  report.set_complete(told == nullptr);
  AddPods(report, sample, told);
  Fill(*report.mutable_node(), sample.node);
  AddPreemptions(report, sample, told);
  report.set_lost_updates(sample.lost.Total() + sample.uncounted_cgroups);
}

}  // namespace longshore::nodeagent

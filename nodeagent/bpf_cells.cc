// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/bpf_cells.h"

#include <algorithm>

namespace longshore::nodeagent {
namespace {

void Add(Histogram& to, const __u64 (&buckets)[AGENT_BUCKETS]) {
  for (size_t i = 0; i < AGENT_BUCKETS; ++i) to.buckets[i] += Load64(buckets[i]);
}

void AddTo(Counters& sum, const agent_counters& cell) {
  const agent_task_counters& used = cell.used;
  sum.cpu_ns += Load64(used.cpu_ns);
  sum.run_queue_wait_ns += Load64(used.run_queue_wait_ns);
  sum.voluntary_switches += Load64(used.voluntary_switches);
  sum.involuntary_switches += Load64(used.involuntary_switches);
  sum.file_read_bytes += Load64(used.file_read_bytes);
  sum.file_write_bytes += Load64(used.file_write_bytes);
  sum.file_reads += Load64(used.file_reads);
  sum.file_writes += Load64(used.file_writes);
  sum.fetched_bytes += Load64(used.fetched_bytes);
  sum.dirtied_bytes += Load64(used.dirtied_bytes);
  sum.cancelled_bytes += Load64(used.cancelled_bytes);
  sum.major_faults += Load64(used.major_faults);
  sum.read_bytes += Load64(cell.read_bytes);
  sum.write_bytes += Load64(cell.write_bytes);
  sum.read_ops += Load64(cell.read_ops);
  sum.write_ops += Load64(cell.write_ops);
  sum.network_receive_bytes += Load64(cell.network_receive_bytes);
  sum.network_send_bytes += Load64(cell.network_send_bytes);
  Add(sum.run_queue_wait, cell.run_queue_wait);
}

}  // namespace

bool EverRan(const agent_slot& cpu) {
  return std::ranges::any_of(cpu.costs,
                             [](const agent_cost& cost) { return Load64(cost.runs) > 0; });
}

Counters SumOf(const agent_counters* cells, size_t stride, std::span<const agent_slot> cpus) {
  Counters sum;
  for (size_t cpu = 0; cpu < cpus.size(); ++cpu) {
    if (EverRan(cpus[cpu])) AddTo(sum, cells[cpu * stride]);
  }
  return sum;
}

void AddTo(Counters& sum, const agent_stalls& cell) {
  sum.fsyncs += Load64(cell.fsyncs);
  sum.fsync_ns += Load64(cell.fsync_ns);
  sum.reclaim_stall_ns += Load64(cell.reclaim_ns);
  sum.oom_kills += Load64(cell.oom_kills);
  Add(sum.fsync, cell.fsync);
}

DeviceCounters FromKernel(const agent_device& cell) {
  DeviceCounters counters;
  counters.read_bytes = Load64(cell.read_bytes);
  counters.write_bytes = Load64(cell.write_bytes);
  counters.read_ops = Load64(cell.read_ops);
  counters.write_ops = Load64(cell.write_ops);
  counters.flushes = Load64(cell.flushes);
  counters.queue_ns = Load64(cell.queue_ns);
  counters.device_ns = Load64(cell.device_ns);
  Add(counters.queue, cell.queue);
  Add(counters.read, cell.read);
  Add(counters.write, cell.write);
  Add(counters.flush, cell.flush);
  return counters;
}

DeviceId DeviceOfKey(uint64_t key) {
  const uint32_t device = static_cast<uint32_t>(key);
  return {device >> 20, device & 0xfffff};
}

}  // namespace longshore::nodeagent

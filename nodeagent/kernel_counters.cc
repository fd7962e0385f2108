// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/kernel_counters.h"

#include <cmath>
#include <numeric>

namespace longshore::nodeagent {

uint64_t Histogram::Count() const {
  return std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
}

std::optional<std::chrono::microseconds> Histogram::Quantile(double q) const {
  const uint64_t count = Count();
  if (count == 0) return std::nullopt;
  const auto wanted = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count)));
  uint64_t seen = 0;
  for (size_t i = 0; i + 1 < kBuckets; ++i) {
    seen += buckets[i];
    if (seen >= wanted && seen > 0) return std::chrono::microseconds(uint64_t{1} << (i + 1));
  }
  return kUnbounded;
}

Histogram& Histogram::operator+=(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets[i] += other.buckets[i];
  return *this;
}

Histogram Histogram::Since(const Histogram& earlier) const {
  Histogram since;
  for (size_t i = 0; i < kBuckets; ++i) {
    if (buckets[i] > earlier.buckets[i]) since.buckets[i] = buckets[i] - earlier.buckets[i];
  }
  return since;
}

Counters& Counters::operator+=(const Counters& other) {
  cpu_ns += other.cpu_ns;
  run_queue_wait_ns += other.run_queue_wait_ns;
  voluntary_switches += other.voluntary_switches;
  involuntary_switches += other.involuntary_switches;
  read_bytes += other.read_bytes;
  write_bytes += other.write_bytes;
  read_ops += other.read_ops;
  write_ops += other.write_ops;
  file_read_bytes += other.file_read_bytes;
  file_write_bytes += other.file_write_bytes;
  file_reads += other.file_reads;
  file_writes += other.file_writes;
  fetched_bytes += other.fetched_bytes;
  dirtied_bytes += other.dirtied_bytes;
  cancelled_bytes += other.cancelled_bytes;
  major_faults += other.major_faults;
  fsyncs += other.fsyncs;
  fsync_ns += other.fsync_ns;
  reclaim_stall_ns += other.reclaim_stall_ns;
  oom_kills += other.oom_kills;
  network_receive_bytes += other.network_receive_bytes;
  network_send_bytes += other.network_send_bytes;
  run_queue_wait += other.run_queue_wait;
  fsync += other.fsync;
  return *this;
}

Histogram DeviceCounters::Latency() const {
  Histogram all = read;
  all += write;
  return all += flush;
}

DeviceCounters& DeviceCounters::operator+=(const DeviceCounters& other) {
  read_bytes += other.read_bytes;
  write_bytes += other.write_bytes;
  read_ops += other.read_ops;
  write_ops += other.write_ops;
  flushes += other.flushes;
  queue_ns += other.queue_ns;
  device_ns += other.device_ns;
  queue += other.queue;
  read += other.read;
  write += other.write;
  flush += other.flush;
  return *this;
}

std::string DeviceId::ToString() const {
  return std::to_string(major) + ":" + std::to_string(minor);
}

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// One sample of a node: what every pod, every container and the node itself have used so far.
// Made by the collector; read by the report, the tables, the metrics and the audit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

// Gauges, but for `refaults`. What the kernel does not tell (v1 before 5.9 has no refaults) is 0.
struct MemoryGauges {
  uint64_t usage_bytes = 0;
  // What cannot be reclaimed: anonymous, shmem, and on v2 the kernel's own (unreclaimable slab,
  // stacks, page tables, per-CPU, sockets). Not the kubelet's: page cache that a backup has just
  // read would count there.
  uint64_t working_set_bytes = 0;
  uint64_t kubelet_working_set_bytes = 0;  // usage - inactive file
  uint64_t anon_bytes = 0, file_bytes = 0, inactive_file_bytes = 0;
  uint64_t dirty_bytes = 0, writeback_bytes = 0;
  uint64_t refaults = 0;  // cumulative

  bool operator==(const MemoryGauges&) const = default;
};

// Cumulative `total=` of the pressure files.
struct Pressure {
  uint64_t cpu_some_us = 0, io_some_us = 0, memory_some_us = 0;
  uint64_t cpu_full_us = 0, io_full_us = 0, memory_full_us = 0;

  bool operator==(const Pressure&) const = default;
};

// What a pod or container has used; the same for both, so that both are shown alike.
struct Usage {
  Counters counters;
  std::map<DeviceId, DeviceCounters> devices;
  uint64_t throttled_ns = 0;  // by its own CPU quota
  uint64_t oom_kills = 0;
  MemoryGauges memory;
  std::optional<Pressure> pressure;  // nothing: not known; containers of watched pods have it

  bool operator==(const Usage&) const = default;
};

struct ContainerSample {
  std::string id;
  std::string relative_path;  // of its cgroup below `kubepods`
  Usage usage;

  bool operator==(const ContainerSample&) const = default;
};

// A pod's cgroup below `kubepods`.
struct PodPath {
  std::string uid, relative_path;
};

struct PodSample {
  std::string uid;
  std::string relative_path;  // of the pod's cgroup below `kubepods`
  bool final = false;         // its cgroup is gone; said once
  bool watched = false;       // its data is a BackupSource's: who disturbs it is of interest
  Usage usage;
  std::vector<ContainerSample> containers;

  bool operator==(const PodSample&) const = default;
};

// Cumulative since the pairs were first seen; pods are by UID, an empty offender is the system.
struct Preemption {
  std::string victim, offender;
  uint64_t count = 0, offender_ns = 0;

  bool operator==(const Preemption&) const = default;
};

struct NetworkInterface {
  std::string name;
  uint64_t receive_bytes = 0, send_bytes = 0, drops = 0;
  uint64_t speed_bits_per_second = 0;  // 0: unknown
};

struct NodeDevice {
  DeviceCounters counters;  // all I/O, whoever caused it
  std::string name;         // "vda"; empty where sysfs isn't mounted
  bool stacked = false;     // loop, device-mapper, md: seen once more on the device below
  std::optional<uint64_t> in_flight = {};  // requests that it has now; nothing: sysfs isn't mounted
};

struct NodeUsage {
  // Since the programs were attached: all pods below the kubelet's root, those that ended included;
  // and the CPU time of everything else, kernel threads included.
  Counters pods;
  std::optional<uint64_t> pods_throttled_ns;  // by their own quotas; nothing: not counted here
  uint64_t system_cpu_ns = 0;
  uint64_t cpu_capacity_milli = 0;
  // Of the machine, since it was booted.
  uint64_t idle_cpu_ns = 0, interrupt_cpu_ns = 0, steal_cpu_ns = 0;
  uint64_t memory_available_bytes = 0, memory_capacity_bytes = 0;
  uint64_t dirty_bytes = 0, writeback_bytes = 0;
  uint64_t refaults = 0;
  std::optional<Pressure> pressure;
  std::map<DeviceId, NodeDevice> devices;
  std::vector<NetworkInterface> interfaces;
  // "vda"; "MAJOR:MINOR" of a device that has no name here.
  std::string NameOf(const DeviceId& id) const {
    const auto found = devices.find(id);
    const bool named = found != devices.end() && !found->second.name.empty();
    return named ? found->second.name : id.ToString();
  }
};

// Our counters held against the kernel's, over the last minute (audit.h).
struct Audit {
  WallTime time;
  uint32_t pods = 0;                       // compared
  double worst_cpu_error = 0;              // relative; 0.001 is one in a thousand
  std::string worst_cpu_pod;               // by UID; empty: none was off
  std::optional<uint64_t> worst_io_bytes;  // off, of any pod; nothing where io.stat isn't kept
};

struct Sample {
  MonotonicTime start, end;
  WallTime wall_end;
  std::vector<PodSample> pods;  // by UID
  NodeUsage node;
  std::vector<Preemption> preemptions;  // of watched pods
  LostUpdates lost;
  uint64_t uncounted_cgroups = 0;
  uint64_t unknown_pods = 0;   // that are there, but not among `pods`: no place in the tables
  std::optional<Audit> audit;  // the newest
};

}  // namespace longshore::nodeagent

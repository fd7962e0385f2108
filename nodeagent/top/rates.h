// SPDX-License-Identifier: Apache-2.0
//
// What happened between two samples, per second: of each pod, container and device, and of the
// node. Pure functions. The tables and the JSON of `top` show these.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nodeagent/sample.h"

namespace longshore::nodeagent::top {

// An upper bound (the histograms' buckets double), Histogram::kUnbounded where it is longer than
// they tell apart; nothing where nothing was seen.
using Latency = std::optional<std::chrono::microseconds>;

struct DeviceRates {
  double read_bytes = 0, write_bytes = 0, read_ops = 0, write_ops = 0;
  double flushes = 0;  // of the node only: the kernel makes them on nobody's account
  Latency queue_p99, read_p99, write_p99, flush_p99;
  Latency p99;  // of reads and writes together

  bool Idle() const { return read_ops + write_ops + flushes == 0; }
};

// Shares of the time, 0 to 1.
struct PressureShares {
  double cpu_some = 0, io_some = 0, memory_some = 0;
  double cpu_full = 0, io_full = 0, memory_full = 0;
};

struct Rates {
  // Cores: seconds per second. `wait` is runnable without a CPU, the wait for the own quota
  // included.
  double cpu_cores = 0, wait_cores = 0, throttled_cores = 0, reclaim_cores = 0;
  double voluntary_switches = 0, involuntary_switches = 0;
  double read_bytes = 0, write_bytes = 0, read_ops = 0, write_ops = 0;  // block I/O
  double file_read_bytes = 0, file_write_bytes = 0;                     // cache hits too
  double fetched_bytes = 0;
  double dirtied_bytes = 0;  // less what was deleted before it was written back
  double major_faults = 0, fsyncs = 0, refaults = 0;
  double receive_bytes = 0, send_bytes = 0;
  uint64_t oom_kills = 0;  // in the interval
  Latency wait_p99, device_p99, fsync_p99;
  std::map<DeviceId, DeviceRates> devices;  // those with any I/O in the interval
  std::optional<PressureShares> pressure;
};

struct Row {
  std::string uid;        // of the pod
  std::string container;  // its id; empty: the whole pod
  bool final = false;
  // Over the whole interval. Else preemptions, and of containers pressure, are not known.
  bool watched = false;
  Rates rates;
  const Usage* usage = nullptr;  // of the later sample
};

struct NodeDeviceRates {
  DeviceId id;
  std::string name;
  bool stacked = false;
  DeviceRates rates;
  std::optional<uint64_t> in_flight = {};  // requests that it has now; nothing: not known
};

struct InterfaceRates {
  std::string name;
  double receive_bytes = 0, send_bytes = 0, drops = 0;
  uint64_t speed_bits_per_second = 0;
};

struct NodeRates {
  Rates pods;  // all of them; what counters don't tell is left out
  // Tasks in no pod, kernel threads too; and of the machine.
  double system_cores = 0;
  double idle_cores = 0, interrupt_cores = 0, steal_cores = 0, capacity_cores = 0;
  double refaults = 0;
  std::optional<PressureShares> pressure;
  std::vector<NodeDeviceRates> devices;  // by device number, idle ones too
  std::vector<InterfaceRates> interfaces;
};

struct PreemptionRates {
  std::string victim, offender;  // an empty offender: the system
  double per_second = 0;
  double offender_cores = 0;  // what the offender then ran for
};

// What is new in `now` counts from zero; a counter that fell counts as zero. Rows point into `now`.
std::vector<Row> PodRows(const Sample& before, const Sample& now);
std::vector<Row> ContainerRows(const Sample& before, const Sample& now);
NodeRates NodeRow(const Sample& before, const Sample& now);
// Those of one victim, the worst offender first.
std::vector<PreemptionRates> PreemptionsOf(const std::string& victim, const Sample& before,
                                           const Sample& now);
// The other pods that used a device of `pod`, who moved most first.
std::vector<const Row*> SharersOf(const Row& pod, const DeviceId& device,
                                  const std::vector<Row>& pods);
double Seconds(const Sample& before, const Sample& now);

}  // namespace longshore::nodeagent::top

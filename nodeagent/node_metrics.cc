// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/node_metrics.h"

#include <algorithm>
#include <span>
#include <utility>

#include "nodeagent/busiest.h"

namespace longshore::nodeagent {
namespace {

constexpr size_t kMaxDevicesOfNode = 16, kMaxInterfaces = 16;

struct LostReason {
  const char* name;
  uint64_t LostUpdates::* field;
};

void AddPressure(Exposition& out, const NodeUsage& node) {
  if (!node.pressure) return;
  out.Family("pressure_seconds_total", "counter", "Time that some, or all, tasks stalled");
  for (const PressureSeries& series : kPressureSeries) {
    out.Value({{"resource", series.resource}, {"kind", series.kind}},
              static_cast<double>((*node.pressure).*series.total_us) / 1e6);
  }
}

void AddMachine(Exposition& out, const NodeUsage& node) {
  const auto one = [&](const char* name, const char* type, const char* help, double value) {
    out.Family(name, type, help);
    out.Value({}, value);
  };
  one("system_cpu_seconds_total", "counter", "CPU time of tasks in no pod, kernel threads too",
      Seconds(node.system_cpu_ns));
  one("idle_cpu_seconds_total", "counter", "Idle CPU time of the machine",
      Seconds(node.idle_cpu_ns));
  one("memory_available_bytes", "gauge", "Of the machine",
      static_cast<double>(node.memory_available_bytes));
  one("refaults_total", "counter", "Pages read again soon after they were dropped",
      static_cast<double>(node.refaults));
  AddPressure(out, node);
}

uint64_t Operations(const NodeDevice& device) {
  return device.counters.read_ops + device.counters.write_ops;
}

void AddDevices(Exposition& out, const NodeUsage& node) {
  const auto devices = BusiestDevices(node.devices, kMaxDevicesOfNode, Operations);
  // `add` is called with the labels of each device, and with the device.
  const auto each = [&](const auto& add) {
    for (const auto* entry : devices) {
      const auto& [id, device] = *entry;
      const std::string name = node.NameOf(id);
      add({{"device", name}, {"stacked", device.stacked ? "true" : "false"}}, device);
    }
  };
  const auto family = [&](const char* name, const char* help, uint64_t DeviceCounters::* field) {
    out.Family(name, "counter", help);
    each([&](Exposition::Labels labels, const NodeDevice& device) {
      out.Value(labels, static_cast<double>(device.counters.*field));
    });
  };
  family("device_read_bytes_total", "All I/O of the device", &DeviceCounters::read_bytes);
  family("device_write_bytes_total", "All I/O of the device", &DeviceCounters::write_bytes);
  family("device_read_operations_total", "All I/O of the device", &DeviceCounters::read_ops);
  family("device_write_operations_total", "All I/O of the device", &DeviceCounters::write_ops);
  out.Family("device_in_flight_requests", "gauge", "Issued and not yet done");
  each([&](Exposition::Labels labels, const NodeDevice& device) {
    if (device.in_flight) out.Value(labels, static_cast<double>(*device.in_flight));
  });
  out.Family("device_latency_seconds", "histogram", "From issued to completed");
  each([&](Exposition::Labels labels, const NodeDevice& device) {
    out.Distribution(labels, device.counters.Latency(), Seconds(device.counters.device_ns));
  });
}

void AddInterfaces(Exposition& out, const NodeUsage& node) {
  const std::span<const NetworkInterface> all(node.interfaces);
  const auto shown = all.first(std::min(all.size(), kMaxInterfaces));
  const auto family = [&](const char* name, uint64_t NetworkInterface::* field) {
    out.Family(name, "counter", "Of the node's interface");
    for (const NetworkInterface& nic : shown) {
      out.Value({{"interface", nic.name}}, static_cast<double>(nic.*field));
    }
  };
  family("interface_receive_bytes_total", &NetworkInterface::receive_bytes);
  family("interface_send_bytes_total", &NetworkInterface::send_bytes);
  family("interface_drops_total", &NetworkInterface::drops);
}

void AddLost(Exposition& out, const Sample& sample) {
  static constexpr LostReason kReasons[] = {{"no_index", &LostUpdates::no_index},
                                            {"event_ring_full", &LostUpdates::events},
                                            {"no_owner", &LostUpdates::owner},
                                            {"unknown_slice", &LostUpdates::switches},
                                            {"map_refused", &LostUpdates::internal},
                                            {"device_table_full", &LostUpdates::devices},
                                            {"pair_table_full", &LostUpdates::preemptions},
                                            {"stall_table_full", &LostUpdates::stalls},
                                            {"recursion", &LostUpdates::recursion}};
  out.Family("lost_updates_total", "counter", "What could not be attributed, by reason");
  for (const LostReason& reason : kReasons) {
    out.Value({{"reason", reason.name}}, static_cast<double>(sample.lost.*reason.field));
  }
  out.Value({{"reason", "member_map_full"}}, static_cast<double>(sample.uncounted_cgroups));
}

void AddCosts(Exposition& out, const std::vector<ProgramCost>& costs) {
  out.Family("program_runs_total", "counter", "Runs of each BPF program");
  for (const ProgramCost& cost : costs) {
    out.Value({{"program", cost.program}}, static_cast<double>(cost.runs));
  }
  out.Family("program_seconds_total", "counter", "Time in each, from a sample of its runs");
  for (const ProgramCost& cost : costs) {
    out.Value({{"program", cost.program}},
              Seconds(cost.sampled_ns) * static_cast<double>(kRunsPerSample));
  }
}

void AddAudit(Exposition& out, const std::optional<Audit>& audit) {
  if (!audit) return;  // the first one takes two minutes
  out.Family("audit_worst_cpu_error_ratio", "gauge",
             "Ours against the kernel's counter, worst pod");
  out.Value({}, audit->worst_cpu_error);
  out.Family("audit_pods", "gauge", "Pods that the last audit compared");
  out.Value({}, audit->pods);
  if (!audit->worst_io_bytes) return;
  out.Family("audit_worst_io_error_bytes", "gauge", "Ours against io.stat, worst pod");
  out.Value({}, static_cast<double>(*audit->worst_io_bytes));
}

}  // namespace

void AddNode(Exposition& out, const Sample& sample, const std::vector<ProgramCost>& costs) {
  AddMachine(out, sample.node);
  AddDevices(out, sample.node);
  AddInterfaces(out, sample.node);
  AddLost(out, sample);
  AddCosts(out, costs);
  AddAudit(out, sample.audit);
}

}  // namespace longshore::nodeagent

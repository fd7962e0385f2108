// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "nodeagent/top/columns.h"

namespace longshore::nodeagent::top {
namespace {

using Json = nlohmann::ordered_json;

// "<name>Microseconds", an upper bound; null where there is none: nothing was seen, or, where
// "<name>OverMicroseconds" is there, it was longer than that.
void Add(Json& out, const std::string& name, Latency latency) {
  const bool over = latency == Histogram::kUnbounded;
  out[name + "Microseconds"] = latency && !over ? Json(latency->count()) : Json(nullptr);
  if (over) out[name + "OverMicroseconds"] = Histogram::kLongest.count();
}

Json ToJson(const std::optional<PressureShares>& shares) {
  if (!shares) return nullptr;
  return {{"cpuSomeShare", shares->cpu_some},       {"cpuFullShare", shares->cpu_full},
          {"ioSomeShare", shares->io_some},         {"ioFullShare", shares->io_full},
          {"memorySomeShare", shares->memory_some}, {"memoryFullShare", shares->memory_full}};
}

Json ToJson(const DeviceRates& device, bool of_node = false) {
  Json out = {{"readBytesPerSecond", device.read_bytes},
              {"writeBytesPerSecond", device.write_bytes},
              {"readOpsPerSecond", device.read_ops},
              {"writeOpsPerSecond", device.write_ops}};
  Add(out, "queueP99", device.queue_p99);
  Add(out, "readP99", device.read_p99);
  Add(out, "writeP99", device.write_p99);
  if (!of_node) return out;  // flushes are nobody's
  out["flushesPerSecond"] = device.flushes;
  Add(out, "flushP99", device.flush_p99);
  return out;
}

Json ToJson(const MemoryGauges& memory) {
  return {{"usageBytes", memory.usage_bytes},
          {"workingSetBytes", memory.working_set_bytes},
          {"kubeletWorkingSetBytes", memory.kubelet_working_set_bytes},
          {"anonBytes", memory.anon_bytes},
          {"fileBytes", memory.file_bytes},
          {"inactiveFileBytes", memory.inactive_file_bytes},
          {"dirtyBytes", memory.dirty_bytes},
          {"writebackBytes", memory.writeback_bytes},
          {"refaults", memory.refaults}};
}

// Cumulative, so that whoever asks now and then loses nothing.
Json Totals(const Usage& usage) {
  const Counters& c = usage.counters;
  return {{"cpuNanoseconds", c.cpu_ns},
          {"runQueueWaitNanoseconds", c.run_queue_wait_ns},
          {"throttledNanoseconds", usage.throttled_ns},
          {"voluntarySwitches", c.voluntary_switches},
          {"involuntarySwitches", c.involuntary_switches},
          {"readBytes", c.read_bytes},
          {"writeBytes", c.write_bytes},
          {"readOps", c.read_ops},
          {"writeOps", c.write_ops},
          {"fileReadBytes", c.file_read_bytes},
          {"fileWriteBytes", c.file_write_bytes},
          {"fetchedBytes", c.fetched_bytes},
          {"dirtiedBytes", c.dirtied_bytes},
          {"cancelledBytes", c.cancelled_bytes},
          {"majorFaults", c.major_faults},
          {"fsyncs", c.fsyncs},
          {"fsyncNanoseconds", c.fsync_ns},
          {"reclaimStallNanoseconds", c.reclaim_stall_ns},
          {"networkReceiveBytes", c.network_receive_bytes},
          {"networkSendBytes", c.network_send_bytes},
          {"oomKills", usage.oom_kills}};
}

// What is of pods, containers and the sum of a node's pods alike.
Json ToJson(const Rates& r) {
  Json out = {{"cpuCores", r.cpu_cores},
              {"runQueueWaitCores", r.wait_cores},
              {"reclaimStallCores", r.reclaim_cores},
              {"readBytesPerSecond", r.read_bytes},
              {"writeBytesPerSecond", r.write_bytes},
              {"readOpsPerSecond", r.read_ops},
              {"writeOpsPerSecond", r.write_ops},
              {"fileReadBytesPerSecond", r.file_read_bytes},
              {"fileWriteBytesPerSecond", r.file_write_bytes},
              {"dirtiedBytesPerSecond", r.dirtied_bytes},
              {"fsyncsPerSecond", r.fsyncs},
              {"networkReceiveBytesPerSecond", r.receive_bytes},
              {"networkSendBytesPerSecond", r.send_bytes}};
  Add(out, "runQueueWaitP99", r.wait_p99);
  Add(out, "fsyncP99", r.fsync_p99);
  return out;
}

Json ToJson(const Row& row) {
  const Rates& r = row.rates;
  Json devices = Json::object();
  for (const auto& [id, device] : r.devices) devices[id.ToString()] = ToJson(device);
  Json out = ToJson(r);
  Add(out, "deviceP99", r.device_p99);
  out.update({{"throttledCores", r.throttled_cores},
              {"pressure", ToJson(r.pressure)},
              {"memory", ToJson(row.usage->memory)},
              {"devices", std::move(devices)},
              {"totals", Totals(*row.usage)}});
  return out;
}

Json Interfaces(const NodeRates& node) {
  Json interfaces = Json::array();
  for (const InterfaceRates& nic : node.interfaces) {
    interfaces.push_back(
        {{"name", nic.name},
         {"receiveBytesPerSecond", nic.receive_bytes},
         {"sendBytesPerSecond", nic.send_bytes},
         {"dropsPerSecond", nic.drops},
         {"speedBitsPerSecond",
          nic.speed_bits_per_second == 0 ? Json(nullptr) : Json(nic.speed_bits_per_second)}});
  }
  return interfaces;
}

Json NodeJson(const Sample& before, const Sample& now) {
  const NodeRates node = NodeRow(before, now);
  Json devices = Json::array();
  for (const NodeDeviceRates& device : node.devices) {
    Json entry = {{"device", device.id.ToString()},
                  {"name", device.name.empty() ? Json(nullptr) : Json(device.name)},
                  {"stacked", device.stacked}};
    entry["inFlight"] = device.in_flight ? Json(*device.in_flight) : Json(nullptr);
    entry.update(ToJson(device.rates, /*of_node=*/true));
    devices.push_back(std::move(entry));
  }
  return {{"cpuCores", node.pods.cpu_cores},
          {"cpuCapacityMilli", now.node.cpu_capacity_milli},
          {"pods", ToJson(node.pods)},
          {"systemCores", node.system_cores},
          {"idleCores", node.idle_cores},
          {"interruptCores", node.interrupt_cores},
          {"stealCores", node.steal_cores},
          {"memoryAvailableBytes", now.node.memory_available_bytes},
          {"memoryCapacityBytes", now.node.memory_capacity_bytes},
          {"pressure", ToJson(node.pressure)},
          {"devices", std::move(devices)},
          {"interfaces", Interfaces(node)},
          {"lostUpdates", now.lost.Total() + now.uncounted_cgroups},
          {"unknownPods", now.unknown_pods}};
}

Json NameOrNull(const std::string& uid, PodNames& names) {
  const std::string name = names.NameOf(uid);
  return name == uid ? Json(nullptr) : Json(name);
}

// Who shares each of the pod's devices, who moves most first.
void AddSharers(Json& devices, const Row& pod, const std::vector<Row>& pods, PodNames& names) {
  for (const auto& [id, rates] : pod.rates.devices) {
    Json sharers = Json::array();
    for (const Row* other : SharersOf(pod, id, pods)) {
      Json sharer = {{"uid", other->uid}, {"name", NameOrNull(other->uid, names)}};
      sharer.update(ToJson(other->rates.devices.at(id)));
      sharers.push_back(std::move(sharer));
    }
    devices[id.ToString()]["sharedWith"] = std::move(sharers);
  }
}

Json Preemptions(const Row& pod, const Sample& before, const Sample& now) {
  if (!pod.watched) return nullptr;
  Json out = Json::array();
  for (const PreemptionRates& pair : PreemptionsOf(pod.uid, before, now)) {
    out.push_back({{"offender", pair.offender.empty() ? Json(nullptr) : Json(pair.offender)},
                   {"perSecond", pair.per_second},
                   {"offenderCores", pair.offender_cores}});
  }
  return out;
}

}  // namespace

std::string RenderJson(const Sample& before, const Sample& now, const TableOptions& options,
                       PodNames& names, const std::string& only) {
  std::map<std::string, Json> containers;  // by pod
  for (const Row& row : ContainerRows(before, now)) {
    Json entry = {{"id", row.container}};
    entry.update(ToJson(row));
    containers[row.uid].push_back(std::move(entry));
  }
  std::vector<Row> rows = PodRows(before, now);
  SortRows(rows, Columns()[options.sort], options.reverse);
  Json pods = Json::array();
  for (const Row& row : rows) {
    if (!only.empty() && row.uid != only) continue;
    Json pod = {{"uid", row.uid}, {"name", NameOrNull(row.uid, names)}, {"final", row.final}};
    pod.update(ToJson(row));
    if (!only.empty()) {
      pod["preemptedBy"] = Preemptions(row, before, now);
      AddSharers(pod["devices"], row, rows, names);
    }
    pod["containers"] = containers.contains(row.uid) ? containers[row.uid] : Json::array();
    pods.push_back(std::move(pod));
  }
  return Json{{"time", FormatTime(now.wall_end)},
              {"intervalSeconds", Seconds(before, now)},
              {"node", NodeJson(before, now)},
              {"pods", std::move(pods)}}
      .dump();
}

}  // namespace longshore::nodeagent::top

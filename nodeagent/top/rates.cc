// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/rates.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace longshore::nodeagent::top {
namespace {

// The differences of one pair of samples, by the seconds between them.
class Difference {
 public:
  Difference(const Sample& before, const Sample& now) : seconds_(Seconds(before, now)) {}

  double PerSecond(uint64_t before, uint64_t now) const {
    return now > before ? static_cast<double>(now - before) / seconds_ : 0;
  }
  double Cores(uint64_t before_ns, uint64_t now_ns) const {
    return PerSecond(before_ns, now_ns) / 1e9;
  }

  DeviceRates Device(const DeviceCounters& before, const DeviceCounters& now) const {
    DeviceRates rates;
    rates.read_bytes = PerSecond(before.read_bytes, now.read_bytes);
    rates.write_bytes = PerSecond(before.write_bytes, now.write_bytes);
    rates.read_ops = PerSecond(before.read_ops, now.read_ops);
    rates.write_ops = PerSecond(before.write_ops, now.write_ops);
    rates.flushes = PerSecond(before.flushes, now.flushes);
    Histogram both = now.read.Since(before.read);
    rates.read_p99 = both.Quantile(0.99);
    const Histogram write = now.write.Since(before.write);
    rates.write_p99 = write.Quantile(0.99);
    rates.p99 = (both += write).Quantile(0.99);
    rates.queue_p99 = now.queue.Since(before.queue).Quantile(0.99);
    rates.flush_p99 = now.flush.Since(before.flush).Quantile(0.99);
    return rates;
  }

  std::optional<PressureShares> Shares(const std::optional<Pressure>& before,
                                       const std::optional<Pressure>& now) const {
    // Of what was not known before, one reading tells nothing of this interval.
    if (!before || !now) return std::nullopt;
    const auto share = [&](uint64_t Pressure::* field) {
      return std::min(1.0, PerSecond((*before).*field, (*now).*field) / 1e6);
    };
    return PressureShares{.cpu_some = share(&Pressure::cpu_some_us),
                          .io_some = share(&Pressure::io_some_us),
                          .memory_some = share(&Pressure::memory_some_us),
                          .cpu_full = share(&Pressure::cpu_full_us),
                          .io_full = share(&Pressure::io_full_us),
                          .memory_full = share(&Pressure::memory_full_us)};
  }

  Rates Of(const Usage& before, const Usage& now) const {
    Rates rates = OfCounters(before.counters, now.counters);
    rates.throttled_cores = Cores(before.throttled_ns, now.throttled_ns);
    rates.refaults = PerSecond(before.memory.refaults, now.memory.refaults);
    rates.oom_kills = now.oom_kills - std::min(before.oom_kills, now.oom_kills);
    rates.pressure = Shares(before.pressure, now.pressure);
    AddDevices(before, now, rates);
    return rates;
  }

  Rates OfCounters(const Counters& before, const Counters& now) const {
    const auto rate = [&](uint64_t Counters::* field) {
      return PerSecond(before.*field, now.*field);
    };
    Rates rates;
    rates.cpu_cores = rate(&Counters::cpu_ns) / 1e9;
    rates.wait_cores = rate(&Counters::run_queue_wait_ns) / 1e9;
    rates.reclaim_cores = rate(&Counters::reclaim_stall_ns) / 1e9;
    rates.voluntary_switches = rate(&Counters::voluntary_switches);
    rates.involuntary_switches = rate(&Counters::involuntary_switches);
    rates.read_bytes = rate(&Counters::read_bytes);
    rates.write_bytes = rate(&Counters::write_bytes);
    rates.read_ops = rate(&Counters::read_ops);
    rates.write_ops = rate(&Counters::write_ops);
    rates.file_read_bytes = rate(&Counters::file_read_bytes);
    rates.file_write_bytes = rate(&Counters::file_write_bytes);
    rates.fetched_bytes = rate(&Counters::fetched_bytes);
    rates.dirtied_bytes =
        std::max(0.0, rate(&Counters::dirtied_bytes) - rate(&Counters::cancelled_bytes));
    rates.major_faults = rate(&Counters::major_faults);
    rates.fsyncs = rate(&Counters::fsyncs);
    rates.receive_bytes = rate(&Counters::network_receive_bytes);
    rates.send_bytes = rate(&Counters::network_send_bytes);
    rates.wait_p99 = now.run_queue_wait.Since(before.run_queue_wait).Quantile(0.99);
    rates.fsync_p99 = now.fsync.Since(before.fsync).Quantile(0.99);
    return rates;
  }

 private:
  void AddDevices(const Usage& before, const Usage& now, Rates& rates) const {
    static const DeviceCounters kNone;
    Histogram all;
    for (const auto& [id, counters] : now.devices) {
      const auto found = before.devices.find(id);
      const DeviceCounters& old = found == before.devices.end() ? kNone : found->second;
      DeviceRates device = Device(old, counters);
      all += counters.read.Since(old.read);
      all += counters.write.Since(old.write);
      if (!device.Idle()) rates.devices.emplace(id, device);
    }
    rates.device_p99 = all.Quantile(0.99);
  }

  const double seconds_;
};

std::unordered_map<std::string, const PodSample*> ByUid(const Sample& sample) {
  std::unordered_map<std::string, const PodSample*> pods;
  for (const PodSample& pod : sample.pods) pods[pod.uid] = &pod;
  return pods;
}

const Usage kUnused;

}  // namespace

double Seconds(const Sample& before, const Sample& now) {
  return std::max(1e-9, std::chrono::duration<double>(now.end - before.end).count());
}

std::vector<Row> PodRows(const Sample& before, const Sample& now) {
  const Difference difference(before, now);
  const auto earlier = ByUid(before);
  std::vector<Row> rows;
  for (const PodSample& pod : now.pods) {
    const auto found = earlier.find(pod.uid);
    const Usage& old = found == earlier.end() ? kUnused : found->second->usage;
    const bool watched = pod.watched && found != earlier.end() && found->second->watched;
    rows.push_back({pod.uid, "", pod.final, watched, difference.Of(old, pod.usage), &pod.usage});
  }
  return rows;
}

std::vector<Row> ContainerRows(const Sample& before, const Sample& now) {
  const Difference difference(before, now);
  struct Earlier {
    const Usage* usage;
    bool watched;
  };
  std::map<std::pair<std::string, std::string>, Earlier> earlier;
  for (const PodSample& pod : before.pods) {
    for (const ContainerSample& container : pod.containers) {
      earlier[{pod.uid, container.id}] = {&container.usage, pod.watched};
    }
  }
  std::vector<Row> rows;
  for (const PodSample& pod : now.pods) {
    for (const ContainerSample& container : pod.containers) {
      const auto found = earlier.find({pod.uid, container.id});
      const bool is_new = found == earlier.end();
      const Usage& old = is_new ? kUnused : *found->second.usage;
      rows.push_back({pod.uid, container.id, pod.final,
                      pod.watched && (is_new || found->second.watched),
                      difference.Of(old, container.usage), &container.usage});
    }
  }
  return rows;
}

NodeRates NodeRow(const Sample& before, const Sample& now) {
  const Difference difference(before, now);
  const NodeUsage& old = before.node;
  const NodeUsage& node = now.node;
  NodeRates rates;
  rates.pods = difference.OfCounters(old.pods, node.pods);
  rates.system_cores = difference.Cores(old.system_cpu_ns, node.system_cpu_ns);
  rates.idle_cores = difference.Cores(old.idle_cpu_ns, node.idle_cpu_ns);
  rates.interrupt_cores = difference.Cores(old.interrupt_cpu_ns, node.interrupt_cpu_ns);
  rates.steal_cores = difference.Cores(old.steal_cpu_ns, node.steal_cpu_ns);
  rates.capacity_cores = static_cast<double>(node.cpu_capacity_milli) / 1000;
  rates.refaults = difference.PerSecond(old.refaults, node.refaults);
  rates.pressure = difference.Shares(old.pressure, node.pressure);
  for (const auto& [id, device] : node.devices) {
    const auto found = old.devices.find(id);
    const DeviceCounters none;
    const DeviceCounters& counters = found == old.devices.end() ? none : found->second.counters;
    rates.devices.push_back({id, device.name, device.stacked,
                             difference.Device(counters, device.counters), device.in_flight});
  }
  for (const NetworkInterface& nic : node.interfaces) {
    const auto found = std::find_if(old.interfaces.begin(), old.interfaces.end(),
                                    [&](const auto& other) { return other.name == nic.name; });
    // One that wasn't there counts from when it is first seen: its counters are the machine's.
    const NetworkInterface& earlier = found == old.interfaces.end() ? nic : *found;
    rates.interfaces.push_back(
        {nic.name, difference.PerSecond(earlier.receive_bytes, nic.receive_bytes),
         difference.PerSecond(earlier.send_bytes, nic.send_bytes),
         difference.PerSecond(earlier.drops, nic.drops), nic.speed_bits_per_second});
  }
  return rates;
}

std::vector<const Row*> SharersOf(const Row& pod, const DeviceId& device,
                                  const std::vector<Row>& pods) {
  std::vector<std::pair<double, const Row*>> sharers;
  for (const Row& other : pods) {
    const auto found = other.rates.devices.find(device);
    if (other.uid == pod.uid || found == other.rates.devices.end()) continue;
    sharers.emplace_back(found->second.read_bytes + found->second.write_bytes, &other);
  }
  std::sort(sharers.begin(), sharers.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second->uid < b.second->uid;
  });
  std::vector<const Row*> rows;
  for (const auto& [bytes, row] : sharers) rows.push_back(row);
  return rows;
}

std::vector<PreemptionRates> PreemptionsOf(const std::string& victim, const Sample& before,
                                           const Sample& now) {
  const Difference difference(before, now);
  std::vector<PreemptionRates> out;
  for (const Preemption& pair : now.preemptions) {
    if (pair.victim != victim) continue;
    const auto found =
        std::find_if(before.preemptions.begin(), before.preemptions.end(), [&](const auto& other) {
          return other.victim == pair.victim && other.offender == pair.offender;
        });
    const Preemption none;
    const Preemption& old = found == before.preemptions.end() ? none : *found;
    PreemptionRates rates{pair.victim, pair.offender, difference.PerSecond(old.count, pair.count),
                          difference.Cores(old.offender_ns, pair.offender_ns)};
    if (rates.per_second > 0) out.push_back(std::move(rates));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::tie(b.offender_cores, a.offender) < std::tie(a.offender_cores, b.offender);
  });
  return out;
}

}  // namespace longshore::nodeagent::top

// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/usage_metrics.h"

#include <algorithm>
#include <span>
#include <utility>

#include "nodeagent/exposition.h"

namespace longshore::nodeagent {
namespace {

constexpr size_t kMaxDevices = 16, kMaxInterfaces = 16;

struct LostReason {
  const char* name;
  uint64_t LostUpdates::* field;
};

double Seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

void AddPressure(Exposition& out, const NodeUsage& node) {
  if (!node.pressure) return;
  const Pressure& p = *node.pressure;
  out.Family("pressure_seconds_total", "counter", "Time that some, or all, tasks stalled");
  const auto add = [&](const char* resource, uint64_t some_us, uint64_t full_us) {
    out.Value({{"resource", resource}, {"kind", "some"}}, static_cast<double>(some_us) / 1e6);
    out.Value({{"resource", resource}, {"kind", "full"}}, static_cast<double>(full_us) / 1e6);
  };
  add("cpu", p.cpu_some_us, p.cpu_full_us);
  add("io", p.io_some_us, p.io_full_us);
  add("memory", p.memory_some_us, p.memory_full_us);
}

void AddNode(Exposition& out, const NodeUsage& node) {
  const auto one = [&](const char* name, const char* type, const char* help, double value) {
    out.Family(name, type, help);
    out.Value({}, value);
  };
  one("pods_cpu_seconds_total", "counter", "CPU time of all pods", Seconds(node.cpu_ns));
  one("idle_cpu_seconds_total", "counter", "Idle CPU time of the machine",
      Seconds(node.idle_cpu_ns));
  one("memory_available_bytes", "gauge", "Of the machine",
      static_cast<double>(node.memory_available_bytes));
  one("refaults_total", "counter", "Pages read again soon after they were dropped",
      static_cast<double>(node.refaults));
  AddPressure(out, node);
}

using Device = std::pair<DeviceId, const NodeDevice*>;

// The busiest, so that a node of many volumes stays within the bound.
std::vector<Device> BusiestDevices(const NodeUsage& node) {
  std::vector<Device> devices;
  for (const auto& [id, device] : node.devices) devices.emplace_back(id, &device);
  std::sort(devices.begin(), devices.end(), [](const Device& a, const Device& b) {
    const auto ops = [](const Device& d) {
      return d.second->counters.read_ops + d.second->counters.write_ops;
    };
    return ops(a) != ops(b) ? ops(a) > ops(b) : a.first < b.first;
  });
  if (devices.size() > kMaxDevices) devices.resize(kMaxDevices);
  return devices;
}

void AddDevices(Exposition& out, const NodeUsage& node) {
  const std::vector<Device> devices = BusiestDevices(node);
  const auto label = [](const Device& d) {
    const bool named = !d.second->name.empty();
    return Exposition::Labels{{"device", named ? d.second->name : d.first.ToString()},
                              {"stacked", d.second->stacked ? "true" : "false"}};
  };
  const auto family = [&](const char* name, const char* help, uint64_t DeviceCounters::* field) {
    out.Family(name, "counter", help);
    for (const Device& d : devices) {
      out.Value(label(d), static_cast<double>(d.second->counters.*field));
    }
  };
  family("device_read_bytes_total", "All I/O of the device", &DeviceCounters::read_bytes);
  family("device_write_bytes_total", "All I/O of the device", &DeviceCounters::write_bytes);
  family("device_read_operations_total", "All I/O of the device", &DeviceCounters::read_ops);
  family("device_write_operations_total", "All I/O of the device", &DeviceCounters::write_ops);
  out.Family("device_latency_seconds", "histogram", "From issued to completed");
  for (const Device& d : devices) {
    Histogram all = d.second->counters.read;
    all += d.second->counters.write;
    all += d.second->counters.flush;
    out.Distribution(label(d), all, Seconds(d.second->counters.device_ns));
  }
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
    out.Value({{"program", std::string(cost.program)}}, static_cast<double>(cost.runs));
  }
  out.Family("program_seconds_total", "counter", "Time in each, from a sample of its runs");
  for (const ProgramCost& cost : costs) {
    const double mean = cost.sampled_runs == 0
                            ? 0
                            : Seconds(cost.sampled_ns) / static_cast<double>(cost.sampled_runs);
    out.Value({{"program", std::string(cost.program)}}, mean * static_cast<double>(cost.runs));
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

struct UsageMetrics::PodCounter {
  const char* name;
  const char* help;
  double scale;
  uint64_t (*value)(const Usage& usage);
};

#define LS_COUNTER(member) [](const Usage& usage) { return usage.member; }
const std::array<UsageMetrics::PodCounter, UsageMetrics::kCounters> UsageMetrics::kPodCounters = {{
    {"pod_cpu_seconds_total", "CPU time", 1e9, LS_COUNTER(counters.cpu_ns)},
    {"pod_run_queue_wait_seconds_total", "Runnable without a CPU", 1e9,
     LS_COUNTER(counters.run_queue_wait_ns)},
    {"pod_throttled_seconds_total", "Held back by its own CPU quota", 1e9,
     LS_COUNTER(throttled_ns)},
    {"pod_block_read_bytes_total", "Block I/O charged to it", 1, LS_COUNTER(counters.read_bytes)},
    {"pod_block_write_bytes_total", "Block I/O charged to it", 1, LS_COUNTER(counters.write_bytes)},
    {"pod_file_read_bytes_total", "Read, cache hits and pipes too", 1,
     LS_COUNTER(counters.file_read_bytes)},
    {"pod_file_write_bytes_total", "Written, pipes too", 1, LS_COUNTER(counters.file_write_bytes)},
    {"pod_dirtied_bytes_total", "Written into the page cache, or directly", 1,
     LS_COUNTER(counters.dirtied_bytes)},
    {"pod_cancelled_bytes_total", "Deleted before it was written back", 1,
     LS_COUNTER(counters.cancelled_bytes)},
    {"pod_fsyncs_total", "Calls of fsync and its like", 1, LS_COUNTER(counters.fsyncs)},
    {"pod_fsync_seconds_total", "Time in them", 1e9, LS_COUNTER(counters.fsync_ns)},
    {"pod_reclaim_stall_seconds_total", "Time in direct reclaim", 1e9,
     LS_COUNTER(counters.reclaim_stall_ns)},
    {"pod_network_receive_bytes_total", "Received", 1, LS_COUNTER(counters.network_receive_bytes)},
    {"pod_network_send_bytes_total", "Sent", 1, LS_COUNTER(counters.network_send_bytes)},
    {"pod_oom_kills_total", "Processes that the kernel killed for memory", 1,
     LS_COUNTER(oom_kills)},
}};
#undef LS_COUNTER

UsageMetrics::Values UsageMetrics::Read(const Usage& usage) {
  Values values;
  for (size_t i = 0; i < kCounters; ++i) values[i] = kPodCounters[i].value(usage);
  return values;
}

void UsageMetrics::AddToOthers(Tracked& pod, const Usage& usage) {
  const Values now = Read(usage);
  for (size_t i = 0; i < kCounters; ++i) others_[i] += now[i] - std::min(now[i], pod.told[i]);
  pod.told = now;
}

// Both samples are in the order of their UIDs.
void UsageMetrics::Follow(const Sample& now) {
  std::vector<Tracked> tracked;
  tracked.reserve(now.pods.size());
  size_t before = 0;
  const auto gone_until = [&](auto stays) LS_REQUIRES(mutex_) {
    for (; before < tracked_.size() && !stays(sample_->pods[before]); ++before) {
      AddToOthers(tracked_[before], sample_->pods[before].usage);
    }
  };
  for (const PodSample& pod : now.pods) {
    gone_until([&](const PodSample& old) { return old.uid >= pod.uid; });
    const bool known = before < tracked_.size() && sample_->pods[before].uid == pod.uid;
    tracked.push_back(known ? tracked_[before++] : Tracked{});
    // What was used before the first sample belongs to no interval.
    if (sample_ == nullptr) tracked.back().told = Read(pod.usage);
  }
  gone_until([](const PodSample&) { return false; });
  tracked_ = std::move(tracked);
}

void UsageMetrics::Choose(const Sample& now) {
  for (size_t i = 0; i < tracked_.size(); ++i) tracked_[i].shown &= !now.pods[i].final;
  if (chosen_ == MonotonicTime{} || now.end - chosen_ >= kChooseAgain) return ChooseAgain(now);
  auto room = max_pods_ - static_cast<size_t>(std::ranges::count(tracked_, true, &Tracked::shown));
  for (size_t i = 0; i < tracked_.size() && room > 0; ++i) {
    if (tracked_[i].shown || now.pods[i].final) continue;
    tracked_[i].shown = true;
    --room;
  }
}

void UsageMetrics::ChooseAgain(const Sample& now) {
  std::vector<std::pair<uint64_t, size_t>> busy;  // CPU time since the last choice
  for (size_t i = 0; i < tracked_.size(); ++i) {
    const uint64_t cpu = now.pods[i].usage.counters.cpu_ns;
    const uint64_t then = std::exchange(tracked_[i].cpu_when_chosen, cpu);
    tracked_[i].shown = false;
    if (!now.pods[i].final) busy.emplace_back(cpu - std::min(cpu, then), i);
  }
  std::sort(busy.begin(), busy.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  if (busy.size() > max_pods_) busy.resize(max_pods_);
  for (const auto& [cpu, i] : busy) tracked_[i].shown = true;
  chosen_ = now.end;
}

void UsageMetrics::Update(std::shared_ptr<const Sample> sample, std::vector<ProgramCost> costs) {
  MutexLock lock(mutex_);
  Follow(*sample);
  Choose(*sample);
  for (size_t i = 0; i < tracked_.size(); ++i) {
    if (!tracked_[i].shown) AddToOthers(tracked_[i], sample->pods[i].usage);
  }
  sample_ = std::move(sample);
  costs_ = std::move(costs);
}

void UsageMetrics::AddPods(Exposition& out) const {
  const auto each = [&](auto value, double others) LS_REQUIRES(mutex_) {
    for (size_t i = 0; i < tracked_.size(); ++i) {
      const PodSample& pod = sample_->pods[i];
      if (tracked_[i].shown) out.Value({{"pod_uid", pod.uid}}, value(pod.usage));
    }
    out.Value({{"pod_uid", "other"}}, others);
  };
  for (size_t i = 0; i < kCounters; ++i) {
    const PodCounter& counter = kPodCounters[i];
    out.Family(counter.name, "counter", counter.help);
    each([&](const Usage& u) { return static_cast<double>(counter.value(u)) / counter.scale; },
         static_cast<double>(others_[i]) / counter.scale);
  }
  uint64_t others_memory = 0;
  for (size_t i = 0; i < tracked_.size(); ++i) {
    if (!tracked_[i].shown) others_memory += sample_->pods[i].usage.memory.working_set_bytes;
  }
  out.Family("pod_memory_working_set_bytes", "gauge", "What cannot be reclaimed");
  each([](const Usage& u) { return static_cast<double>(u.memory.working_set_bytes); },
       static_cast<double>(others_memory));
}

std::string UsageMetrics::Text() {
  MutexLock lock(mutex_);
  if (sample_ == nullptr) return "";
  Exposition out;
  AddPods(out);
  for (size_t i = 0; i < tracked_.size(); ++i) {
    if (tracked_[i].shown) tracked_[i].told = Read(sample_->pods[i].usage);
  }
  AddNode(out, sample_->node);
  AddDevices(out, sample_->node);
  AddInterfaces(out, sample_->node);
  AddLost(out, *sample_);
  AddCosts(out, costs_);
  AddAudit(out, sample_->audit);
  return out.Take();
}

}  // namespace longshore::nodeagent

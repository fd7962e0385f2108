// SPDX-License-Identifier: Apache-2.0
#include "controller/usage_store.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>

namespace longshore::controller {
namespace {

constexpr std::chrono::minutes kForgetNode{10};

// By the names that agents give to what they cannot measure (docs/nodeagent.md). Pressure is absent
// from a pod where it is not counted.
constexpr std::pair<std::string_view, Signal> kDegraded[] = {
    {"memory", Signal::kMemory},        {"block-io", Signal::kReadBytes},
    {"block-io", Signal::kWriteBytes},  {"block-io", Signal::kIoOperations},
    {"block-io", Signal::kIoLatency},   {"block-latency", Signal::kIoLatency},
    {"network", Signal::kNetworkBytes}, {"throttling", Signal::kCpuThrottling},
};

uint64_t Sum(const messages::LatencyHistogram& histogram) {
  return std::accumulate(histogram.buckets().begin(), histogram.buckets().end(), uint64_t{0});
}

}  // namespace

scaling::SignalSet UnknownSignals(const messages::AgentHello& hello) {
  scaling::SignalSet unknown;
  for (const std::string& degraded : hello.degraded()) {
    for (const auto& [name, signal] : kDegraded) {
      if (name == degraded) unknown.set(static_cast<size_t>(signal));
    }
  }
  return unknown;
}

UsageStore::Counters UsageStore::Read(const messages::Usage& usage) {
  Counters counters;
  counters.cpu_ns = usage.cpu_ns();
  counters.read_bytes = usage.read_bytes();
  counters.write_bytes = usage.write_bytes();
  counters.io_operations = usage.read_ops() + usage.write_ops();
  counters.network_bytes = usage.network_receive_bytes() + usage.network_send_bytes();
  counters.throttled_ns = usage.throttled_ns();
  for (const messages::DeviceCounters& device : usage.devices()) {
    counters.io_done += Sum(device.read()) + Sum(device.write()) + Sum(device.flush());
    counters.io_ns += device.queue_ns() + device.device_ns();
  }
  counters.has_pressure = usage.has_pressure();
  counters.cpu_some_us = usage.pressure().cpu_some_us();
  counters.io_some_us = usage.pressure().io_some_us();
  counters.memory_some_us = usage.pressure().memory_some_us();
  counters.working_set_bytes = usage.memory().working_set_bytes();
  return counters;
}

bool UsageStore::BeganAnew(const Counters& before, const Counters& now) {
  return now.cpu_ns < before.cpu_ns || now.read_bytes < before.read_bytes ||
         now.write_bytes < before.write_bytes || now.io_operations < before.io_operations ||
         now.network_bytes < before.network_bytes || now.throttled_ns < before.throttled_ns;
}

// The rates of an interval. What went backwards by itself stays unknown: a device that was removed
// takes its counts along.
void UsageStore::Fill(Sample& sample, const Counters& before, const Counters& now,
                      const scaling::SignalSet& unknown) {
  const double seconds = std::chrono::duration<double>(sample.length).count();
  const auto set = [&](Signal signal, double value) {
    if (!unknown.test(static_cast<size_t>(signal))) sample.set(signal, value);
  };
  const auto rate = [&](Signal signal, uint64_t from, uint64_t to, double unit,
                        double most = std::numeric_limits<double>::infinity()) {
    if (to >= from) set(signal, std::min(most, static_cast<double>(to - from) / seconds / unit));
  };
  rate(Signal::kCpu, before.cpu_ns, now.cpu_ns, 1e6);
  rate(Signal::kReadBytes, before.read_bytes, now.read_bytes, 1);
  rate(Signal::kWriteBytes, before.write_bytes, now.write_bytes, 1);
  rate(Signal::kIoOperations, before.io_operations, now.io_operations, 1);
  rate(Signal::kNetworkBytes, before.network_bytes, now.network_bytes, 1);
  rate(Signal::kCpuThrottling, before.throttled_ns, now.throttled_ns, 1e7);
  set(Signal::kMemory, static_cast<double>(now.working_set_bytes));
  if (now.io_done >= before.io_done && now.io_ns >= before.io_ns) {
    const uint64_t done = now.io_done - before.io_done;
    const auto took = static_cast<double>(now.io_ns - before.io_ns) / 1e6;
    set(Signal::kIoLatency, done == 0 ? 0 : took / static_cast<double>(done));
  }
  if (!before.has_pressure || !now.has_pressure) return;
  // More than all of the time was read late.
  rate(Signal::kCpuPressure, before.cpu_some_us, now.cpu_some_us, 1e4, 100);
  rate(Signal::kIoPressure, before.io_some_us, now.io_some_us, 1e4, 100);
  rate(Signal::kMemoryPressure, before.memory_some_us, now.memory_some_us, 1e4, 100);
}

UsageStore::UsageStore(const Clock& clock, std::chrono::seconds kept)
    : clock_(clock), kept_(kept) {}

UsageStore::Pod& UsageStore::PodOf(const std::string& uid) {
  const auto [found, made] = pods_.try_emplace(uid);
  if (made) found->second.kept = kept_;
  return found->second;
}

const Sample* UsageStore::AddPod(const Taken& taken, const std::string& uid, Pod& pod,
                                 const Counters& now) {
  if (pod.node != taken.from.node) {
    if (const auto old = nodes_.find(pod.node); old != nodes_.end()) old->second.pods.erase(uid);
    pod.node = taken.from.node;
    pod.last.reset();
  }
  const std::optional<Counters> before = std::exchange(pod.last, now);
  if (!before) taken.node.pods.insert(uid);
  pod.heard = clock_.Monotonic();
  if (taken.verdict != ReportOrder::Verdict::kFollows || !before) return nullptr;
  if (BeganAnew(*before, now)) return nullptr;
  Sample sample;
  sample.received = taken.node.order.made();
  sample.end = taken.end;
  sample.length = taken.node.order.length();
  Fill(sample, *before, now, taken.from.unknown);
  pod.samples.push_back(sample);
  while (pod.samples.front().received + pod.kept < pod.heard && pod.samples.size() > 1) {
    pod.samples.pop_front();
  }
  return &pod.samples.back();
}

// The pod's next report is a beginning: what it last had says nothing any more.
void UsageStore::Forget(Node& node, const std::string& uid) {
  if (const auto pod = pods_.find(uid); pod != pods_.end()) pod->second.last.reset();
  node.pods.erase(uid);
}

void UsageStore::AddAbsent(const Taken& taken, bool complete, std::vector<PodSample>& sampled) {
  for (auto each = taken.node.pods.begin(); each != taken.node.pods.end();) {
    const std::string& uid = *each++;  // Forget takes it out
    const auto pod = pods_.find(uid);
    if (pod != pods_.end() && pod->second.report == reports_) continue;
    if (complete || pod == pods_.end() || !pod->second.last) {
      Forget(taken.node, uid);
    } else if (const Sample* made = AddPod(taken, uid, pod->second, Counters(*pod->second.last))) {
      sampled.push_back({uid, *made});
    }
  }
}

std::vector<PodSample> UsageStore::Add(const AgentStream& from,
                                       const messages::UsageReport& report) {
  MutexLock lock(mutex_);
  Node& node = nodes_[from.node];
  node.heard = clock_.Monotonic();
  const auto verdict = node.order.Take(from, report, node.heard);
  if (verdict == ReportOrder::Verdict::kStale) return {};
  if (verdict == ReportOrder::Verdict::kBegin) {
    for (const std::string& uid : std::set<std::string>(node.pods)) Forget(node, uid);
  }
  const Taken taken{from, verdict, node,
                    WallTime(std::chrono::duration_cast<WallTime::duration>(
                        std::chrono::nanoseconds(report.wall_end_ns())))};
  ++reports_;
  std::vector<PodSample> sampled;
  size_t present = 0;
  for (const messages::PodCounters& counters : report.pods()) {
    const std::string& uid = counters.pod_uid();
    if (uid.empty()) continue;
    Pod& pod = PodOf(uid);
    if (std::exchange(pod.report, reports_) == reports_) continue;
    if (const Sample* made = AddPod(taken, uid, pod, Read(counters.usage()))) {
      sampled.push_back({uid, *made});
    }
    if (counters.final()) {
      Forget(node, uid);
    } else {
      ++present;
    }
  }
  if (node.pods.size() > present) AddAbsent(taken, report.complete(), sampled);
  return sampled;
}

std::vector<Sample> UsageStore::Last(const std::string& pod_uid,
                                     std::chrono::nanoseconds span) const {
  const MonotonicTime since = clock_.Monotonic() - span;
  MutexLock lock(mutex_);
  const auto found = pods_.find(pod_uid);
  if (found == pods_.end()) return {};
  const auto& samples = found->second.samples;
  const auto first = std::find_if(samples.begin(), samples.end(),
                                  [&](const Sample& s) { return s.received >= since; });
  return {first, samples.end()};
}

std::vector<Sample> UsageStore::Newest(const std::string& pod_uid, size_t limit) const {
  MutexLock lock(mutex_);
  const auto found = pods_.find(pod_uid);
  if (found == pods_.end()) return {};
  const auto& samples = found->second.samples;
  const auto count = static_cast<std::ptrdiff_t>(std::min(limit, samples.size()));
  return {samples.end() - count, samples.end()};
}

void UsageStore::Keep(const std::string& pod_uid, std::chrono::seconds span) {
  MutexLock lock(mutex_);
  const auto found = pods_.find(pod_uid);
  if (found != pods_.end()) found->second.kept = std::max(kept_, span);
}

void UsageStore::Sweep() {
  MutexLock lock(mutex_);
  const MonotonicTime now = clock_.Monotonic();
  std::erase_if(pods_, [&](const auto& e) { return now - e.second.heard > 2 * e.second.kept; });
  std::erase_if(nodes_, [&](const auto& e) { return now - e.second.heard > kForgetNode; });
}

size_t UsageStore::pods() const {
  MutexLock lock(mutex_);
  return pods_.size();
}

}  // namespace longshore::controller

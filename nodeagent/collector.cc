// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/collector.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace longshore::nodeagent {
namespace {

// Between two flushes for tasks that were moved. Until then their time counts where they were.
constexpr std::chrono::milliseconds kFlushesApart{5};

}  // namespace

Collector::Collector(CollectorOptions options, CgroupLayout layout, KernelCounters& kernel,
                     const Clock& clock)
    : options_(std::move(options)),
      kernel_(kernel),
      clock_(clock),
      tree_(std::move(layout), kernel, options_.tombstone),
      gauges_(tree_.layout()),
      node_files_(options_.proc, tree_.layout().pressure_directory),
      interfaces_(options_.host_sysfs),
      devices_(options_.sysfs),
      audit_([this](const std::string& path) { return KernelTotals(path); }) {}

Status Collector::Start() {
  last_walk_ = last_take_ = clock_.Monotonic();
  return tree_.Walk(last_walk_);
}

void Collector::HandleEvents() {
  events_.clear();
  kernel_.DrainEvents(events_);
  const MonotonicTime now = clock_.Monotonic();
  for (const CgroupEvent& event : events_) {
    moved_ |= event.kind == CgroupEvent::Kind::kTaskMoved;
    tree_.Apply(event, now);
  }
}

MonotonicTime Collector::NextFlush() const {
  return moved_ ? last_flush_ + kFlushesApart : MonotonicTime::max();
}

// A task that runs while it is moved would be counted where it was until it leaves the CPU.
void Collector::Flush() {
  kernel_.Flush();
  last_flush_ = clock_.Monotonic();
  moved_ = false;
}

void Collector::WaitUntil(MonotonicTime deadline) {
  for (bool more = true; more;) {
    const MonotonicTime until = std::min(deadline, NextFlush());
    const bool events = kernel_.WaitUntil(until);
    if (events) HandleEvents();
    more = events || (until < deadline && clock_.Monotonic() >= until);
    if (clock_.Monotonic() >= NextFlush()) Flush();
  }
}

void Collector::WalkWhenDue(MonotonicTime now) {
  const uint64_t lost = kernel_.Lost().events;
  if (lost == events_lost_ && now - last_walk_ < options_.walk_interval) return;
  events_lost_ = lost;
  last_walk_ = now;
  const Status walked = tree_.Walk(now);
  if (!walked.has_value() && !walk_failed_) {
    LogWarn("cannot walk the cgroups; pods that exist are still counted",
            {{"error", walked.error().message}});
  }
  walk_failed_ = !walked.has_value();
}

void Collector::BeginAuditWhenDue(MonotonicTime now) {
  if (!taken_ || !audit_.Due(now)) return;
  if (const auto pods = tree_.Paths(); !pods.empty()) audit_.Before(pods);
}

void Collector::Watch(std::vector<std::string> pod_uids) {
  MutexLock lock(mutex_);
  watch_next_ = std::move(pod_uids);
}

void Collector::TakeWatched() {
  std::optional<std::vector<std::string>> next;
  {
    MutexLock lock(mutex_);
    next = std::exchange(watch_next_, std::nullopt);
  }
  if (!next) return;
  watched_ = {next->begin(), next->end()};
  tree_.Watch(watched_);
}

std::vector<std::string> Collector::MissingGauges() {
  std::vector<std::string> missing;
  if (tree_.layout().memory.directory.empty()) missing.push_back("memory");
  if (tree_.layout().quota.directory.empty()) missing.push_back("throttling");
  if (!ReadPressure(tree_.layout().pressure_directory, options_.proc)) {
    missing.push_back("pressure");
  }
  if (interfaces_.Read(clock_.Monotonic()).empty()) missing.push_back("interfaces");
  return missing;
}

std::optional<SelfAudit::Totals> Collector::KernelTotals(const std::string& relative_path) const {
  const CgroupLayout& layout = tree_.layout();
  SelfAudit::Totals totals;
  totals.cpu_ns = ReadCpuTotalNs(layout.cpu.directory + relative_path, layout.cpu.v2);
  if (totals.cpu_ns == 0) return std::nullopt;
  // v1's blkio counts only where a limit was set, since 6.10.
  if (layout.io.v2 && !layout.io.directory.empty()) {
    const Counters io = ReadIoTotals(layout.io.directory + relative_path, true);
    totals.io_bytes = io.read_bytes + io.write_bytes;
  }
  return totals;
}

std::vector<PodSample> Collector::TakePods(MonotonicTime now) {
  std::vector<PodSample> pods;
  for (PodTotals& totals : tree_.Totals()) {
    PodSample pod;
    pod.uid = std::move(totals.uid);
    pod.relative_path = std::move(totals.totals.relative_path);
    pod.final = totals.final;
    pod.watched = watched_.contains(pod.uid);
    pod.usage.counters = totals.totals.counters;
    pod.usage.devices = std::move(totals.totals.devices);
    for (ContainerTotals& inside : totals.containers) {
      ContainerSample container;
      container.id = std::move(inside.id);
      container.relative_path = std::move(inside.totals.relative_path);
      container.usage.counters = inside.totals.counters;
      container.usage.devices = std::move(inside.totals.devices);
      pod.containers.push_back(std::move(container));
    }
    pods.push_back(std::move(pod));
  }
  if (auto audit = audit_.After(pods, now, clock_.Now())) last_audit_ = std::move(audit);
  gauges_.Fill(pods, now);
  return pods;
}

NodeUsage Collector::TakeNode(MonotonicTime now) {
  NodeUsage node;
  node.pods = tree_.sum();
  node.pods_throttled_ns = gauges_.throttled_ns();
  node.system_cpu_ns = kernel_.ReadSystemCpuNs();
  node.cpu_capacity_milli =
      static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))) * 1000;
  node_files_.Read(node);
  for (const auto& [id, counters] : tree_.NodeDevices()) {
    const BlockDevice& device = devices_.Get(id, now);
    node.devices[id] = {counters, device.name, device.stacked, devices_.InFlight(id)};
  }
  node.interfaces = interfaces_.Read(now);
  return node;
}

Sample Collector::Take() {
  HandleEvents();
  TakeWatched();
  WalkWhenDue(clock_.Monotonic());
  BeginAuditWhenDue(clock_.Monotonic());
  Flush();
  Sample sample;
  sample.start = last_take_;
  sample.end = last_take_ = clock_.Monotonic();
  sample.wall_end = clock_.Now();
  tree_.Expire(sample.end);
  sample.pods = TakePods(sample.end);
  sample.node = TakeNode(sample.end);
  sample.preemptions = tree_.Preemptions();
  sample.lost = kernel_.Lost();
  sample.uncounted_cgroups = tree_.uncounted();
  sample.unknown_pods = tree_.unknown_pods();
  sample.audit = last_audit_;
  taken_ = true;
  return sample;
}

}  // namespace longshore::nodeagent

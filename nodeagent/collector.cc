// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/collector.h"

#include <unistd.h>

#include <algorithm>

#include "common/base/log.h"

namespace longshore::nodeagent {

Collector::Collector(CollectorOptions options, CgroupLayout layout, KernelCounters& kernel,
                     const Clock& clock)
    : options_(std::move(options)),
      kernel_(kernel),
      clock_(clock),
      tree_(std::move(layout), kernel, options_.tombstone) {}

Status Collector::Start() {
  last_walk_ = last_take_ = clock_.Monotonic();
  return tree_.Walk(last_walk_);
}

void Collector::HandleEvents() {
  events_.clear();
  kernel_.DrainEvents(events_);
  const MonotonicTime now = clock_.Monotonic();
  bool moved = false;
  for (const CgroupEvent& event : events_) {
    moved |= event.kind == CgroupEvent::Kind::kTaskMoved;
    tree_.Apply(event, now);
  }
  // A task that runs while it is moved would be counted where it was until it leaves the CPU.
  if (moved) kernel_.Flush();
}

void Collector::WaitUntil(MonotonicTime deadline) {
  while (kernel_.WaitUntil(deadline)) HandleEvents();
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

MemoryGauges Collector::ReadMemory(const PodTotals& pod) {
  const CgroupPlace& place = tree_.layout().memory;
  if (place.directory.empty()) return {};
  auto found = memory_files_.find(pod.uid);
  if (found == memory_files_.end()) {
    const std::string directory = place.directory + pod.totals.relative_path;
    found = memory_files_.try_emplace(pod.uid, directory, place.v2).first;
  }
  return found->second.Read().value_or(MemoryGauges{});
}

Sample Collector::Take() {
  HandleEvents();
  WalkWhenDue(clock_.Monotonic());
  kernel_.Flush();
  Sample sample;
  sample.start = last_take_;
  sample.end = last_take_ = clock_.Monotonic();
  sample.wall_end = clock_.Now();
  tree_.Expire(sample.end);
  for (const PodTotals& totals : tree_.Totals()) {
    PodSample pod{
        .uid = totals.uid, .relative_path = totals.totals.relative_path, .final = totals.final};
    if (totals.final) {
      memory_files_.erase(totals.uid);
    } else {
      pod.usage.memory = ReadMemory(totals);
    }
    pod.usage.counters = totals.totals.counters;
    sample.pods.push_back(std::move(pod));
  }
  NodeUsage& node = sample.node;
  node.cpu_ns = tree_.node_cpu_ns();
  node.cpu_capacity_milli =
      static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))) * 1000;
  if (auto memory = ReadNodeMemory(options_.proc); memory.has_value()) {
    node.memory_available_bytes = memory->available_bytes;
    node.memory_capacity_bytes = memory->capacity_bytes;
  }
  node.pressure = ReadPressure(tree_.layout().pressure_directory, options_.proc);
  sample.lost = kernel_.Lost();
  sample.uncounted_cgroups = tree_.uncounted();
  return sample;
}

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/usage_metrics.h"

#include <algorithm>
#include <utility>

#include "nodeagent/exposition.h"
#include "nodeagent/node_metrics.h"

namespace longshore::nodeagent {
namespace {

struct MemoryFamily {
  const char* name;
  const char* help;
  uint64_t MemoryGauges::* bytes;
};
constexpr MemoryFamily kMemoryFamilies[] = {
    {"pod_memory_working_set_bytes", "What cannot be reclaimed", &MemoryGauges::working_set_bytes},
    {"pod_memory_kubelet_working_set_bytes", "What evictions go by: usage less inactive file",
     &MemoryGauges::kubelet_working_set_bytes},
    {"pod_memory_anonymous_bytes", "Anonymous memory", &MemoryGauges::anon_bytes},
    {"pod_memory_file_bytes", "Page cache and shmem", &MemoryGauges::file_bytes},
};

}  // namespace

// Of each pod as `pod_…`; what the kernel side counts, also of all of them as `pods_…`.
struct UsageMetrics::PodCounter {
  const char* name;
  const char* help;
  double scale;
  uint64_t Counters::* counted;
  uint64_t Usage::* told = nullptr;  // by files; used where `counted` is none

  uint64_t Of(const Usage& usage) const {
    return counted != nullptr ? usage.counters.*counted : usage.*told;
  }
};

const std::array<UsageMetrics::PodCounter, UsageMetrics::kCounters> UsageMetrics::kPodCounters = {{
    {"cpu_seconds_total", "CPU time", 1e9, &Counters::cpu_ns},
    {"run_queue_wait_seconds_total", "Runnable without a CPU, held back by a CPU quota included",
     1e9, &Counters::run_queue_wait_ns},
    {"throttled_seconds_total", "Held back by a CPU quota", 1e9, nullptr, &Usage::throttled_ns},
    {"block_read_bytes_total", "Block I/O charged to it", 1, &Counters::read_bytes},
    {"block_write_bytes_total", "Block I/O charged to it", 1, &Counters::write_bytes},
    {"file_read_bytes_total", "Read, cache hits and pipes too", 1, &Counters::file_read_bytes},
    {"file_write_bytes_total", "Written, pipes too", 1, &Counters::file_write_bytes},
    {"dirtied_bytes_total", "Written into the page cache, or directly", 1,
     &Counters::dirtied_bytes},
    {"cancelled_bytes_total", "Deleted before it was written back", 1, &Counters::cancelled_bytes},
    {"fsyncs_total", "Calls of fsync and its like", 1, &Counters::fsyncs},
    {"fsync_seconds_total", "Time in them", 1e9, &Counters::fsync_ns},
    {"reclaim_stall_seconds_total", "Time in direct reclaim", 1e9, &Counters::reclaim_stall_ns},
    {"network_receive_bytes_total", "Received", 1, &Counters::network_receive_bytes},
    {"network_send_bytes_total", "Sent", 1, &Counters::network_send_bytes},
    {"oom_kills_total", "Processes that the kernel killed for memory", 1, nullptr,
     &Usage::oom_kills},
}};

UsageMetrics::Values UsageMetrics::Read(const Usage& usage) {
  Values values;
  for (size_t i = 0; i < kCounters; ++i) values[i] = kPodCounters[i].Of(usage);
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
  disturbances_.Follow(sample_.get(), *sample);
  Follow(*sample);
  Choose(*sample);
  for (size_t i = 0; i < tracked_.size(); ++i) {
    if (!tracked_[i].shown) AddToOthers(tracked_[i], sample->pods[i].usage);
  }
  sample_ = std::move(sample);
  costs_ = std::move(costs);
}

void UsageMetrics::AddPods(Exposition& out) const {
  for (size_t i = 0; i < kCounters; ++i) {
    const PodCounter& counter = kPodCounters[i];
    out.Family("pod_" + std::string(counter.name), "counter", counter.help);
    const auto add = [&](std::string_view uid, uint64_t value) {
      out.Value({{"pod_uid", uid}}, static_cast<double>(value) / counter.scale);
    };
    for (size_t pod = 0; pod < tracked_.size(); ++pod) {
      const PodSample& row = sample_->pods[pod];
      if (tracked_[pod].shown) add(row.uid, counter.Of(row.usage));
    }
    add("other", others_[i]);
  }
  AddMemory(out);
  AddPressure(out);
}

void UsageMetrics::AddMemory(Exposition& out) const {
  for (const MemoryFamily& family : kMemoryFamilies) {
    out.Family(family.name, "gauge", family.help);
    uint64_t others = 0;
    for (size_t i = 0; i < tracked_.size(); ++i) {
      const PodSample& pod = sample_->pods[i];
      const uint64_t bytes = pod.usage.memory.*family.bytes;
      if (tracked_[i].shown) {
        out.Value({{"pod_uid", pod.uid}}, static_cast<double>(bytes));
      } else {
        others += bytes;
      }
    }
    out.Value({{"pod_uid", "other"}}, static_cast<double>(others));
  }
}

// There are no others: shares of time don't add up.
void UsageMetrics::AddPressure(Exposition& out) const {
  bool any = false;
  for (size_t i = 0; i < tracked_.size(); ++i) {
    const PodSample& pod = sample_->pods[i];
    if (!tracked_[i].shown || !pod.usage.pressure) continue;
    if (!std::exchange(any, true)) {
      out.Family("pod_pressure_seconds_total", "counter", "Time that some, or all, tasks stalled");
    }
    for (const PressureSeries& series : kPressureSeries) {
      out.Value({{"pod_uid", pod.uid}, {"resource", series.resource}, {"kind", series.kind}},
                static_cast<double>((*pod.usage.pressure).*series.total_us) / 1e6);
    }
  }
}

void UsageMetrics::AddSums(Exposition& out) const {
  const NodeUsage& node = sample_->node;
  const auto add = [&](const PodCounter& counter, uint64_t value) {
    out.Family("pods_" + std::string(counter.name), "counter",
               "All pods of the node: " + std::string(counter.help));
    out.Value({}, static_cast<double>(value) / counter.scale);
  };
  for (const PodCounter& counter : kPodCounters) {
    if (counter.counted != nullptr) add(counter, node.pods.*counter.counted);
    // Those that were seen: a file is its pod's alone.
    if (counter.told == &Usage::oom_kills) add(counter, node.pods.oom_kills);
    if (counter.told == &Usage::throttled_ns && node.pods_throttled_ns) {
      add(counter, *node.pods_throttled_ns);
    }
  }
}

std::string UsageMetrics::Text() {
  MutexLock lock(mutex_);
  if (sample_ == nullptr) return "";
  Exposition out;
  AddPods(out);
  for (size_t i = 0; i < tracked_.size(); ++i) {
    if (tracked_[i].shown) tracked_[i].told = Read(sample_->pods[i].usage);
  }
  AddSums(out);
  disturbances_.AddTo(out, *sample_);
  AddNode(out, *sample_, costs_);
  out.Family("sample_age_seconds", "gauge", "Since the end of what these metrics are of");
  out.Value({}, std::chrono::duration<double>(clock_.Monotonic() - sample_->end).count());
  return out.Take();
}

}  // namespace longshore::nodeagent

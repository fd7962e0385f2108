// SPDX-License-Identifier: Apache-2.0
#include "controller/usage_store.h"

#include <algorithm>

#include "common/api/request.h"

namespace longshore::controller {
namespace {

constexpr const char* kNames[kSignals] = {api::kSignalCpu, api::kSignalMemory,
                                          api::kSignalReadBytes, api::kSignalWriteBytes};
// Two reports farther apart than this are not one interval: something was missed between them.
constexpr std::chrono::seconds kLongestInterval{10};

}  // namespace

std::optional<Signal> SignalByName(const std::string& name) {
  for (size_t i = 0; i < kSignals; ++i) {
    if (name == kNames[i]) return static_cast<Signal>(i);
  }
  return std::nullopt;
}

const char* SignalName(Signal signal) { return kNames[static_cast<size_t>(signal)]; }

UsageStore::UsageStore(const Clock& clock, std::chrono::seconds kept)
    : clock_(clock), kept_(kept) {}

bool UsageStore::AddPod(const std::string& node, const std::string& epoch,
                        const messages::UsageReport& report,
                        const messages::PodCounters& counters) {
  Pod& pod = pods_[counters.pod_uid()];
  const messages::Usage& usage = counters.usage();
  const Counters now{usage.cpu_ns(), usage.read_bytes(), usage.write_bytes()};
  const Counters before = pod.last;
  const std::chrono::nanoseconds length(report.interval_end_ns() - pod.interval_end_ns);
  const bool follows = pod.node == node && pod.epoch == epoch;
  if (follows && length.count() <= 0) return false;
  pod.node = node;
  pod.epoch = epoch;
  pod.interval_end_ns = report.interval_end_ns();
  pod.last = now;
  pod.heard = clock_.Monotonic();
  const bool reset = now.cpu_ns < before.cpu_ns || now.read_bytes < before.read_bytes ||
                     now.write_bytes < before.write_bytes;
  if (!follows || reset || length > kLongestInterval) return false;

  const double seconds = std::chrono::duration<double>(length).count();
  Sample sample;
  sample.received = pod.heard;
  sample.end = WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::nanoseconds(report.wall_end_ns())));
  sample.length = length;
  sample.values = {static_cast<double>(now.cpu_ns - before.cpu_ns) / seconds / 1e6,
                   static_cast<double>(usage.memory().working_set_bytes()),
                   static_cast<double>(now.read_bytes - before.read_bytes) / seconds,
                   static_cast<double>(now.write_bytes - before.write_bytes) / seconds};
  pod.samples.push_back(sample);
  while (pod.samples.front().received + kept_ < pod.heard) pod.samples.pop_front();
  return true;
}

std::vector<std::string> UsageStore::Add(const std::string& node, const std::string& epoch,
                                         const messages::UsageReport& report) {
  std::vector<std::string> sampled;
  MutexLock lock(mutex_);
  for (const messages::PodCounters& counters : report.pods()) {
    if (counters.pod_uid().empty()) continue;
    if (AddPod(node, epoch, report, counters)) sampled.push_back(counters.pod_uid());
  }
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

void UsageStore::KeepAtLeast(std::chrono::seconds span) {
  MutexLock lock(mutex_);
  kept_ = std::max(kept_, span);
}

void UsageStore::Sweep() {
  MutexLock lock(mutex_);
  const MonotonicTime oldest = clock_.Monotonic() - 2 * kept_;
  std::erase_if(pods_, [&](const auto& entry) { return entry.second.heard < oldest; });
}

size_t UsageStore::pods() const {
  MutexLock lock(mutex_);
  return pods_.size();
}

}  // namespace longshore::controller

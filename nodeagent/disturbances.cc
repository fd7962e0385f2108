// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/disturbances.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "nodeagent/busiest.h"

namespace longshore::nodeagent {
namespace {

constexpr size_t kMaxDevices = 4;  // of a pod: the busiest

uint64_t Bytes(const DeviceCounters& counters) {
  return counters.read_bytes + counters.write_bytes;
}
uint64_t Grown(uint64_t before, uint64_t now) { return now - std::min(before, now); }

}  // namespace

// Both are in the order of their pairs.
void Disturbances::Follow(const Sample* before, const Sample& now) {
  std::map<std::string, Preempted> preempted;
  for (const PodSample& pod : now.pods) {
    if (!pod.watched || pod.final || preempted.size() >= max_pods_) continue;
    preempted.emplace(pod.uid, preempted_[pod.uid]);
  }
  static const std::vector<Preemption> kNone;
  const std::vector<Preemption>& earlier = before != nullptr ? before->preemptions : kNone;
  auto old = earlier.begin();
  const auto order = [](const Preemption& p) { return std::tie(p.victim, p.offender); };
  for (const Preemption& pair : now.preemptions) {
    const auto victim = preempted.find(pair.victim);
    if (victim == preempted.end()) continue;
    while (old != earlier.end() && order(*old) < order(pair)) ++old;
    const bool known = old != earlier.end() && order(*old) == order(pair);
    victim->second.count += Grown(known ? old->count : 0, pair.count);
    victim->second.offender_ns += Grown(known ? old->offender_ns : 0, pair.offender_ns);
  }
  preempted_ = std::move(preempted);
}

void Disturbances::AddTo(Exposition& out, const Sample& sample) const {
  out.Family("watched_pod_preemptions_total", "counter",
             "Times that a task had to leave its CPU to another pod or the system");
  for (const auto& [uid, sum] : preempted_) {
    out.Value({{"pod_uid", uid}}, static_cast<double>(sum.count));
  }
  out.Family("watched_pod_preemptor_cpu_seconds_total", "counter",
             "What then ran on the CPUs that it had to leave");
  for (const auto& [uid, sum] : preempted_) {
    out.Value({{"pod_uid", uid}}, static_cast<double>(sum.offender_ns) / 1e9);
  }
  const auto family = [&](const char* name, uint64_t DeviceCounters::* field) {
    out.Family(name, "counter", "Its part of the device's");
    for (const PodSample& pod : sample.pods) {
      if (!preempted_.contains(pod.uid)) continue;
      for (const auto* device : BusiestDevices(pod.usage.devices, kMaxDevices, Bytes)) {
        const auto& [id, counters] = *device;
        out.Value({{"pod_uid", pod.uid}, {"device", sample.node.NameOf(id)}},
                  static_cast<double>(counters.*field));
      }
    }
  };
  family("watched_pod_device_read_bytes_total", &DeviceCounters::read_bytes);
  family("watched_pod_device_write_bytes_total", &DeviceCounters::write_bytes);
}

}  // namespace longshore::nodeagent

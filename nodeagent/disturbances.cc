// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/disturbances.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "nodeagent/busiest.h"

namespace longshore::nodeagent {
namespace {

constexpr size_t kMaxDevicesOfPod = 4;    // the busiest
constexpr size_t kMaxDistributions = 32;  // pods with histograms: 22 lines for each

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
    out.Value({{"pod_uid", uid}}, Seconds(sum.offender_ns));
  }
  const auto family = [&](const char* name, uint64_t DeviceCounters::* field) {
    out.Family(name, "counter", "Its part of the device's");
    for (const PodSample& pod : sample.pods) {
      if (!preempted_.contains(pod.uid)) continue;
      for (const auto* device : BusiestDevices(pod.usage.devices, kMaxDevicesOfPod, Bytes)) {
        const auto& [id, counters] = *device;
        out.Value({{"pod_uid", pod.uid}, {"device", sample.node.NameOf(id)}},
                  static_cast<double>(counters.*field));
      }
    }
  };
  family("watched_pod_device_read_bytes_total", &DeviceCounters::read_bytes);
  family("watched_pod_device_write_bytes_total", &DeviceCounters::write_bytes);
  AddWaits(out, sample);
}

// What the pod feels of it, whoever it was: how long its tasks wait for a CPU, for an fsync and for
// each device.
void Disturbances::AddWaits(Exposition& out, const Sample& sample) const {
  const auto each = [&](const auto& add) {
    size_t shown = 0;
    for (const PodSample& pod : sample.pods) {
      if (shown < kMaxDistributions && preempted_.contains(pod.uid)) ++shown, add(pod);
    }
  };
  out.Family("watched_pod_run_queue_wait_seconds", "histogram",
             "Runnable without a CPU before it ran, also for its own quota");
  each([&](const PodSample& pod) {
    const Counters& counters = pod.usage.counters;
    out.Distribution({{"pod_uid", pod.uid}}, counters.run_queue_wait,
                     Seconds(counters.run_queue_wait_ns));
  });
  out.Family("watched_pod_fsync_seconds", "histogram", "Calls of fsync and its like");
  each([&](const PodSample& pod) {
    const Counters& counters = pod.usage.counters;
    out.Distribution({{"pod_uid", pod.uid}}, counters.fsync, Seconds(counters.fsync_ns));
  });
  out.Family("watched_pod_device_latency_seconds", "histogram", "From issued to completed");
  each([&](const PodSample& pod) {
    for (const auto* device : BusiestDevices(pod.usage.devices, kMaxDevicesOfPod, Bytes)) {
      const auto& [id, counters] = *device;
      out.Distribution({{"pod_uid", pod.uid}, {"device", sample.node.NameOf(id)}},
                       counters.Latency(), Seconds(counters.device_ns));
    }
  });
}

}  // namespace longshore::nodeagent

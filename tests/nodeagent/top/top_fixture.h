// SPDX-License-Identifier: Apache-2.0
//
// Two samples of a small node, one second apart, for tests of what `top` shows.
#pragma once

#include "nodeagent/sample.h"

namespace longshore::nodeagent::top {

inline constexpr DeviceId kDisk{8, 0};

inline PodSample MakePod(const std::string& uid, uint64_t cpu_ns) {
  PodSample pod;
  pod.uid = uid;
  pod.usage.counters.cpu_ns = cpu_ns;
  return pod;
}

inline Sample MakeSample(int64_t milliseconds, std::vector<PodSample> pods) {
  Sample sample;
  sample.end = MonotonicTime(std::chrono::milliseconds(milliseconds));
  sample.start = sample.end - std::chrono::seconds(1);
  sample.wall_end = WallTime(std::chrono::seconds(1'800'000'000));
  sample.pods = std::move(pods);
  sample.node.cpu_capacity_milli = 2000;
  return sample;
}

// Pod `db` reads a disk that `backup` reads more, and is preempted by it.
struct SharedDisk {
  Sample before = MakeSample(1000, {MakePod("db-uid", 0), MakePod("backup-uid", 0)});
  Sample now =
      MakeSample(2000, {MakePod("db-uid", 100'000'000), MakePod("backup-uid", 500'000'000)});

  SharedDisk() {
    before.pods[0].watched = now.pods[0].watched = true;
    Read(now.pods[0], 4096, 3);
    Read(now.pods[1], 1 << 20, 10);
    now.node.devices[kDisk] = {.counters = now.pods[1].usage.devices[kDisk], .name = "vda"};
    before.preemptions = {{"db-uid", "backup-uid", 10, 0}};
    now.preemptions = {{"db-uid", "backup-uid", 35, 200'000'000}, {"db-uid", "", 4, 1'000'000}};
  }

  static void Read(PodSample& pod, uint64_t bytes, size_t bucket) {
    DeviceCounters& device = pod.usage.devices[kDisk];
    device.read_bytes = pod.usage.counters.read_bytes = bytes;
    device.read_ops = pod.usage.counters.read_ops = 100;
    device.read.buckets[bucket] = 100;
  }
};

}  // namespace longshore::nodeagent::top

// SPDX-License-Identifier: Apache-2.0
//
// Pods, samples and times for tests of scaling.
#pragma once

#include <string>
#include <vector>

#include "common/scaling/scaling.h"

namespace longshore::scaling {

inline constexpr MonotonicTime kNow = MonotonicTime(std::chrono::hours(10));
inline const WallTime kWall = WallTime(std::chrono::seconds(1'790'000'000));

// One sample a second, the last one `age` ago; values are millicores, oldest first.
inline std::vector<Sample> Samples(const std::vector<double>& cpu,
                                   std::chrono::seconds age = std::chrono::seconds(0)) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < cpu.size(); ++i) {
    const std::chrono::seconds back = std::chrono::seconds(cpu.size() - 1 - i) + age;
    Sample sample;
    sample.received = kNow - back;
    sample.end = kWall - back;
    sample.length = std::chrono::seconds(1);
    sample.set(Signal::kCpu, cpu[i]);
    samples.push_back(sample);
  }
  return samples;
}

inline PodUsage Pod(const std::string& name, std::vector<Sample> samples, bool idle = true,
                    int slot = 0) {
  return {
      name, slot, idle, std::chrono::seconds(60), std::chrono::seconds(600), std::move(samples)};
}

// cpu: up 120m for 3 s, down 30m; idle after 10 s; as many pods as are wanted, up to 4.
inline ScalingInput Input(std::vector<PodUsage> pods) {
  ScalingInput in;
  in.now = kNow;
  in.wall = kWall;
  in.settled_since = kNow - std::chrono::seconds(1000);
  in.desired = static_cast<int>(pods.size());
  in.max = 4;
  in.pods = std::move(pods);
  in.policy.rules = {{Signal::kCpu, 120, 30, std::chrono::seconds(3)}};
  in.policy.idle = std::chrono::seconds(10);
  return in;
}

inline const std::vector<double> kHot = {130, 140, 150, 160};
inline const std::vector<double> kCold = std::vector<double>(20, 5);

}  // namespace longshore::scaling

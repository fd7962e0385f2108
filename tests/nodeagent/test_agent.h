// SPDX-License-Identifier: Apache-2.0
//
// An agent without its network side, for tests and benchmarks on the real kernel: BPF programs, and
// the collector run as the daemon's loop runs it.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "common/base/log.h"
#include "nodeagent/bpf_host.h"
#include "nodeagent/collector.h"

namespace longshore::nodeagent {

struct TestAgentOptions {
  uint32_t max_cgroups = 2048;
  std::chrono::milliseconds tombstone{300};
  std::chrono::seconds walk_interval{10};
};

class TestAgent {
 public:
  explicit TestAgent(const CgroupLayout& layout, const TestAgentOptions& options = {}) {
    BpfConfig config;
    config.max_cgroups = options.max_cgroups;
    config.cpu_hierarchy = layout.cpu.hierarchy;
    config.io_hierarchy = layout.io.hierarchy;
    config.cpu_from_cpuacct = !layout.cpu.v2;
    auto host = BpfHost::Load(config);
    LS_CHECK(host.has_value());
    host_ = std::move(*host);
    collector_ = std::make_unique<Collector>(
        CollectorOptions{.walk_interval = options.walk_interval, .tombstone = options.tombstone},
        layout, *host_, Clock::Real());
    LS_CHECK(collector_->Start().has_value());
  }

  // What the agent's loop does until the next sample is due, and that sample.
  Sample After(std::chrono::milliseconds time) {
    WaitUntil(Clock::Real().Monotonic() + time);
    return Take();
  }
  void WaitUntil(MonotonicTime deadline) { collector_->WaitUntil(deadline); }
  // Without a look at the events before the sample itself is due.
  Sample Take() {
    Sample sample = collector_->Take();
    for (const PodSample& pod : sample.pods) {
      latest_[pod.uid] = pod;
      if (pod.final) ++finals_[pod.uid];
    }
    return sample;
  }

  // The last that was said of the pod, and how often it was said to be over.
  const PodSample& pod(const std::string& uid) { return latest_[uid]; }
  uint64_t cpu_ns(const std::string& uid) { return latest_[uid].usage.counters.cpu_ns; }
  int finals(const std::string& uid) { return finals_[uid]; }
  const std::map<std::string, PodSample>& pods() const { return latest_; }
  BpfHost& host() { return *host_; }
  Collector& collector() { return *collector_; }

 private:
  std::unique_ptr<BpfHost> host_;
  std::unique_ptr<Collector> collector_;
  std::map<std::string, PodSample> latest_;
  std::map<std::string, int> finals_;
};

}  // namespace longshore::nodeagent

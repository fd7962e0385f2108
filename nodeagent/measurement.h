// SPDX-License-Identifier: Apache-2.0
//
// The measuring half of the agent: finds the kubelet's cgroups, loads the BPF programs, and wires
// the collector to them. Used by daemon.cc and by main.cc for --once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "nodeagent/bpf_host.h"
#include "nodeagent/collector.h"

namespace longshore::nodeagent {

struct MeasurementOptions {
  std::string cgroup_root = "auto";
  uint32_t max_cgroups = BpfConfig{}.max_cgroups;
  uint32_t max_device_cells = BpfConfig{}.max_device_cells;
};

class Measurement {
 public:
  // Errors: kNotFound (no kubelet's cgroups yet), and those of BpfHost::Load.
  static Result<std::unique_ptr<Measurement>> Start(const MeasurementOptions& given,
                                                    const Clock& clock);

  Collector& collector() { return *collector_; }
  BpfHost& kernel() { return *host_; }
  const CgroupLayout& layout() const { return layout_; }
  // Signals that this kernel or container does not give: "block-io", "memory", "throttling",
  // "pressure", "interfaces".
  const std::vector<std::string>& degraded() const { return degraded_; }
  // Tries again, every 10 s, what may come while the agent runs: ext4 may be a module. True when
  // degraded() has changed.
  bool LookAgain(MonotonicTime now);

 private:
  Measurement() = default;
  void ListDegraded();

  CgroupLayout layout_;
  std::unique_ptr<BpfHost> host_;
  std::unique_ptr<Collector> collector_;
  std::vector<std::string> missing_gauges_, degraded_;
  MonotonicTime looked_{};
};

}  // namespace longshore::nodeagent

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

class Measurement {
 public:
  // Errors: kNotFound (no kubelet's cgroups yet), and those of BpfHost::Load.
  static Result<std::unique_ptr<Measurement>> Start(const std::string& cgroup_root,
                                                    uint32_t max_cgroups, const Clock& clock);

  Collector& collector() { return *collector_; }
  BpfHost& kernel() { return *host_; }
  const CgroupLayout& layout() const { return layout_; }
  // Signals that this kernel or container does not give: "block-io", "memory", "throttling",
  // "pressure", "interfaces".
  const std::vector<std::string>& degraded() const { return degraded_; }

 private:
  Measurement() = default;

  CgroupLayout layout_;
  std::unique_ptr<BpfHost> host_;
  std::unique_ptr<Collector> collector_;
  std::vector<std::string> degraded_;
};

}  // namespace longshore::nodeagent

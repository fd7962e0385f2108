// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/measurement.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace longshore::nodeagent {
namespace {

constexpr std::chrono::seconds kLookAgain{10};

}  // namespace

Result<std::unique_ptr<Measurement>> Measurement::Start(const MeasurementOptions& given,
                                                        const Clock& clock) {
  auto made = std::unique_ptr<Measurement>(new Measurement);
  LayoutOptions where;
  where.cgroup_root = given.cgroup_root;
  LS_ASSIGN_OR_RETURN(made->layout_, DiscoverLayout(where));
  const CgroupLayout& layout = made->layout_;

  BpfConfig config;
  config.max_cgroups = given.max_cgroups;
  config.max_device_cells = given.max_device_cells;
  config.cpu_hierarchy = layout.cpu.hierarchy;
  config.io_hierarchy = layout.io.hierarchy;
  config.cpu_from_cpuacct = !layout.cpu.v2;
  LS_ASSIGN_OR_RETURN(made->host_, BpfHost::Load(config));

  CollectorOptions options;
  // On the node itself, where the root has to be given, /sys is the host's.
  if (given.cgroup_root != "auto" && ::access(options.host_sysfs.c_str(), F_OK) != 0) {
    options.host_sysfs = "/sys";
  }
  made->collector_ = std::make_unique<Collector>(options, layout, *made->host_, clock);
  LS_RETURN_IF_ERROR(made->collector_->Start());

  made->missing_gauges_ = made->collector_->MissingGauges();
  made->ListDegraded();
  // libbpf has parsed the kernel's type information (10 MB) and freed it: give it back.
  ::malloc_trim(0);
  made->looked_ = clock.Monotonic();
  return made;
}

bool Measurement::LookAgain(MonotonicTime now) {
  if (now - looked_ < kLookAgain) return false;
  looked_ = now;
  if (!host_->AttachLate()) return false;
  ListDegraded();
  return true;
}

void Measurement::ListDegraded() {
  degraded_ = host_->degraded();
  if (layout_.io.directory.empty() && !std::ranges::count(degraded_, "block-io")) {
    degraded_.push_back("block-io");
  }
  degraded_.insert(degraded_.end(), missing_gauges_.begin(), missing_gauges_.end());
}

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// What a cgroup's own CPU quota did to it: the time it was held back. A pure parser; called by
// cgroup_gauges.cc.
#pragma once

#include <cstdint>
#include <string_view>

namespace longshore::nodeagent {

struct Throttled {
  uint64_t time_ns = 0;
  uint64_t periods = 0;  // of the quota in which something ran: without a quota it stands still
};

// From cpu.stat: "throttled_usec N" (v2) or "throttled_time N" in ns (v1); 0 without a quota. The
// kernel counts it for the cgroup that has the quota, not for those above or below.
Throttled ParseThrottled(std::string_view cpu_stat);

}  // namespace longshore::nodeagent

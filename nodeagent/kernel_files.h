// SPDX-License-Identifier: Apache-2.0
//
// What the kernel has counted for a cgroup and all below it: where counters begin that are older
// than we are, and what ours are held against. Called by cgroup_tree.cc and collector.cc, rarely:
// files are opened for each read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

// Missing files give zeros.
uint64_t ReadCpuTotalNs(const std::string& directory, bool v2);
Counters ReadIoTotals(const std::string& directory, bool v2);
Counters ParseIoStat(std::string_view io_stat);  // v2: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …"
// v1 blkio.throttle.*: "8:0 Read 1" …; the sums over the devices
void ParseBlkio(std::string_view text, uint64_t& read, uint64_t& write);

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
//
// Signals that the kernel keeps better than BPF could: memory, pressure, and the totals of pods
// that were there before us. Parsers are pure; MemoryFiles keeps its two files open, because
// opening costs six times the read. Called by collector.cc and cgroup_tree.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/files.h"
#include "common/base/result.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

// From the text of memory.stat. v1's file has no kernel memory in it.
uint64_t ParseWorkingSet(std::string_view memory_stat, bool v2);

// One pod's memory. Thread-compatible.
class MemoryFiles {
 public:
  MemoryFiles(std::string directory, bool v2) : directory_(std::move(directory)), v2_(v2) {}
  // Nothing when the cgroup is gone or its files cannot be read.
  std::optional<MemoryGauges> Read();

 private:
  std::string directory_;
  bool v2_;
  UniqueFd usage_, stat_;
};

// What the kernel has counted for the cgroup in `directory` and below it, for counters that began
// before we did. Missing files give zeros.
uint64_t ReadCpuTotalNs(const std::string& directory, bool v2);
Counters ReadIoTotals(const std::string& directory, bool v2);
Counters ParseIoStat(std::string_view io_stat);  // v2: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …"
// v1 blkio.throttle.*: "8:0 Read 1" …; the sums over the devices
void ParseBlkio(std::string_view text, uint64_t& read, uint64_t& write);

// The cumulative `some … total=` of a pressure file, in µs. Nothing when pressure isn't counted
// (psi=0 makes the read fail).
std::optional<uint64_t> ParsePressureTotal(std::string_view text);

// Of the cgroup directory, or of the whole machine when it is empty.
std::optional<Pressure> ReadPressure(const std::string& directory, const std::string& proc);

struct NodeMemory {
  uint64_t available_bytes = 0, capacity_bytes = 0;
};
Result<NodeMemory> ReadNodeMemory(const std::string& proc);

}  // namespace longshore::nodeagent

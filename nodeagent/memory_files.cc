// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/memory_files.h"

#include <span>

namespace longshore::nodeagent {
namespace {

// One line of memory.stat, and where it belongs.
struct Line {
  std::string_view name;
  uint64_t MemoryGauges::* gauge;  // null: counts in the working set only
  bool in_working_set;
};

using G = MemoryGauges;

// `file` has shmem in it, on v1 (`cache`) as on v2.
constexpr Line kV2[] = {
    {"anon", &G::anon_bytes, true},
    {"file", &G::file_bytes, false},
    {"inactive_file", &G::inactive_file_bytes, false},
    {"file_dirty", &G::dirty_bytes, false},
    {"file_writeback", &G::writeback_bytes, false},
    {"workingset_refault_file", &G::refaults, false},
    {"workingset_refault", &G::refaults, false},  // before 5.9, which split it
    {"shmem", nullptr, true},
    {"slab_unreclaimable", nullptr, true},
    {"kernel_stack", nullptr, true},
    {"pagetables", nullptr, true},
    {"percpu", nullptr, true},
    {"sock", nullptr, true},
};
// The lines that count the cgroups below as well.
constexpr Line kV1[] = {
    {"total_rss", &G::anon_bytes, true},
    {"total_cache", &G::file_bytes, false},
    {"total_inactive_file", &G::inactive_file_bytes, false},
    {"total_dirty", &G::dirty_bytes, false},
    {"total_writeback", &G::writeback_bytes, false},
    {"total_workingset_refault_file", &G::refaults, false},
    {"total_shmem", nullptr, true},
};

}  // namespace

MemoryGauges ParseMemoryStat(std::string_view memory_stat, bool v2) {
  const std::span<const Line> lines = v2 ? std::span<const Line>(kV2) : std::span<const Line>(kV1);
  MemoryGauges gauges;
  ForEachLine(memory_stat, [&](std::string_view text) {
    const std::string_view name = TakeWord(text);
    for (const Line& line : lines) {
      if (line.name != name) continue;
      const uint64_t value = Number(text);
      if (line.gauge != nullptr) gauges.*line.gauge = value;
      if (line.in_working_set) gauges.working_set_bytes += value;
      return;
    }
  });
  return gauges;
}

uint64_t KubeletWorkingSet(uint64_t usage_bytes, uint64_t inactive_file_bytes) {
  return usage_bytes > inactive_file_bytes ? usage_bytes - inactive_file_bytes : 0;
}

std::optional<MemoryGauges> MemoryFiles::Read(std::string_view directory, std::string_view below) {
  const char* usage_file = v2_ ? "/memory.current" : "/memory.usage_in_bytes";
  const auto usage = usage_.Read(directory, below, usage_file);
  if (!usage) return std::nullopt;
  const uint64_t usage_bytes = Number(*usage);
  const auto stat = stat_.Read(directory, below, "/memory.stat");
  if (!stat) return std::nullopt;
  MemoryGauges gauges = ParseMemoryStat(*stat, v2_);
  gauges.usage_bytes = usage_bytes;
  gauges.kubelet_working_set_bytes = KubeletWorkingSet(usage_bytes, gauges.inactive_file_bytes);
  return gauges;
}

}  // namespace longshore::nodeagent

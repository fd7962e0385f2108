// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/node_files.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace longshore::nodeagent {

bool ParseMemInfo(std::string_view meminfo, NodeUsage& node) {
  uint64_t capacity = 0, available = 0;
  ForEachLine(meminfo, [&](std::string_view line) {
    const std::string_view name = TakeWord(line);
    if (name == "MemTotal:") capacity = Number(line) * 1024;
    if (name == "MemAvailable:") available = Number(line) * 1024;
  });
  if (capacity == 0) return false;
  node.memory_capacity_bytes = capacity;
  node.memory_available_bytes = available;
  return true;
}

bool ParseProcStat(std::string_view stat, uint64_t ticks_per_second, NodeUsage& node) {
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice"
  if (!stat.starts_with("cpu ") || ticks_per_second == 0) return false;
  std::string_view line = stat.substr(4, std::min(stat.find('\n'), stat.size()) - 4);
  std::array<uint64_t, 8> ticks{};
  for (uint64_t& value : ticks) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    value = Number(TakeWord(line));
  }
  const uint64_t ns = 1'000'000'000 / ticks_per_second;
  // The kernel says of iowait that it may go backwards; ours are cumulative.
  node.idle_cpu_ns = std::max(node.idle_cpu_ns, (ticks[3] + ticks[4]) * ns);
  node.interrupt_cpu_ns = std::max(node.interrupt_cpu_ns, (ticks[5] + ticks[6]) * ns);
  node.steal_cpu_ns = std::max(node.steal_cpu_ns, ticks[7] * ns);
  return true;
}

bool ParseVmStat(std::string_view vmstat, uint64_t page_bytes, NodeUsage& node) {
  bool any = false;
  ForEachLine(vmstat, [&](std::string_view line) {
    const std::string_view name = TakeWord(line);
    const auto take = [&](uint64_t& field, uint64_t unit) {
      field = Number(line) * unit;
      any = true;
    };
    if (name == "nr_dirty") take(node.dirty_bytes, page_bytes);
    if (name == "nr_writeback") take(node.writeback_bytes, page_bytes);
    if (name == "workingset_refault_file" || name == "workingset_refault") {
      take(node.refaults, 1);
    }
  });
  return any;
}

NodeFiles::NodeFiles(const std::string& proc, std::string pressure_directory)
    : meminfo_path_(proc + "/meminfo"),
      stat_path_(proc + "/stat"),
      vmstat_path_(proc + "/vmstat"),
      pressure_path_(pressure_directory.empty() ? proc + "/pressure"
                                                : std::move(pressure_directory)),
      pressure_(open_files_, pressure_path_ == proc + "/pressure" ? "" : ".pressure") {}

void NodeFiles::Read(NodeUsage& node) {
  static const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  static const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  if (const auto text = meminfo_.Read(meminfo_path_)) ParseMemInfo(*text, last_);
  if (const auto text = stat_.Read(stat_path_)) ParseProcStat(*text, ticks, last_);
  if (const auto text = vmstat_.Read(vmstat_path_)) ParseVmStat(*text, page, last_);
  node.memory_capacity_bytes = last_.memory_capacity_bytes;
  node.memory_available_bytes = last_.memory_available_bytes;
  node.idle_cpu_ns = last_.idle_cpu_ns;
  node.interrupt_cpu_ns = last_.interrupt_cpu_ns;
  node.steal_cpu_ns = last_.steal_cpu_ns;
  node.dirty_bytes = last_.dirty_bytes;
  node.writeback_bytes = last_.writeback_bytes;
  node.refaults = last_.refaults;
  node.pressure = pressure_.Read(pressure_path_);
}

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/kernel_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

namespace longshore::nodeagent {
namespace {

// memory.stat is 3 KiB on 6.18, io.stat a line per device: one read of this size is the whole file.
constexpr size_t kReadBytes = 32 * 1024;

uint64_t Number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Calls `visit` for each line, without copying.
void ForEachLine(std::string_view text, const std::function<void(std::string_view)>& visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// The word before the next space; removes it and the space.
std::string_view TakeWord(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<std::string_view> ReadFromStart(UniqueFd& fd, const std::string& path,
                                              std::string& buffer) {
  if (!fd.valid()) fd.Reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return std::nullopt;
  buffer.resize(kReadBytes);
  const ssize_t got = ::pread(fd.get(), buffer.data(), buffer.size(), 0);
  if (got <= 0) {
    fd.Reset();
    return std::nullopt;
  }
  return std::string_view(buffer.data(), static_cast<size_t>(got));
}

}  // namespace

uint64_t ParseWorkingSet(std::string_view memory_stat, bool v2) {
  static constexpr std::array<std::string_view, 7> kV2 = {
      "anon", "shmem", "slab_unreclaimable", "kernel_stack", "pagetables", "percpu", "sock"};
  static constexpr std::array<std::string_view, 2> kV1 = {"total_rss", "total_shmem"};
  uint64_t sum = 0;
  ForEachLine(memory_stat, [&](std::string_view line) {
    const std::string_view name = TakeWord(line);
    const bool counts = v2 ? std::find(kV2.begin(), kV2.end(), name) != kV2.end()
                           : std::find(kV1.begin(), kV1.end(), name) != kV1.end();
    if (counts) sum += Number(line);
  });
  return sum;
}

std::optional<MemoryGauges> MemoryFiles::Read() {
  static thread_local std::string buffer;
  const std::string usage_file = directory_ + (v2_ ? "/memory.current" : "/memory.usage_in_bytes");
  MemoryGauges gauges;
  const auto usage = ReadFromStart(usage_, usage_file, buffer);
  if (!usage) return std::nullopt;
  gauges.usage_bytes = Number(*usage);
  const auto stat = ReadFromStart(stat_, directory_ + "/memory.stat", buffer);
  if (!stat) return std::nullopt;
  gauges.working_set_bytes = ParseWorkingSet(*stat, v2_);
  return gauges;
}

uint64_t ReadCpuTotalNs(const std::string& directory, bool v2) {
  const auto text = ReadFile(directory + (v2 ? "/cpu.stat" : "/cpuacct.usage"));
  if (!text.has_value()) return 0;
  if (!v2) return Number(*text);
  uint64_t usage_us = 0;
  ForEachLine(*text, [&](std::string_view line) {
    if (TakeWord(line) == "usage_usec") usage_us = Number(line);
  });
  return usage_us * 1000;
}

Counters ParseIoStat(std::string_view io_stat) {
  Counters totals;
  ForEachLine(io_stat, [&](std::string_view line) {
    while (!line.empty()) {
      const std::string_view word = TakeWord(line);
      const size_t equals = word.find('=');
      if (equals == std::string_view::npos) continue;
      const std::string_view key = word.substr(0, equals);
      const uint64_t value = Number(word.substr(equals + 1));
      if (key == "rbytes") totals.read_bytes += value;
      if (key == "wbytes") totals.write_bytes += value;
      if (key == "rios") totals.read_ops += value;
      if (key == "wios") totals.write_ops += value;
    }
  });
  return totals;
}

void ParseBlkio(std::string_view text, uint64_t& read, uint64_t& write) {
  read = write = 0;
  ForEachLine(text, [&](std::string_view line) {
    TakeWord(line);  // device
    const std::string_view operation = TakeWord(line);
    if (operation == "Read") read += Number(line);
    if (operation == "Write") write += Number(line);
  });
}

Counters ReadIoTotals(const std::string& directory, bool v2) {
  if (v2) {
    const auto text = ReadFile(directory + "/io.stat");
    return text.has_value() ? ParseIoStat(*text) : Counters{};
  }
  Counters totals;
  if (const auto bytes = ReadFile(directory + "/blkio.throttle.io_service_bytes_recursive");
      bytes.has_value()) {
    ParseBlkio(*bytes, totals.read_bytes, totals.write_bytes);
  }
  if (const auto operations = ReadFile(directory + "/blkio.throttle.io_serviced_recursive");
      operations.has_value()) {
    ParseBlkio(*operations, totals.read_ops, totals.write_ops);
  }
  return totals;
}

std::optional<uint64_t> ParsePressureTotal(std::string_view text) {
  if (!text.starts_with("some ")) return std::nullopt;
  const std::string_view line = text.substr(0, text.find('\n'));
  const size_t at = line.find("total=");
  if (at == std::string_view::npos) return std::nullopt;
  return Number(line.substr(at + 6));
}

std::optional<Pressure> ReadPressure(const std::string& directory, const std::string& proc) {
  const auto read = [&](const std::string& resource) -> std::optional<uint64_t> {
    const auto text = ReadFile(directory.empty() ? proc + "/pressure/" + resource
                                                 : directory + "/" + resource + ".pressure");
    return text.has_value() ? ParsePressureTotal(*text) : std::nullopt;
  };
  const auto cpu = read("cpu"), io = read("io"), memory = read("memory");
  if (!cpu || !io || !memory) return std::nullopt;
  return Pressure{.cpu_some_us = *cpu, .io_some_us = *io, .memory_some_us = *memory};
}

Result<NodeMemory> ReadNodeMemory(const std::string& proc) {
  LS_ASSIGN_OR_RETURN(const std::string text, ReadFile(proc + "/meminfo"));
  NodeMemory memory;
  ForEachLine(text, [&](std::string_view line) {
    const std::string_view name = TakeWord(line);
    if (name != "MemTotal:" && name != "MemAvailable:") return;
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    (name == "MemTotal:" ? memory.capacity_bytes : memory.available_bytes) = Number(line) * 1024;
  });
  if (memory.capacity_bytes == 0) return Internal(proc + "/meminfo: no MemTotal");
  return memory;
}

}  // namespace longshore::nodeagent

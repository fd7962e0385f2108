// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/kernel_files.h"

#include "common/base/files.h"
#include "nodeagent/text_scan.h"

namespace longshore::nodeagent {

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

}  // namespace longshore::nodeagent

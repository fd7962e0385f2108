// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/pressure_files.h"

namespace longshore::nodeagent {

std::optional<PressureTotals> ParsePressure(std::string_view text) {
  PressureTotals totals;
  bool some = false;
  ForEachLine(text, [&](std::string_view line) {
    const std::string_view kind = TakeWord(line);
    const size_t at = line.find("total=");
    if (at == std::string_view::npos) return;
    const uint64_t value = Number(line.substr(at + 6));
    if (kind == "some") totals.some_us = value;
    if (kind == "full") totals.full_us = value;
    some |= kind == "some";
  });
  return some ? std::optional(totals) : std::nullopt;
}

std::optional<Pressure> PressureFiles::Read(std::string_view directory, std::string_view below,
                                            const Pressure* io_as_before) {
  Pressure pressure;
  const auto read = [&](KeptFile& file, const char* name, uint64_t& some, uint64_t& full) {
    const auto text = file.Read(directory, below, name, suffix_);
    const auto totals = text ? ParsePressure(*text) : std::nullopt;
    if (!totals) return false;
    some = totals->some_us;
    full = totals->full_us;
    return true;
  };
  if (io_as_before != nullptr) {
    pressure.io_some_us = io_as_before->io_some_us;
    pressure.io_full_us = io_as_before->io_full_us;
  } else if (!read(io_, "/io", pressure.io_some_us, pressure.io_full_us)) {
    return std::nullopt;
  }
  if (!read(cpu_, "/cpu", pressure.cpu_some_us, pressure.cpu_full_us) ||
      !read(memory_, "/memory", pressure.memory_some_us, pressure.memory_full_us)) {
    return std::nullopt;
  }
  return pressure;
}

std::optional<Pressure> ReadPressure(const std::string& directory, const std::string& proc) {
  OpenFiles none(0);
  if (directory.empty()) return PressureFiles(none, "").Read(proc, "/pressure");
  return PressureFiles(none).Read(directory);
}

}  // namespace longshore::nodeagent

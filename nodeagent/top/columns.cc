// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/columns.h"

#include <algorithm>
#include <cstdio>
#include <tuple>

namespace longshore::nodeagent::top {
namespace {

std::string Format(const char* format, double value, const char* unit = "") {
  char text[32];
  std::snprintf(text, sizeof text, format, value, unit);
  return text;
}

std::string WithUnit(double value, double step, std::span<const char* const> units) {
  size_t unit = 0;
  // 999.5 would be printed as 1000.
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  return Format(unit > 0 && value < 9.95 ? "%.1f%s" : "%.0f%s", value, units[unit]);
}

double Microseconds(Latency latency) {
  return latency ? static_cast<double>(latency->count()) : -1;
}

std::string Psi(const Row& row, double PressureShares::* field) {
  return row.rates.pressure ? Percent((*row.rates.pressure).*field) : "-";
}
double PsiValue(const Row& row, double PressureShares::* field) {
  return row.rates.pressure ? (*row.rates.pressure).*field : -1;
}
double WorkingSet(const Row& row) {
  return static_cast<double>(row.usage->memory.working_set_bytes);
}

constexpr Column kColumns[] = {
    {"cpu", "CPU", 6, [](const Row& r) { return ShortCores(r.rates.cpu_cores); },
     [](const Row& r) { return r.rates.cpu_cores; }},
    {"wait", "WAIT", 6, [](const Row& r) { return ShortCores(r.rates.wait_cores); },
     [](const Row& r) { return r.rates.wait_cores; }},
    {"throttled", "THROTL", 6, [](const Row& r) { return ShortCores(r.rates.throttled_cores); },
     [](const Row& r) { return r.rates.throttled_cores; }},
    {"read", "READ/S", 6, [](const Row& r) { return ShortBytes(r.rates.read_bytes); },
     [](const Row& r) { return r.rates.read_bytes; }},
    {"write", "WRIT/S", 6, [](const Row& r) { return ShortBytes(r.rates.write_bytes); },
     [](const Row& r) { return r.rates.write_bytes; }},
    {"memory", "MEMORY", 6, [](const Row& r) { return ShortBytes(WorkingSet(r)); }, WorkingSet},
    {"device", "DEV99", 6, [](const Row& r) { return ShortLatency(r.rates.device_p99); },
     [](const Row& r) { return Microseconds(r.rates.device_p99); }},
    {"fsync", "FSYN99", 6, [](const Row& r) { return ShortLatency(r.rates.fsync_p99); },
     [](const Row& r) { return Microseconds(r.rates.fsync_p99); }},
    {"receive", "RECV/S", 6, [](const Row& r) { return ShortBytes(r.rates.receive_bytes); },
     [](const Row& r) { return r.rates.receive_bytes; }},
    {"send", "SEND/S", 6, [](const Row& r) { return ShortBytes(r.rates.send_bytes); },
     [](const Row& r) { return r.rates.send_bytes; }},
    {"psi-cpu", "PSI-C", 5, [](const Row& r) { return Psi(r, &PressureShares::cpu_some); },
     [](const Row& r) { return PsiValue(r, &PressureShares::cpu_some); }},
    {"psi-io", "PSI-I", 5, [](const Row& r) { return Psi(r, &PressureShares::io_some); },
     [](const Row& r) { return PsiValue(r, &PressureShares::io_some); }},
    {"psi-memory", "PSI-M", 5, [](const Row& r) { return Psi(r, &PressureShares::memory_some); },
     [](const Row& r) { return PsiValue(r, &PressureShares::memory_some); }},
    {"file-read", "FREAD", 6, [](const Row& r) { return ShortBytes(r.rates.file_read_bytes); },
     [](const Row& r) { return r.rates.file_read_bytes; }},
    {"dirtied", "DIRTY", 6, [](const Row& r) { return ShortBytes(r.rates.dirtied_bytes); },
     [](const Row& r) { return r.rates.dirtied_bytes; }},
};

}  // namespace

std::span<const Column> Columns() { return kColumns; }

int FindColumn(std::string_view name) {
  for (size_t i = 0; i < std::size(kColumns); ++i) {
    if (name == kColumns[i].name) return static_cast<int>(i);
  }
  return -1;
}

std::string ColumnNames() {
  std::string names;
  for (const Column& column : kColumns)
    names += (names.empty() ? "" : ", ") + std::string(column.name);
  return names;
}

void SortRows(std::vector<Row>& rows, const Column& column, bool reverse) {
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    const double left = column.value(a), right = column.value(b);
    if (left != right) return reverse ? left < right : left > right;
    return std::tie(a.uid, a.container) < std::tie(b.uid, b.container);
  });
}

std::string ShortCores(double cores) {
  if (cores < 0.9995) return Format("%.0fm", cores * 1000);
  return Format(cores < 99.5 ? "%.2f" : "%.0f", cores);
}

std::string ShortBytes(double bytes) {
  static constexpr const char* kUnits[] = {"", "K", "M", "G", "T", "P"};
  return WithUnit(bytes, 1024, kUnits);
}

std::string ShortCount(double count) {
  static constexpr const char* kUnits[] = {"", "k", "M", "G"};
  if (count > 0 && count < 9.95) return Format("%.1f", count);
  return WithUnit(count, 1000, kUnits);
}

std::string ShortLatency(Latency latency) {
  if (!latency) return "-";
  const bool over = *latency == Histogram::kUnbounded;
  // The bounds are powers of two of microseconds: 1024 of them are shown as a millisecond.
  const auto us = (over ? Histogram::kLongest : *latency).count();
  const std::string sign = over ? ">" : "<";
  return us < 1024 ? sign + std::to_string(us) + "us" : sign + std::to_string(us / 1024) + "ms";
}

std::string Percent(double share) { return Format("%.0f%%", share * 100); }

}  // namespace longshore::nodeagent::top

// SPDX-License-Identifier: Apache-2.0
#include "controller/pressure_store.h"

#include <algorithm>

namespace longshore::controller {
namespace {

// A node that has been silent for so long is left out; its pressure has been unknown long before.
constexpr std::chrono::minutes kForget{10};

int Permille(uint64_t now_us, uint64_t before_us, double interval_us) {
  if (now_us < before_us || interval_us <= 0) return 0;
  return static_cast<int>(
      std::min(1000.0, static_cast<double>(now_us - before_us) * 1000.0 / interval_us));
}

int64_t AgeMs(MonotonicTime now, MonotonicTime heard) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - heard).count();
}

}  // namespace

PressureStore::Counters PressureStore::Read(const messages::NodeCounters& node) {
  return {.cpu_ns = node.cpu_ns(),
          .has_pressure = node.has_pressure(),
          .cpu_some_us = node.pressure().cpu_some_us(),
          .io_some_us = node.pressure().io_some_us(),
          .memory_some_us = node.pressure().memory_some_us(),
          .memory_available_bytes = node.memory_available_bytes(),
          .memory_capacity_bytes = node.memory_capacity_bytes(),
          .cpu_capacity_milli = node.cpu_capacity_milli()};
}

placement::Pressure PressureStore::Rates(const Counters& before, const Counters& now,
                                         std::chrono::nanoseconds length) {
  const double ns = static_cast<double>(length.count());
  placement::Pressure p;
  p.cpu_used_milli = static_cast<int>(static_cast<double>(now.cpu_ns - before.cpu_ns) * 1000 / ns);
  p.cpu_capacity_milli = static_cast<int>(now.cpu_capacity_milli);
  // Totals that fell began anew: unknown.
  const bool fell = now.cpu_some_us < before.cpu_some_us || now.io_some_us < before.io_some_us ||
                    now.memory_some_us < before.memory_some_us;
  p.psi_valid = before.has_pressure && now.has_pressure && !fell;
  p.psi_cpu_permille = Permille(now.cpu_some_us, before.cpu_some_us, ns / 1000);
  p.psi_io_permille = Permille(now.io_some_us, before.io_some_us, ns / 1000);
  p.psi_memory_permille = Permille(now.memory_some_us, before.memory_some_us, ns / 1000);
  return p;
}

PressureStore::PressureStore(const Clock& clock) : clock_(clock) {}

void PressureStore::Add(const AgentStream& from, const messages::UsageReport& report) {
  if (!report.has_node()) return;
  const Counters now = Read(report.node());
  MutexLock lock(mutex_);
  Node& node = nodes_[from.node];
  const auto verdict = node.order.Take(from, report, clock_.Monotonic());
  if (verdict == ReportOrder::Verdict::kStale) return;
  if (verdict == ReportOrder::Verdict::kBegin) node.known = false;
  if (verdict == ReportOrder::Verdict::kFollows && now.cpu_ns >= node.last.cpu_ns) {
    node.pressure = Rates(node.last, now, node.order.length());
    node.known = true;
    node.made = node.order.made();
  }
  node.last = now;
}

placement::PressureMap PressureStore::Get() const {
  const MonotonicTime now = clock_.Monotonic();
  placement::PressureMap all;
  MutexLock lock(mutex_);
  for (const auto& [name, node] : nodes_) {
    if (!node.known || now - node.made > kForget) continue;
    placement::Pressure pressure = node.pressure;
    pressure.age_ms = AgeMs(now, node.made);
    all[name] = pressure;
  }
  return all;
}

messages::PressureSnapshot PressureStore::Snapshot() const {
  const MonotonicTime now = clock_.Monotonic();
  messages::PressureSnapshot snapshot;
  MutexLock lock(mutex_);
  for (const auto& [name, node] : nodes_) {
    if (!node.known || now - node.made > kForget) continue;
    messages::NodePressure& out = *snapshot.add_nodes();
    out.set_node(name);
    out.set_cpu_used_milli(static_cast<uint32_t>(node.pressure.cpu_used_milli));
    out.set_cpu_capacity_milli(static_cast<uint32_t>(node.pressure.cpu_capacity_milli));
    out.set_memory_available_bytes(node.last.memory_available_bytes);
    out.set_memory_capacity_bytes(node.last.memory_capacity_bytes);
    out.set_psi_cpu_permille(static_cast<uint32_t>(node.pressure.psi_cpu_permille));
    out.set_psi_io_permille(static_cast<uint32_t>(node.pressure.psi_io_permille));
    out.set_psi_memory_permille(static_cast<uint32_t>(node.pressure.psi_memory_permille));
    out.set_psi_valid(node.pressure.psi_valid);
    out.set_sample_age_ms(AgeMs(now, node.made));
  }
  return snapshot;
}

}  // namespace longshore::controller

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

PressureStore::PressureStore(const Clock& clock) : clock_(clock) {}

void PressureStore::Add(const std::string& name, const std::string& epoch,
                        const messages::UsageReport& report) {
  if (!report.has_node()) return;
  const messages::NodeCounters& now = report.node();
  MutexLock lock(mutex_);
  Node& node = nodes_[name];
  const double interval_ns = static_cast<double>(report.interval_end_ns() - node.interval_end_ns);
  const bool follows = node.epoch == epoch && interval_ns > 0 && now.cpu_ns() >= node.last.cpu_ns();
  if (follows) {
    const double us = interval_ns / 1000;
    placement::Pressure& p = node.pressure;
    p.cpu_used_milli = static_cast<int>(static_cast<double>(now.cpu_ns() - node.last.cpu_ns()) *
                                        1000 / interval_ns);
    p.cpu_capacity_milli = static_cast<int>(now.cpu_capacity_milli());
    p.psi_valid = now.has_pressure() && node.last.has_pressure();
    p.psi_cpu_permille =
        Permille(now.pressure().cpu_some_us(), node.last.pressure().cpu_some_us(), us);
    p.psi_io_permille =
        Permille(now.pressure().io_some_us(), node.last.pressure().io_some_us(), us);
    p.psi_memory_permille =
        Permille(now.pressure().memory_some_us(), node.last.pressure().memory_some_us(), us);
    node.known = true;
  } else if (node.epoch != epoch) {
    node.known = false;
  }
  node.epoch = epoch;
  node.interval_end_ns = report.interval_end_ns();
  node.last = now;
  node.heard = clock_.Monotonic();
}

placement::PressureMap PressureStore::Get() const {
  const MonotonicTime now = clock_.Monotonic();
  placement::PressureMap all;
  MutexLock lock(mutex_);
  for (const auto& [name, node] : nodes_) {
    if (!node.known || now - node.heard > kForget) continue;
    placement::Pressure pressure = node.pressure;
    pressure.age_ms = AgeMs(now, node.heard);
    all[name] = pressure;
  }
  return all;
}

messages::PressureSnapshot PressureStore::Snapshot() const {
  const MonotonicTime now = clock_.Monotonic();
  messages::PressureSnapshot snapshot;
  MutexLock lock(mutex_);
  for (const auto& [name, node] : nodes_) {
    if (!node.known || now - node.heard > kForget) continue;
    messages::NodePressure& out = *snapshot.add_nodes();
    out.set_node(name);
    out.set_cpu_used_milli(static_cast<uint32_t>(node.pressure.cpu_used_milli));
    out.set_cpu_capacity_milli(static_cast<uint32_t>(node.pressure.cpu_capacity_milli));
    out.set_memory_available_bytes(node.last.memory_available_bytes());
    out.set_memory_capacity_bytes(node.last.memory_capacity_bytes());
    out.set_psi_cpu_permille(static_cast<uint32_t>(node.pressure.psi_cpu_permille));
    out.set_psi_io_permille(static_cast<uint32_t>(node.pressure.psi_io_permille));
    out.set_psi_memory_permille(static_cast<uint32_t>(node.pressure.psi_memory_permille));
    out.set_psi_valid(node.pressure.psi_valid);
    out.set_sample_age_ms(AgeMs(now, node.heard));
  }
  return snapshot;
}

}  // namespace longshore::controller

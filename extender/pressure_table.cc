// SPDX-License-Identifier: Apache-2.0
#include "extender/pressure_table.h"

#include <algorithm>

#include "common/messages/placement.pb.h"

namespace longshore::extender {

using placement::Pressure;

namespace {

// Ages are added to; from here on they say no more.
constexpr int64_t kMaxAgeMs = int64_t{1} << 40;

int ToInt(uint32_t value) { return static_cast<int>(std::min(value, uint32_t{INT32_MAX})); }

}  // namespace

Result<placement::PressureMap> ReadPressure(std::string_view message) {
  messages::PressureSnapshot snapshot;
  if (!snapshot.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return InvalidArgument("not a PressureSnapshot");
  }
  placement::PressureMap nodes;
  for (const auto& node : snapshot.nodes()) {
    nodes[node.node()] = {.cpu_used_milli = ToInt(node.cpu_used_milli()),
                          .cpu_capacity_milli = ToInt(node.cpu_capacity_milli()),
                          .psi_cpu_permille = ToInt(node.psi_cpu_permille()),
                          .psi_io_permille = ToInt(node.psi_io_permille()),
                          .psi_memory_permille = ToInt(node.psi_memory_permille()),
                          .psi_valid = node.psi_valid(),
                          .age_ms = std::clamp<int64_t>(node.sample_age_ms(), -1, kMaxAgeMs)};
  }
  return nodes;
}

PressureTable::PressureTable(const placement::PressureMap& nodes, MonotonicTime received)
    : names_(nodes.size()), received_(received) {
  for (const auto& [name, pressure] : nodes) text_ += name;
  std::string_view rest = text_;
  for (const auto& [name, pressure] : nodes) {
    names_.Insert(rest.substr(0, name.size()));
    rest.remove_prefix(name.size());
    pressures_.push_back(pressure);
  }
}

int64_t PressureTable::ElapsedMs(MonotonicTime now) const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - received_).count();
}

Pressure PressureTable::Of(std::string_view node, MonotonicTime now) const {
  const uint32_t number = names_.Find(node);
  if (number == NameMap::kNone) return {};
  Pressure pressure = pressures_[number];
  if (pressure.age_ms >= 0) pressure.age_ms += ElapsedMs(now);
  return pressure;
}

std::vector<PressureTable::Points> PressureTable::Along(const placement::NodeTable& nodes) const {
  std::vector<Points> along(nodes.size());
  if (pressures_.empty()) return along;
  const std::vector<uint32_t> numbers = names_.FindAll(nodes.names());
  for (size_t place = 0; place < along.size(); ++place) {
    if (numbers[place] == NameMap::kNone) continue;
    const Pressure& pressure = pressures_[numbers[place]];
    if (!pressure.known()) continue;
    along[place] = {static_cast<int32_t>(pressure.age_ms), FreshPressurePoints(pressure)};
  }
  return along;
}

}  // namespace longshore::extender

// SPDX-License-Identifier: Apache-2.0
#include "common/placement/score_view.h"

#include <algorithm>

namespace longshore::placement {
namespace {

using api::Json;

Tier TierByName(const std::string& name) {
  for (const Tier tier : {Tier::kNode, Tier::kRack, Tier::kZone, Tier::kRegion, Tier::kNone}) {
    if (name == TierName(tier)) return tier;
  }
  return Tier::kUnknown;
}

Json PercentOf(int permille, bool known) { return known ? Json(permille / 10) : Json(); }

Json InputsView(const NodeInputs& inputs) {
  const Pressure& pressure = inputs.pressure;
  const bool heard = pressure.age_ms >= 0, psi = heard && pressure.psi_valid;
  const bool cpu = heard && pressure.cpu_capacity_milli > 0;
  return {
      {"pressureAgeMs", heard ? Json(pressure.age_ms) : Json()},
      {"cpuPercent",
       cpu ? Json(int64_t{100} * pressure.cpu_used_milli / pressure.cpu_capacity_milli) : Json()},
      {"cpuWaitingPercent", PercentOf(pressure.psi_cpu_permille, psi)},
      {"ioWaitingPercent", PercentOf(pressure.psi_io_permille, psi)},
      {"memoryWaitingPercent", PercentOf(pressure.psi_memory_permille, psi)},
      {"cpuFreeMilli", inputs.cpu_free_milli},
      {"memoryFreeBytes", inputs.memory_free_bytes},
      {"pods", inputs.pods},
      {"reserved", inputs.reserved},
      {"hasImage", inputs.has_image}};
}

uint32_t Unsigned(int value) { return static_cast<uint32_t>(std::max(0, value)); }

}  // namespace

Json ScoreView(const NodeScore& score) {
  Json view = {{"node", score.node},
               {"tier", TierName(score.tier)},
               {"feasible", score.feasible},
               {"score", score.score},
               {"localityPoints", score.locality_points},
               {"pressurePoints", score.pressure_points},
               {"roomPoints", score.room_points},
               {"imagePoints", score.image_points},
               {"reasons", score.reasons}};
  if (score.inputs) view["inputs"] = InputsView(*score.inputs);
  return view;
}

messages::NodeVerdict ToMessage(const NodeScore& score) {
  messages::NodeVerdict verdict;
  verdict.set_node(score.node);
  verdict.set_passed(score.feasible);
  verdict.set_score(Unsigned(score.score));
  verdict.set_tier(TierName(score.tier));
  verdict.set_locality_points(Unsigned(score.locality_points));
  verdict.set_pressure_points(Unsigned(score.pressure_points));
  verdict.set_room_points(Unsigned(score.room_points));
  verdict.set_image_points(Unsigned(score.image_points));
  for (const std::string& reason : score.reasons) verdict.add_reasons(reason);
  if (!score.inputs) return verdict;
  const auto& [pressure, cpu_free, memory_free, pods, reserved, has_image] = *score.inputs;
  messages::NodeInputs& inputs = *verdict.mutable_inputs();
  inputs.set_cpu_free_milli(cpu_free);
  inputs.set_memory_free_bytes(memory_free);
  inputs.set_pods(Unsigned(pods));
  inputs.set_reserved(Unsigned(reserved));
  inputs.set_has_image(has_image);
  messages::NodePressure& heard = *inputs.mutable_pressure();
  heard.set_cpu_used_milli(Unsigned(pressure.cpu_used_milli));
  heard.set_cpu_capacity_milli(Unsigned(pressure.cpu_capacity_milli));
  heard.set_psi_cpu_permille(Unsigned(pressure.psi_cpu_permille));
  heard.set_psi_io_permille(Unsigned(pressure.psi_io_permille));
  heard.set_psi_memory_permille(Unsigned(pressure.psi_memory_permille));
  heard.set_psi_valid(pressure.psi_valid);
  heard.set_sample_age_ms(pressure.age_ms);
  return verdict;
}

NodeScore FromMessage(const messages::NodeVerdict& verdict) {
  NodeScore score;
  score.node = verdict.node();
  score.feasible = verdict.passed();
  score.score = static_cast<int>(verdict.score());
  score.tier = TierByName(verdict.tier());
  score.locality_points = static_cast<int>(verdict.locality_points());
  score.pressure_points = static_cast<int>(verdict.pressure_points());
  score.room_points = static_cast<int>(verdict.room_points());
  score.image_points = static_cast<int>(verdict.image_points());
  score.reasons.assign(verdict.reasons().begin(), verdict.reasons().end());
  if (!verdict.has_inputs()) return score;
  const messages::NodeInputs& inputs = verdict.inputs();
  const messages::NodePressure& heard = inputs.pressure();
  score.inputs = {{.cpu_used_milli = static_cast<int>(heard.cpu_used_milli()),
                   .cpu_capacity_milli = static_cast<int>(heard.cpu_capacity_milli()),
                   .psi_cpu_permille = static_cast<int>(heard.psi_cpu_permille()),
                   .psi_io_permille = static_cast<int>(heard.psi_io_permille()),
                   .psi_memory_permille = static_cast<int>(heard.psi_memory_permille()),
                   .psi_valid = heard.psi_valid(),
                   .age_ms = heard.sample_age_ms()},
                  inputs.cpu_free_milli(),
                  inputs.memory_free_bytes(),
                  static_cast<int>(inputs.pods()),
                  static_cast<int>(inputs.reserved()),
                  inputs.has_image()};
  return score;
}

}  // namespace longshore::placement

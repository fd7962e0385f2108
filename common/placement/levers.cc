// SPDX-License-Identifier: Apache-2.0
#include "common/placement/levers.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/placement/taints.h"

namespace longshore::placement {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

int CpuPercent(const Pressure& pressure) {
  return pressure.cpu_capacity_milli <= 0
             ? 0
             : static_cast<int>(int64_t{100} * pressure.cpu_used_milli /
                                pressure.cpu_capacity_milli);
}

struct Part {
  const char* name;
  int percent;
};
std::vector<Part> PartsOf(const Pressure& pressure) {
  if (!pressure.known()) return {};
  std::vector<Part> parts{{"cpu", CpuPercent(pressure)}};
  if (pressure.psi_valid) {
    parts.insert(parts.end(), {{"waiting for cpu", pressure.psi_cpu_permille / 10},
                               {"waiting for io", pressure.psi_io_permille / 10},
                               {"waiting for memory", pressure.psi_memory_permille / 10}});
  }
  return parts;
}

void LimitPressure(Pressure& pressure, int percent) {
  if (!pressure.known()) {
    pressure = {.cpu_used_milli = 10 * percent, .cpu_capacity_milli = 1000, .age_ms = 0};
    return;
  }
  pressure.cpu_used_milli = static_cast<int>(std::min<int64_t>(
      pressure.cpu_used_milli, int64_t{pressure.cpu_capacity_milli} * percent / 100));
  for (int* permille :
       {&pressure.psi_cpu_permille, &pressure.psi_io_permille, &pressure.psi_memory_permille}) {
    *permille = std::min(*permille, 10 * percent);
  }
}

Lever PressureLever(const Premise& premise) {
  const auto parts = PartsOf(premise.pressure);
  std::vector<std::string> were;
  for (const Part& part : parts) {
    were.push_back(std::string(part.name) + " " + std::to_string(part.percent) + " %");
  }
  return {.input = "pressure",
          .was = parts.empty() ? "not known" : Join(were, ", "),
          .levels = 101,
          .apply = [](Premise& p,
                      int64_t level) { LimitPressure(p.pressure, 101 - static_cast<int>(level)); },
          .say = [parts](int64_t level) -> Lever::Wording {
            const int64_t limit = 101 - level;
            std::vector<std::string> names;
            for (const Part& part : parts) {
              if (part.percent >= limit) names.emplace_back(part.name);
            }
            return {limit, "pressure " + Join(names, " and ") + (names.empty() ? "" : " ") +
                               "of at most " + std::to_string(limit) + " %"};
          }};
}

int64_t FreeMiB(const NodeInfo& node) {
  return (node.memory_allocatable_bytes - node.memory_requested_bytes) / kMiB;
}

Lever CpuLever(const Premise& premise) {
  const int64_t free = premise.node.cpu_allocatable_milli - premise.node.cpu_requested_milli;
  return {.input = "cpu",
          .was = std::to_string(free) + "m",
          .levels = std::max<int64_t>(0, premise.node.cpu_requested_milli),
          .apply = [](Premise& p, int64_t level) { p.node.cpu_requested_milli -= level; },
          .say = [free](int64_t level) -> Lever::Wording {
            return {free + level, std::to_string(free + level) + "m CPU free"};
          }};
}

// By whole MiB free, whatever was free before.
Lever MemoryLever(const Premise& premise) {
  const int64_t free = FreeMiB(premise.node);
  return {.input = "memory",
          .was = std::to_string(free) + " MiB",
          .levels = std::max<int64_t>(0, premise.node.memory_allocatable_bytes / kMiB - free),
          .apply =
              [free](Premise& p, int64_t level) {
                p.node.memory_requested_bytes =
                    p.node.memory_allocatable_bytes - (free + level) * kMiB;
              },
          .say = [free](int64_t level) -> Lever::Wording {
            return {free + level, std::to_string(free + level) + " MiB of memory free"};
          }};
}

// Whichever of the two is scarcer counts, so that more of one alone may do nothing.
Lever RoomLever(const Premise& premise) {
  const auto freed = [node = premise.node](int64_t percent) {
    NodeInfo result = node;
    result.cpu_requested_milli -= node.cpu_requested_milli * percent / 100;
    result.memory_requested_bytes -= node.memory_requested_bytes / 100 * percent;
    return result;
  };
  const auto text = [](const NodeInfo& node) {
    return std::to_string(node.cpu_allocatable_milli - node.cpu_requested_milli) + "m CPU and " +
           std::to_string(FreeMiB(node)) + " MiB";
  };
  const bool used = premise.node.cpu_requested_milli > 0 && premise.node.memory_requested_bytes > 0;
  return {.input = "room",
          .was = text(premise.node),
          .levels = used ? 100 : 0,
          .apply = [freed](Premise& p, int64_t level) { p.node = freed(level); },
          .say = [freed, text](int64_t level) -> Lever::Wording {
            return {level, text(freed(level)) + " of memory free"};
          }};
}

// Pods just placed count twice: against the score, and where there is a cap against the cap.
Lever ReservedLever(const Premise& premise) {
  const int reserved = std::max({0, premise.reserved, premise.held});
  return {.input = "reserved",
          .was = std::to_string(reserved),
          .levels = reserved,
          .apply =
              [reserved](Premise& p, int64_t level) {
                const int left = reserved - static_cast<int>(level);
                p.reserved = std::min(p.reserved, left);
                p.held = std::min(p.held, left);
              },
          .say = [reserved](int64_t level) -> Lever::Wording {
            const int64_t left = reserved - level;
            return {left, left == 0 ? "none of our pods just placed there"
                                    : "at most " + std::to_string(left) +
                                          " of our pods just placed there"};
          }};
}

Lever PodsLever(const Premise& premise) {
  const int pods = premise.node.pods;
  return {.input = "pods",
          .was = std::to_string(pods),
          .levels = premise.node.max_pods > 0 ? std::max(0, pods) : 0,
          .apply = [](Premise& p, int64_t level) { p.node.pods -= static_cast<int>(level); },
          .say = [pods](int64_t level) -> Lever::Wording {
            return {pods - level, "at most " + std::to_string(pods - level) + " pods on it"};
          }};
}

Lever BackupPodsLever(const Premise& premise) {
  const int pods = premise.node.backup_pods;
  return {.input = "backupPods",
          .was = std::to_string(pods),
          .levels = premise.demand.max_backup_pods > 0 ? std::max(0, pods) : 0,
          .apply = [](Premise& p, int64_t level) { p.node.backup_pods -= static_cast<int>(level); },
          .say = [pods](int64_t level) -> Lever::Wording {
            const std::string left = std::to_string(pods - level);
            return {pods - level, "at most " + left + " backup pods bound to it"};
          }};
}

Lever CapLever(const Premise& premise) {
  const int cap = premise.demand.max_backup_pods;
  const int there = premise.node.backup_pods + std::max({0, premise.reserved, premise.held});
  return {.input = "maxPodsPerNode",
          .was = std::to_string(cap),
          .levels = cap > 0 ? std::max(0, there + 1 - cap) : 0,
          .apply = [](Premise& p,
                      int64_t level) { p.demand.max_backup_pods += static_cast<int>(level); },
          .say = [cap](int64_t level) -> Lever::Wording {
            return {cap + level, "maxPodsPerNode of at least " + std::to_string(cap + level)};
          }};
}

Lever HeadroomLever(const Premise& premise) {
  const int percent = premise.demand.headroom_percent;
  return {.input = "nodeHeadroomPercent",
          .was = std::to_string(percent),
          .levels = percent,
          .apply = [](Premise& p,
                      int64_t level) { p.demand.headroom_percent -= static_cast<int>(level); },
          .say = [percent](int64_t level) -> Lever::Wording {
            const int64_t left = percent - level;
            return {left, "nodeHeadroomPercent of at most " + std::to_string(left)};
          }};
}

// One that is either as it should be or not.
Lever Switch(std::string input, bool off, std::string was, std::string needed,
             std::function<void(Premise&)> turn_on) {
  return {.input = std::move(input),
          .was = std::move(was),
          .levels = off ? 1 : 0,
          .apply = [turn_on = std::move(turn_on)](Premise& p, int64_t) { turn_on(p); },
          .say = [needed = std::move(needed)](int64_t) -> Lever::Wording { return {1, needed}; }};
}

// Tolerated, and not taken off the node: other nodes with the same taints are let in too.
Lever TaintLever(const Premise& premise) {
  std::vector<std::string> names;
  std::vector<api::Toleration> wanted;
  if (const auto& tolerations = premise.demand.tolerations) {
    for (const Taint& taint : Untolerated(premise.node.taints, *tolerations)) {
      names.push_back(TaintText(taint));
      wanted.push_back({taint.key, "Equal", taint.value, taint.effect});
    }
  }
  return Switch("taint", !wanted.empty(), "not tolerated",
                std::string(names.size() > 1 ? "the taints " : "the taint ") + Join(names, ", ") +
                    " tolerated",
                [wanted](Premise& p) {
                  auto& tolerations = *p.demand.tolerations;
                  tolerations.insert(tolerations.end(), wanted.begin(), wanted.end());
                });
}

Lever SelectorLever(const Premise& premise) {
  std::vector<std::string> wanted, has;
  for (const auto& [key, value] : premise.demand.node_selector) {
    const auto label = premise.node.labels.find(key);
    if (label != premise.node.labels.end() && label->second == value) continue;
    wanted.push_back(key + "=" + value);
    has.push_back(key + (label == premise.node.labels.end() ? " not set" : "=" + label->second));
  }
  return Switch("selector", !wanted.empty(), Join(has, ", "), "labels " + Join(wanted, ", "),
                [](Premise& p) {
                  for (const auto& [key, value] : p.demand.node_selector) {
                    p.node.labels[key] = value;
                  }
                });
}

Lever VolumeLever(const Premise& premise) {
  const std::string& there = premise.demand.attached_to;
  return Switch("volume", !there.empty() && there != premise.node.name, "attached to " + there,
                "no volume of the pod attached to another node",
                [](Premise& p) { p.demand.attached_to.clear(); });
}

Lever ImageLever(const Premise& premise) {
  const std::string& image = premise.demand.image;
  return Switch("image", !image.empty() && !premise.node.images.Has(image), "not there",
                "its image already there",
                [](Premise& p) { p.node.images = p.node.images.With(p.demand.image); });
}

const char* Distance(Tier tier) {
  switch (tier) {
    case Tier::kNode:
      return "on it";
    case Tier::kRack:
      return "in its rack";
    case Tier::kZone:
      return "in its zone";
    case Tier::kRegion:
      return "in its region";
    case Tier::kNone:
      return "elsewhere";
    case Tier::kUnknown:
      break;
  }
  return "at an unknown distance";
}

// Whether the node would be avoided for its load if it held the data, and may be near it without.
bool IsBetterBeside(const Premise& premise) {
  api::BackupSource source;
  source.spec.placement = premise.placement;
  const Scorer scorer(source, premise.location, premise.demand);
  const bool only_on_it = scorer.required() && scorer.wanted() == Tier::kNode;
  return scorer.Avoids(Tier::kNode, premise.pressure) && !only_on_it;
}

// The data brought nearer: to a place that shares no more with the node than that.
Lever DataLever(const Premise& premise) {
  struct Step {
    Tier tier;
    Place place;
    std::string needed;
  };
  const NodeInfo& node = premise.node;
  const Tier now = Nearness(premise.location, node);
  std::vector<Step> steps;
  const auto add = [&](Tier tier, const std::string& label, Place place, const char* what) {
    if (tier < now && !label.empty()) {
      steps.push_back({tier, std::move(place), std::string("the data ") + what + " " + label});
    }
  };
  add(Tier::kRegion, node.region, {.region = node.region}, "in its region");
  add(Tier::kZone, node.zone, {.zone = node.zone, .region = node.region}, "in its zone");
  add(Tier::kRack, node.rack, {.rack = node.rack, .zone = node.zone, .region = node.region},
      "in its rack");
  if (!IsBetterBeside(premise)) {
    add(Tier::kNode, node.name, {node.name, node.rack, node.zone, node.region}, "on");
  }
  const auto step = [steps](int64_t level) { return steps[static_cast<size_t>(level - 1)]; };
  return {.input = "data",
          .was = Distance(now),
          .levels = static_cast<int64_t>(steps.size()),
          .apply =
              [step](Premise& p, int64_t level) {
                const Place place = step(level).place;
                Location there;
                there.rack = place.rack;
                there.zone = place.zone;
                there.region = place.region;
                there.places = {place};
                p.location = std::move(there);
              },
          .say = [step](int64_t level) -> Lever::Wording { return {level, step(level).needed}; }};
}

Lever AvoidLever(const Premise& premise) {
  const auto& percent = premise.placement.avoid_node_above_percent;
  const bool holds = Nearness(premise.location, premise.node) == Tier::kNode;
  return Switch("avoidNodeAbovePercent", percent && holds, std::to_string(percent.value_or(0)),
                "avoidNodeAbovePercent not set",
                [](Premise& p) { p.placement.avoid_node_above_percent.reset(); });
}

Lever ModeLever(const Premise& premise) {
  return Switch("mode", premise.placement.mode == "Require", premise.placement.mode,
                "spec.placement.mode Prefer", [](Premise& p) { p.placement.mode = "Prefer"; });
}

Lever TierLever(const Premise& premise) {
  const std::string tier = premise.placement.tier.empty() ? "Node" : premise.placement.tier;
  std::vector<std::string> wider;
  if (tier == TierName(Tier::kNode)) wider.emplace_back(TierName(Tier::kRack));
  if (tier != TierName(Tier::kZone)) wider.emplace_back(TierName(Tier::kZone));
  return {
      .input = "tier",
      .was = tier,
      .levels = static_cast<int64_t>(wider.size()),
      .apply = [wider](Premise& p,
                       int64_t level) { p.placement.tier = wider[static_cast<size_t>(level - 1)]; },
      .say = [wider](int64_t level) -> Lever::Wording {
        return {level, "spec.placement.tier " + wider[static_cast<size_t>(level - 1)]};
      }};
}

}  // namespace

std::vector<Lever> LeversOf(const Premise& premise) {
  return {Switch("ready", !premise.node.ready, "not ready", "the node ready",
                 [](Premise& p) { p.node.ready = true; }),
          Switch("schedulable", !premise.node.schedulable, "cordoned", "the node not cordoned",
                 [](Premise& p) { p.node.schedulable = true; }),
          TaintLever(premise),
          SelectorLever(premise),
          VolumeLever(premise),
          PodsLever(premise),
          BackupPodsLever(premise),
          PressureLever(premise),
          CpuLever(premise),
          MemoryLever(premise),
          RoomLever(premise),
          ReservedLever(premise),
          ImageLever(premise),
          CapLever(premise),
          HeadroomLever(premise),
          AvoidLever(premise),
          ModeLever(premise),
          TierLever(premise),
          DataLever(premise)};
}

Lever AllOf(const std::vector<Lever>& levers) {
  std::vector<Lever> own;
  for (const Lever& lever : levers) {
    if (lever.levels > 0 && (lever.input == "pressure" || lever.input == "cpu" ||
                             lever.input == "memory" || lever.input == "reserved")) {
      own.push_back(lever);
    }
  }
  return Switch("all", true, "in use", "the node idle and empty", [own](Premise& p) {
    for (const Lever& lever : own) lever.apply(p, lever.levels);
  });
}

}  // namespace longshore::placement

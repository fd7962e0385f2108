// SPDX-License-Identifier: Apache-2.0
#include "controller/request_conditions.h"

#include <algorithm>

#include "common/base/strings.h"
#include "controller/clip.h"
#include "controller/environment.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kUnboundIsNews{5};
constexpr std::chrono::minutes kDrainIsStalled{15};  // as alert LongshoreDrainStalled
constexpr size_t kMostNamed = 8;                     // of what a request waits for to end

api::Condition Make(const char* type, const char* status, std::string reason, std::string message) {
  return {type, status, std::move(reason), Clip(std::move(message)), "", 0};
}

const CrewMember* Troubled(const Crew& crew) {
  for (const CrewMember& member : crew.members) {
    const bool slow = member.row->status.reason == kReasonContainerCreating;
    if (member.in_trouble() || (slow && member.on_its_way())) return &member;
  }
  return nullptr;
}

api::Condition PodsProvisioned(const ConditionInput& in) {
  const int working =
      static_cast<int>(std::count_if(in.crew.members.begin(), in.crew.members.end(),
                                     [](const CrewMember& m) { return m.working(); }));
  const std::string count =
      std::to_string(working) + " of " + std::to_string(in.desired) + " pods work";
  if (!in.accepted && in.desired == 0) {
    return Make("PodsProvisioned", "False", "NotAccepted", "no pod is made; Accepted says why");
  }
  if (working >= in.desired) return Make("PodsProvisioned", "True", "PodsProvisioned", count);
  if (!in.no_node.empty()) {
    const std::string other =
        in.require_timeout
            ? "wait: nearness is only preferred when the source's requireTimeoutSeconds of " +
                  std::to_string(*in.require_timeout) + " are over"
            : "set its spec.placement.requireTimeoutSeconds or mode to Prefer";
    return Make("PodsProvisioned", "False", "NoFeasibleNode",
                count + "; no node is near enough and has room: " + in.no_node +
                    "; free a node, correct the source's spec.location, or " + other);
  }
  if (const CrewMember* member = Troubled(in.crew)) {
    return Make("PodsProvisioned", "False", member->row->status.reason,
                count + "; " + member->row->metadata.name + ": " + member->row->status.message);
  }
  if (in.held) {
    return Make("PodsProvisioned", "False", in.held->reason, count + "; " + in.held->message);
  }
  return Make("PodsProvisioned", "False", "CreatingPods", count);
}

// Since when it is False says how long the request has been waiting for a node (request_crew.cc).
api::Condition Placeable(const ConditionInput& in) {
  if (in.no_node.empty()) return Make("Placeable", "True", "Placeable", "");
  return Make("Placeable", "False", "NoFeasibleNode",
              "no node is near enough and has room: " + in.no_node);
}

api::Condition Available(const ConditionInput& in) {
  const api::PodStateCounts counts = in.crew.Counts();
  if (counts.available > 0) {
    return Make("Available", "True", "PodsAssignable",
                std::to_string(counts.available) + " pods can be assigned an operation now");
  }
  if (counts.assigned > 0) return Make("Available", "False", "AllBusy", "every pod has work");
  if (counts.draining > 0) return Make("Available", "False", "Draining", "the pods are leaving");
  return Make("Available", "False", "NoPods",
              in.desired == 0 ? "no pod is wanted now" : "no pod works yet");
}

api::Condition ScalingActive(const ConditionInput& in) {
  if (!in.accepted) {
    return Make(kScalingActive, "False", "NotAccepted", "nothing is scaled; Accepted says why");
  }
  if (!in.has_rules) {
    return Make(kScalingActive, "False", "NotConfigured", "spec.scaling.signals is empty");
  }
  if (!in.scaling.silent.empty()) {
    return Make(kScalingActive, "False", kReasonSignalsMissing,
                "no fresh usage of " + Join(in.scaling.silent, ", ") +
                    "; unknown usage neither grows nor shrinks anything: is the node agent of "
                    "their nodes running and connected?");
  }
  if (in.restarted) {
    return Make(kScalingActive, "True", "ControllerRestarted",
                "grows; takes nothing away before a whole idle time was seen");
  }
  const bool any = std::ranges::any_of(in.crew.members, &CrewMember::working);
  return Make(kScalingActive, "True", "SignalsFresh",
              any ? "usage of every pod is fresh" : "no pod works, so none is measured");
}

api::Condition ScalingLimited(const ConditionInput& in) {
  const auto& limit = in.scaling.limit ? in.scaling.limit : in.held;
  if (!limit) return Make("ScalingLimited", "False", "WithinRange", "");
  std::string message;
  for (const api::ScalingCandidate& wish : in.scaling.candidates) {
    if (!wish.chosen || wish.pods <= limit->pods) continue;
    // What usage would take changes each second, and this is written.
    const bool level = wish.name != api::kCandidateUsage;
    message = wish.name + " wants " + (level ? std::to_string(wish.pods) : "more") + " pods: ";
  }
  return Make("ScalingLimited", "True", limit->reason, message + limit->message);
}

api::Condition DeadlineAtRisk(const ConditionInput& in) {
  const scaling::DeadlineEstimate& estimate = in.deadline;
  if (!in.has_deadline) {
    return Make("DeadlineAtRisk", "False", "NotConfigured",
                "neither spec.deadline nor spec.dailyDeadline is set");
  }
  if (estimate.reason.empty() || estimate.reason == scaling::kNoEstimate) {
    return Make("DeadlineAtRisk", "Unknown", scaling::kNoEstimate, estimate.message);
  }
  const bool on_track = estimate.reason == scaling::kOnTrack;
  return Make("DeadlineAtRisk", on_track ? "False" : "True", estimate.reason, estimate.message);
}

api::Condition PlacementVetted(const ConditionInput& in) {
  std::vector<std::string> without, waiting;
  int vetted = 0;
  for (const CrewMember& member : in.crew.members) {
    if (member.ended()) continue;
    const api::BackupPodStatus& status = member.row->status;
    if (status.vetting == "WithoutExtender") without.push_back(member.row->metadata.name);
    if (status.vetting == "Extender") ++vetted;
    const bool unbound = status.node_name.empty() && !status.pod_uid.empty();
    if (unbound && Since(status.last_transition_time, in.now) > kUnboundIsNews) {
      waiting.push_back(member.row->metadata.name);
    }
  }
  if (!without.empty()) {
    return Make("PlacementVetted", "False", "PlacedWithoutExtender",
                "no verdict of an extender reached us for " + Join(without, ", ") +
                    "; is the extender running?");
  }
  if (!waiting.empty()) {
    return Make("PlacementVetted", "Unknown", "Waiting", "not placed yet: " + Join(waiting, ", "));
  }
  if (vetted > 0) return Make("PlacementVetted", "True", "Vetted", "");
  return Make("PlacementVetted", "Unknown", "Waiting", "no pod is placed yet");
}

std::string Waits(const api::Operation& operation) {
  const std::string& name = operation.metadata.name;
  const api::OperationStatus& status = operation.status;
  std::string said = "operation " + name + " is " + api::StateOf(operation);
  if (!status.pod.empty()) said += " on pod " + status.pod + " since " + status.start_time;
  return said + " (`longshore operations cancel " + name + "` ends it)";
}

// Of its own, or of somebody who has acquired it; with its operation it is named there.
bool WaitsByItself(const CrewMember& member) {
  const auto& lease = member.row->status.lease;
  return member.may_run() && (!lease || lease->operation.empty());
}

std::string Waits(const CrewMember& member) {
  const api::BackupPod& row = *member.row;
  const std::string& since = row.status.last_transition_time;
  return "pod " + row.metadata.name + " is " + api::StateOf(row) + " since " +
         (since.empty() ? row.metadata.creation_timestamp : since);
}

}  // namespace

api::Condition DrainStalled(const std::vector<api::Operation>& operations, const Crew& crew,
                            WallTime since, WallTime now) {
  std::vector<std::string> waits;
  for (const api::Operation& operation : operations) {
    if (!api::Terminal(operation.status.state)) waits.push_back(Waits(operation));
  }
  const bool work = !waits.empty();
  for (const CrewMember& member : crew.members) {
    if (WaitsByItself(member)) waits.push_back(Waits(member));
  }
  if (waits.empty()) return Make(kDrainStalled, "False", "Drained", "");
  const size_t named = std::min(waits.size(), kMostNamed), more = waits.size() - named;
  waits.resize(named);
  std::string message = "waits since " + FormatTimeSeconds(since) + " for: " + Join(waits, ", ");
  if (more > 0) message += ", and " + std::to_string(more) + " more";
  if (now - since < kDrainIsStalled) return Make(kDrainStalled, "False", "Draining", message);
  return Make(kDrainStalled, "True", work ? "OperationsRunning" : "PodsRemain", message);
}

std::vector<api::Condition> MakeConditions(const ConditionInput& input) {
  std::vector<api::Condition> all = {
      PodsProvisioned(input), Available(input),      ScalingActive(input),  ScalingLimited(input),
      Placeable(input),       DeadlineAtRisk(input), PlacementVetted(input)};
  if (input.copies_apart) all.push_back(*input.copies_apart);
  return all;
}

}  // namespace longshore::controller

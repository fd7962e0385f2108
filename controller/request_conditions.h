// SPDX-License-Identifier: Apache-2.0
//
// The conditions of a ComputeRequest, from what one visit saw. Pure; used by the request
// reconciler. docs/controller.md lists every reason.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/scaling/deadline.h"
#include "common/scaling/scaling.h"
#include "controller/crew.h"

namespace longshore::controller {

inline constexpr char kScalingActive[] = "ScalingActive";
inline constexpr char kDrainStalled[] = "DrainStalled";
// Reason of ScalingActive: some pods' usage is not fresh.
inline constexpr char kReasonSignalsMissing[] = "SignalsMissing";

struct ConditionInput {
  const Crew& crew;
  const scaling::ScalingVerdict& scaling;
  bool accepted = false;  // every reference was found
  bool has_rules = false;
  bool restarted = false;  // this leader has not yet seen a whole idle window
  int desired = 0;
  bool has_deadline = false;
  const scaling::DeadlineEstimate& deadline;
  // What copies_apart.h found; empty: nothing, the references are missing.
  std::optional<api::Condition> copies_apart;
  std::string no_node;                     // required placement, and no node will do: why
  std::optional<int64_t> require_timeout;  // s, of the source's placement
  std::optional<api::ScalingLimit> held;   // a cap keeps it from making all that are wanted
  WallTime now;
};

// Those but Accepted, which acceptance makes.
std::vector<api::Condition> MakeConditions(const ConditionInput& input);

// Whether a request that has been ending since then takes long to. The message names what it waits
// for, with what helps; empty: nothing.
api::Condition DrainStalled(const std::vector<api::Operation>& operations, const Crew& crew,
                            WallTime since, WallTime now);

}  // namespace longshore::controller

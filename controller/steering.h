// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a new backup pod is offered: the placement library's best few, wider with every
// attempt that found no room. Needed because a scheduler of a big cluster shows an extender only a
// sample of the nodes, which mostly lacks the one with the data.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/placement/ranking.h"
#include "controller/acceptance.h"

namespace longshore::controller {

struct Steer {
  std::vector<std::string> candidates;  // best first; empty: anywhere
  bool possible = true;                 // false: required placement, and no node will do now
  std::string location;                 // where the data is and how we know
};

// Borrowed for one call.
struct SteerInput {
  const References& references;
  const api::ComputeRequest& request;
  const placement::View& view;
  const placement::PressureMap& pressure;
};

// How many pods of ours are about to be bound to each node.
using Expected = std::map<std::string, int>;
// A row that looks for a node holds a place on the first that it was offered, whatever its request,
// so that a burst spreads. Not for longer than kHoldsPlace: who waits for something else must not
// keep others away.
Expected ExpectedOn(const std::vector<api::BackupPodPtr>& looking, const placement::View& view,
                    WallTime now);
inline constexpr std::chrono::seconds kHoldsPlace{30};

// `widening`: how many attempts of the slot found no room. `relaxed`: nearness is only preferred,
// though the source requires it.
Steer SteerPod(const SteerInput& input, const Expected& expected, int widening, bool relaxed);

// How long nearness is still required for a pod that has been looking for a node for so long; zero:
// no more. Empty: for ever, or it never was.
std::optional<std::chrono::nanoseconds> RequirementLeft(const api::BackupSource& source,
                                                        std::chrono::nanoseconds waited);

// How many more pods the nodes that would do may have by spec.maxPodsPerNode of the policy, those
// that look for a node counted as if they had none yet. Empty: any number.
std::optional<int> PlacesUnderNodeCap(const SteerInput& input);

// Whether another attempt would be offered more than this row was.
bool WiderExists(const SteerInput& input, const api::BackupPod& row);

}  // namespace longshore::controller

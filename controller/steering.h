// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a new backup pod is offered: the placement library's best few, wider with every
// attempt that found no room. Needed because a scheduler of a big cluster shows an extender only a
// sample of the nodes, which mostly lacks the one with the data.
#pragma once

#include <string>
#include <vector>

#include "common/placement/ranking.h"
#include "controller/acceptance.h"
#include "controller/crew.h"

namespace longshore::controller {

struct Steer {
  std::vector<std::string> candidates;  // best first; empty: anywhere
  bool possible = true;                 // false: required placement, and no node will do now
  std::string location;                 // where the data is and how we know
};

// `widening`: how many attempts of the slot found no room. `on_their_way` are rows whose pods are
// not bound yet: they hold a place on their first candidate, so that a burst spreads.
Steer SteerPod(const References& references, const placement::View& view,
               const placement::PressureMap& pressure, const Crew& crew, int widening);

// Whether another attempt would be offered more than this row was.
bool WiderExists(const References& references, const placement::View& view,
                 const placement::PressureMap& pressure, const api::BackupPod& row);

}  // namespace longshore::controller

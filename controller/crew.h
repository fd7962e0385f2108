// SPDX-License-Identifier: Apache-2.0
//
// The rows of one request, counted and numbered: who counts toward the desired number, who may
// still run, which slot and attempt come next. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/api/request.h"
#include "common/base/clock.h"

namespace longshore::controller {

// Reason of a row that was given up because no candidate node took it.
inline constexpr char kReasonUnplaced[] = "Unplaced";

struct CrewMember {
  api::BackupPod row;
  bool pod_alive = false;  // a Pod of its name exists and has not ended

  const std::string& state() const { return row.status.state; }
  bool ended() const;   // Deconstructed, Failed or Lost
  bool counts() const;  // toward the desired number: neither ended nor draining
  bool may_run() const { return !ended() || pod_alive; }
  bool on_its_way() const;  // Planned, Provisioning or Draining
  bool working() const;     // Available or Assigned
};

struct Crew {
  std::vector<CrewMember> members;  // by slot, then attempt

  int Counting() const;
  int MayRun() const;
  int OnTheirWay() const;
  api::PodStateCounts Counts() const;
  // The lowest slot in which nothing may run.
  int FreeSlot() const;
  int NextAttempt(int slot) const;
  // The newest row of the slot, or null.
  const CrewMember* Newest(int slot) const;
  // How often in a row the slot was given up as Unplaced: the more, the wider the choice of nodes.
  int Widening(int slot) const;
  // How long to wait before the slot is tried again: none after the first failure, then doubling.
  std::chrono::milliseconds BackOff(int slot, WallTime now) const;
  // Ended rows that nobody needs: all but the newest of each slot, when older than `age`.
  std::vector<const CrewMember*> Prunable(WallTime now, std::chrono::seconds age) const;
};

Crew MakeCrew(std::vector<api::BackupPod> rows,
              const std::function<bool(const api::BackupPod&)>& pod_alive);

}  // namespace longshore::controller

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

// Reason of a row that is Provisioning and has no trouble.
inline constexpr char kReasonPodCreated[] = "PodCreated";
// Of one whose Pod has a node, and no container for long: it may yet come.
inline constexpr char kReasonContainerCreating[] = "ContainerCreating";
// Of one that was waited for in vain: nobody counts on it any more.
inline constexpr char kReasonStartDeadlineExceeded[] = "StartDeadlineExceeded";
// Reason of a row that was given up because no candidate node took it.
inline constexpr char kReasonUnplaced[] = "Unplaced";
// The same, of a row whose source requires nearness for a limited time only, which is over.
inline constexpr char kReasonRequireTimedOut[] = "RequireTimedOut";

// The attempts of a slot that were given up unbound, one after the other, up to the last one.
struct Search {
  int widening = 0;  // how much wider than at first the next one's choice of nodes is
  int first_attempt = -1;
  std::string since;     // when the first of them was made; empty: there is none
  bool relaxed = false;  // nearness is only preferred already
};

// Of the Pod of a row's name.
struct PodLife {
  PodLife(bool pod_alive = false) : alive(pod_alive) {}  // NOLINT: often nothing else is known
  bool alive;                                            // it exists and has not ended
  std::string started;                                   // RFC 3339; empty: its containers have not
  std::string policy;                                    // its label kLabelPolicyHash
  std::string memory_limit;        // of its container, a quantity; empty: none
  bool killed_for_memory = false;  // its container, when it ended last
};

struct CrewMember {
  api::BackupPodPtr row;  // never null
  PodLife pod = {};

  const std::string& state() const { return row->status.state; }
  bool ended() const;   // Deconstructed, Failed or Lost
  bool counts() const;  // toward the desired number: neither ended nor draining
  bool may_run() const { return !ended() || pod.alive; }
  bool on_its_way() const;  // Planned, Provisioning or Draining
  // Planned or Provisioning, and its row says what keeps it from working: nobody knows for how
  // long.
  bool in_trouble() const;
  bool working() const;  // Available or Assigned
};

struct Crew {
  std::vector<CrewMember> members;  // by slot, then attempt

  void Add(api::BackupPodPtr row, PodLife life);
  int Counting() const;
  int MayRun() const;
  int OnTheirWay() const;  // in trouble or not
  int InTrouble() const;
  int Moving() const;  // on their way, and not in trouble: it will not be long
  api::PodStateCounts Counts() const;
  // The lowest slot in which nothing may run.
  int FreeSlot() const;
  int NextAttempt(int slot) const;
  // The one of that name, or null.
  const CrewMember* Find(const std::string& name) const;
  // The newest row of the slot, or null.
  const CrewMember* Newest(int slot) const;
  // Those before this attempt.
  Search SearchOf(int slot, int attempt) const;
  // How long to wait before the slot is tried again: none after the first failure, then doubling.
  std::chrono::milliseconds BackOff(int slot, WallTime now) const;
  // Ended rows that nobody needs, when older than `age`: all but the newest of each slot, and the
  // one that says since when a node is looked for. Those too where no pod will be made any more.
  std::vector<const CrewMember*> Prunable(WallTime now, std::chrono::seconds age, bool over) const;

 private:
  int Count(bool (CrewMember::*is)() const) const;
};

Crew MakeCrew(std::vector<api::BackupPodPtr> rows,
              const std::function<PodLife(const api::BackupPod&)>& life_of);

}  // namespace longshore::controller

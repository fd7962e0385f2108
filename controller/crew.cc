// SPDX-License-Identifier: Apache-2.0
#include "controller/crew.h"

#include <algorithm>
#include <set>

#include "controller/environment.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kLongestBackOff{60};

bool Failure(const CrewMember& member) {
  return member.state() == api::kFailed || member.state() == api::kLost;
}

}  // namespace

bool CrewMember::ended() const {
  return state() == api::kDeconstructed || state() == api::kFailed || state() == api::kLost;
}
bool CrewMember::counts() const { return !ended() && state() != api::kDraining; }
bool CrewMember::working() const { return state() == api::kAvailable || state() == api::kAssigned; }
bool CrewMember::on_its_way() const { return !ended() && !working(); }

int Crew::Counting() const {
  return static_cast<int>(std::count_if(members.begin(), members.end(),
                                        [](const CrewMember& m) { return m.counts(); }));
}

int Crew::MayRun() const {
  return static_cast<int>(std::count_if(members.begin(), members.end(),
                                        [](const CrewMember& m) { return m.may_run(); }));
}

int Crew::OnTheirWay() const {
  return static_cast<int>(std::count_if(members.begin(), members.end(),
                                        [](const CrewMember& m) { return m.on_its_way(); }));
}

api::PodStateCounts Crew::Counts() const {
  api::PodStateCounts counts;
  for (const CrewMember& member : members) {
    const std::string& state = member.state();
    if (state.empty() || state == api::kPlanned) ++counts.planned;
    if (state == api::kProvisioning) ++counts.provisioning;
    if (state == api::kAvailable) ++counts.available;
    if (state == api::kAssigned) ++counts.assigned;
    if (state == api::kDraining) ++counts.draining;
    if (Failure(member)) ++counts.failed;
  }
  return counts;
}

int Crew::FreeSlot() const {
  std::set<int> taken;
  for (const CrewMember& member : members) {
    if (member.may_run()) taken.insert(member.row.spec.slot);
  }
  int slot = 0;
  while (taken.contains(slot)) ++slot;
  return slot;
}

const CrewMember* Crew::Newest(int slot) const {
  const CrewMember* newest = nullptr;
  for (const CrewMember& member : members) {
    if (member.row.spec.slot == slot) newest = &member;  // sorted by attempt
  }
  return newest;
}

int Crew::NextAttempt(int slot) const {
  const CrewMember* newest = Newest(slot);
  return newest == nullptr ? 0 : newest->row.spec.attempt + 1;
}

int Crew::Widening(int slot) const {
  int level = 0;
  for (const CrewMember& member : members) {
    if (member.row.spec.slot != slot) continue;
    level = member.row.status.reason == kReasonUnplaced ? level + 1 : 0;
  }
  return level;
}

std::chrono::milliseconds Crew::BackOff(int slot, WallTime now) const {
  int failures = 0;
  for (const CrewMember& member : members) {
    if (member.row.spec.slot != slot) continue;
    const bool counts = Failure(member) && member.row.status.reason != kReasonUnplaced;
    failures = counts ? failures + 1 : 0;
  }
  if (failures < 2) return std::chrono::milliseconds(0);
  const auto wanted = std::min<std::chrono::nanoseconds>(
      kLongestBackOff, std::chrono::seconds(1 << std::min(failures - 1, 10)));
  const auto waited = Since(Newest(slot)->row.status.last_transition_time, now);
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::max<std::chrono::nanoseconds>(wanted - waited, std::chrono::nanoseconds(0)));
}

std::vector<const CrewMember*> Crew::Prunable(WallTime now, std::chrono::seconds age) const {
  std::vector<const CrewMember*> old;
  for (const CrewMember& member : members) {
    if (!member.may_run() && Newest(member.row.spec.slot) != &member &&
        Since(member.row.status.last_transition_time, now) > age) {
      old.push_back(&member);
    }
  }
  return old;
}

Crew MakeCrew(std::vector<api::BackupPod> rows,
              const std::function<bool(const api::BackupPod&)>& pod_alive) {
  Crew crew;
  for (api::BackupPod& row : rows) {
    const bool alive = pod_alive(row);
    crew.members.push_back({std::move(row), alive});
  }
  std::sort(crew.members.begin(), crew.members.end(), [](const CrewMember& a, const CrewMember& b) {
    return std::pair(a.row.spec.slot, a.row.spec.attempt) <
           std::pair(b.row.spec.slot, b.row.spec.attempt);
  });
  return crew;
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
#include "controller/crew.h"

#include <algorithm>
#include <set>

#include "controller/waited.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kLongestBackOff{60};

bool Failure(const CrewMember& member) {
  return member.state() == api::kFailed || member.state() == api::kLost;
}

bool GivenUp(const CrewMember& member) {
  const std::string& reason = member.row->status.reason;
  return reason == kReasonUnplaced || reason == kReasonRequireTimedOut;
}

}  // namespace

bool CrewMember::ended() const { return api::Ended(state()); }
bool CrewMember::counts() const { return !ended() && state() != api::kDraining; }
bool CrewMember::working() const { return state() == api::kAvailable || state() == api::kAssigned; }
bool CrewMember::on_its_way() const { return !ended() && !working(); }
bool CrewMember::in_trouble() const {
  const std::string& reason = row->status.reason;
  return on_its_way() && state() != api::kDraining && !reason.empty() &&
         reason != kReasonPodCreated && reason != kReasonContainerCreating;
}

int Crew::Count(bool (CrewMember::*is)() const) const {
  return static_cast<int>(std::ranges::count_if(members, is));
}
int Crew::Counting() const { return Count(&CrewMember::counts); }
int Crew::MayRun() const { return Count(&CrewMember::may_run); }
int Crew::OnTheirWay() const { return Count(&CrewMember::on_its_way); }
int Crew::InTrouble() const { return Count(&CrewMember::in_trouble); }
int Crew::Moving() const { return OnTheirWay() - InTrouble(); }

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

const CrewMember* Crew::Find(const std::string& name) const {
  for (const CrewMember& member : members) {
    if (member.row->metadata.name == name) return &member;
  }
  return nullptr;
}

int Crew::FreeSlot() const {
  std::set<int> taken;
  for (const CrewMember& member : members) {
    // A Pod that was given up goes, and its slot is tried again at once.
    if (member.may_run() && !GivenUp(member)) taken.insert(member.row->spec.slot);
  }
  int slot = 0;
  while (taken.contains(slot)) ++slot;
  return slot;
}

const CrewMember* Crew::Newest(int slot) const {
  const CrewMember* newest = nullptr;
  for (const CrewMember& member : members) {
    if (member.row->spec.slot == slot) newest = &member;  // sorted by attempt
  }
  return newest;
}

int Crew::NextAttempt(int slot) const {
  const CrewMember* newest = Newest(slot);
  return newest == nullptr ? 0 : newest->row->spec.attempt + 1;
}

Search Crew::SearchOf(int slot, int attempt) const {
  Search search;
  for (const CrewMember& member : members) {
    const api::BackupPodSpec& spec = member.row->spec;
    if (spec.slot != slot || spec.attempt >= attempt) continue;
    if (!GivenUp(member)) {
      search = {};
      continue;
    }
    const bool timed_out = member.row->status.reason == kReasonRequireTimedOut;
    search.widening = timed_out ? 1 : search.widening + 1;
    search.relaxed = timed_out || !spec.placement_mode.empty();
    if (search.since.empty()) {
      search.first_attempt = spec.attempt;
      search.since = member.row->metadata.creation_timestamp;
    }
  }
  return search;
}

std::chrono::milliseconds Crew::BackOff(int slot, WallTime now) const {
  int failures = 0;
  for (const CrewMember& member : members) {
    if (member.row->spec.slot != slot) continue;
    const bool counts = Failure(member) && !GivenUp(member);
    failures = counts ? failures + 1 : 0;
  }
  if (failures < 2) return std::chrono::milliseconds(0);
  const auto wanted = std::min<std::chrono::nanoseconds>(
      kLongestBackOff, std::chrono::seconds(1 << std::min(failures - 1, 10)));
  const auto waited = Waited(Newest(slot)->row->status.last_transition_time, now);
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::max<std::chrono::nanoseconds>(wanted - waited, std::chrono::nanoseconds(0)));
}

std::vector<const CrewMember*> Crew::Prunable(WallTime now, std::chrono::seconds age,
                                              bool over) const {
  std::vector<const CrewMember*> old;
  for (const CrewMember& member : members) {
    if (member.may_run() || Since(member.row->status.last_transition_time, now) <= age) continue;
    const CrewMember* newest = Newest(member.row->spec.slot);
    const auto search = [&] { return SearchOf(newest->row->spec.slot, newest->row->spec.attempt); };
    const bool needed =
        !over && (newest == &member || member.row->spec.attempt == search().first_attempt);
    if (!needed) old.push_back(&member);
  }
  return old;
}

void Crew::Add(api::BackupPodPtr row, PodLife life) {
  const auto order = [](const api::BackupPod& r) { return std::pair(r.spec.slot, r.spec.attempt); };
  const auto after = std::find_if(members.begin(), members.end(), [&](const CrewMember& member) {
    return order(*row) < order(*member.row);
  });
  members.insert(after, {std::move(row), std::move(life)});
}

Crew MakeCrew(std::vector<api::BackupPodPtr> rows,
              const std::function<PodLife(const api::BackupPod&)>& life_of) {
  Crew crew;
  for (api::BackupPodPtr& row : rows) {
    PodLife life = life_of(*row);
    crew.Add(std::move(row), std::move(life));
  }
  return crew;
}

}  // namespace longshore::controller

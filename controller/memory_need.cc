// SPDX-License-Identifier: Apache-2.0
#include "controller/memory_need.h"

#include <algorithm>

#include "common/base/strings.h"
#include "controller/pod_facts.h"
#include "controller/pod_template.h"

namespace longshore::controller {
namespace {

constexpr char kMemory[] = "memory";
constexpr int64_t kMebibyte = int64_t{1} << 20;

// 0 when it is none.
int64_t Bytes(const std::string& quantity) {
  const auto milli = ParseQuantityMilli(quantity);
  return milli ? std::max<int64_t>(*milli / 1000, 0) : 0;
}

int64_t Bytes(const std::map<std::string, std::string>& resources) {
  const auto found = resources.find(kMemory);
  return found == resources.end() ? 0 : Bytes(found->second);
}

// At least so much, in whole Mi or Gi.
std::string Quantity(int64_t bytes) {
  const int64_t mebibytes = (bytes + kMebibyte - 1) / kMebibyte;
  if (mebibytes % 1024 == 0) return std::to_string(mebibytes / 1024) + "Gi";
  return std::to_string(mebibytes) + "Mi";
}

bool IsAlive(const Crew& crew, const std::string& pod) {
  const CrewMember* member = crew.Find(pod);
  return member != nullptr && member->pod.alive;
}

// By its row, or as the row's last reason where the CRD is older and does not keep the mark.
bool WasKilled(const CrewMember& member) {
  const api::BackupPodStatus& status = member.row->status;
  return member.pod.alive && (member.pod.killed_for_memory || status.reason == kReasonOOMKilled ||
                              status.out_of_memory.value_or(false));
}

}  // namespace

bool GivesMore(const MemoryAllowance& allowance, const api::OutOfMemory& known) {
  return allowance.given > Bytes(known.memory_limit);
}

MemoryAllowance RaiseMemory(api::PodPolicySpec& policy, const api::SourceImageSpec& image,
                            const std::optional<api::OutOfMemory>& known) {
  MemoryAllowance allowance;
  if (!known) return allowance;  // as a rule, and this is asked in each visit
  const api::ResourceRequirements own = EffectiveResources(image, policy);
  allowance.given = allowance.own = Bytes(own.limits);
  allowance.most = Bytes(policy.max_memory);
  if (allowance.own == 0) return allowance;
  const int64_t wanted = std::min(2 * Bytes(known->memory_limit), allowance.most);
  if (wanted <= allowance.own) return allowance;
  allowance.given = wanted;
  allowance.said = policy.resources;
  const auto at_most = [](int64_t bytes, const std::string& limit) {
    const std::string whole = Quantity(bytes);
    return Bytes(whole) > Bytes(limit) ? limit : whole;
  };
  const std::string limit = at_most(wanted, policy.max_memory);
  policy.resources.limits[kMemory] = limit;
  if (const int64_t requested = Bytes(own.requests); requested > 0) {
    const double factor = double(wanted) / double(allowance.own);
    policy.resources.requests[kMemory] =
        at_most(static_cast<int64_t>(double(requested) * factor), limit);
  }
  return allowance;
}

std::optional<api::OutOfMemory> FindKill(const Crew& crew,
                                         const std::optional<api::OutOfMemory>& known,
                                         const std::string& now) {
  const CrewMember* killed = nullptr;
  int64_t too_little = known ? Bytes(known->memory_limit) : 0;
  if (known && !IsAlive(crew, known->pod)) --too_little;
  for (const CrewMember& member : crew.members) {
    const int64_t had = Bytes(member.pod.memory_limit);
    if (!WasKilled(member) || had <= too_little) continue;
    killed = &member;
    too_little = had;
  }
  if (killed == nullptr) return std::nullopt;
  return api::OutOfMemory{killed->row->metadata.name, killed->pod.memory_limit, now};
}

std::optional<api::OutOfMemory> LearnKill(const api::BackupSource& source,
                                          const std::string& purpose, api::PodPolicySpec policy,
                                          const api::SourceImageSpec& image) {
  for (const api::OutOfMemoryByPurpose& known : source.status.out_of_memory) {
    if (known.purpose != purpose) continue;
    if (RaiseMemory(policy, image, known.kill).raised()) return known.kill;
  }
  return std::nullopt;
}

bool KeepKill(api::BackupSourceStatus& source, const api::ComputeRequest& request) {
  const auto& found = request.status.out_of_memory;
  if (!found) return false;
  for (api::OutOfMemoryByPurpose& known : source.out_of_memory) {
    if (known.purpose != request.spec.purpose) continue;
    if (Bytes(found->memory_limit) <= Bytes(known.kill.memory_limit)) return false;
    known.kill = *found;
    return true;
  }
  source.out_of_memory.push_back({request.spec.purpose, *found});
  return true;
}

std::vector<CrewMember*> HavingTooLittle(Crew& crew, const api::OutOfMemory& known,
                                         const std::string& made_so,
                                         const std::function<bool(const std::string&)>& named) {
  const int64_t too_little = Bytes(known.memory_limit);
  std::vector<CrewMember*> small;
  bool works = false, comes = false;
  for (CrewMember& member : crew.members) {
    const bool enough = member.pod.policy == made_so || member.pod.memory_limit.empty() ||
                        Bytes(member.pod.memory_limit) > too_little;
    const bool makes_room = member.state() == api::kDraining && !enough;
    works |= member.pod.alive && enough && member.working();
    comes |= makes_room || (member.counts() && !member.working() && enough);
    const bool free = member.counts() && member.pod.alive && !member.row->status.lease;
    if (!enough && free && !named(member.row->metadata.name)) small.push_back(&member);
  }
  if (works) return small;
  const auto killed =
      std::ranges::find_if(small, [](const CrewMember* member) { return WasKilled(*member); });
  if (comes || killed == small.end()) return {};
  return {*killed};
}

api::Condition OutOfMemoryCondition(const api::OutOfMemory& known, const MemoryAllowance& allowance,
                                    const std::string& policy, const Crew& crew) {
  const auto make = [](const char* status, const char* reason, std::string message) {
    return api::Condition{kOutOfMemory, status, reason, std::move(message), "", 0};
  };
  const std::string said = "pod " + known.pod + " was killed for memory, of which it might use " +
                           known.memory_limit + " (" + known.time + ")";
  if (GivesMore(allowance, known)) {
    const std::string now = said + "; pods are made with " + Quantity(allowance.given) + " now";
    return make("False", "MemoryRaised",
                allowance.raised() ? now + ", of " + Quantity(allowance.most) +
                                         " that spec.maxMemory of PodPolicy " + policy + " allows"
                                   : now);
  }
  if (!IsAlive(crew, known.pod)) return make("False", kReasonPodGone, said + "; it is gone");
  if (allowance.own == 0) {
    return make("True", "NoMemoryLimit",
                said + "; neither PodPolicy " + policy +
                    " nor the SourceImage has set that: set spec.resources.limits.memory");
  }
  if (allowance.most == 0) {
    return make("True", "NoMaxMemory",
                said + "; raise spec.resources.limits.memory of PodPolicy " + policy +
                    ", or set its spec.maxMemory: up to that the limit is doubled after a kill");
  }
  return make("True", "MaxMemoryReached",
              said + "; raise spec.maxMemory of PodPolicy " + policy + ", which is " +
                  Quantity(allowance.most));
}

}  // namespace longshore::controller

// SPDX-License-Identifier: Apache-2.0
//
// The kernel side in memory, for tests of the attribution: members, indices and counters as
// bpf_host.cc keeps them (tests/nodeagent/kernel_test.cc runs the same collector on the real one).
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

class FakeKernel : public KernelCounters {
 public:
  explicit FakeKernel(uint32_t indices = 100) : indices_(indices) {}

  bool WaitUntil(std::chrono::steady_clock::time_point) override { return false; }
  void Wake() override {}
  void DrainEvents(std::vector<CgroupEvent>& out) override {
    out.insert(out.end(), events.begin(), events.end());
    events.clear();
  }
  Result<Member> AddMember(Tree tree, uint64_t id, const Member& parent, bool is_root) override {
    if (refuse_members) return Error{Code::kResourceExhausted, "members"};
    if (const auto found = members.find({tree, id}); found != members.end()) {
      if (found->second.overflowed) found->second = Make(parent, is_root);
      Member member = found->second;
      member.existed = true;
      return member;
    }
    return members[{tree, id}] = Make(parent, is_root);
  }
  void RemoveMember(Tree tree, uint64_t id, const Member& member) override {
    members.erase({tree, id});
    if (!member.owns_index) return;
    const uint32_t index = member.index;
    counters.erase(index);
    watched.erase(index);
    std::erase_if(devices, [&](const DeviceRow& row) { return row.index == index; });
    std::erase_if(preemptions, [&](const PreemptionRow& row) {
      return row.victim == index || row.offender == index;
    });
    free_indices.push_back(index);
  }
  std::vector<std::pair<uint64_t, Member>> ListMembers(Tree tree) override {
    std::vector<std::pair<uint64_t, Member>> out;
    for (const auto& [key, member] : members) {
      if (key.first == tree) out.emplace_back(key.second, member);
    }
    return out;
  }
  void Flush() override { ++flushes; }
  Counters Read(uint32_t index) const override {
    const auto found = counters.find(index);
    return found == counters.end() ? Counters{} : found->second;
  }
  Counters ReadOverflow() const override { return Read(1); }
  uint64_t ReadSystemCpuNs() const override { return system_cpu_ns; }
  LostUpdates Lost() const override { return lost; }
  std::vector<DeviceRow> ReadDevices() const override { return devices; }
  void Watch(uint32_t index, bool on) override { watched[index] = on; }
  std::vector<PreemptionRow> ReadPreemptions() const override {
    ++preemption_reads;
    return preemptions;
  }
  std::vector<ProgramCost> Costs() const override { return {}; }

  // What the BPF side does on mkdir: the child is a member, and an event tells of it.
  Member MakeCgroup(Tree tree, uint64_t parent_id, uint64_t id, const std::string& name,
                    bool lose_event = false) {
    const Member member = members[{tree, id}] = Make(members.at({tree, parent_id}), false);
    if (!lose_event) {
      events.push_back({CgroupEvent::Kind::kMade, tree, id, parent_id, member, name});
    }
    return member;
  }
  void RemoveCgroup(Tree tree, uint64_t id) {
    events.push_back({CgroupEvent::Kind::kRemoved, tree, id, 0, {}, ""});
  }
  void UseCpu(Tree tree, uint64_t id, uint64_t nanoseconds) {
    counters[members.at({tree, id}).index].cpu_ns += nanoseconds;
  }

  uint32_t IndexOf(Tree tree, uint64_t id) const { return members.at({tree, id}).index; }

  std::map<std::pair<Tree, uint64_t>, Member> members;
  std::map<uint32_t, Counters> counters;
  std::vector<CgroupEvent> events;
  LostUpdates lost;
  uint64_t system_cpu_ns = 0;
  std::vector<DeviceRow> devices;
  std::map<uint32_t, bool> watched;
  std::vector<PreemptionRow> preemptions;
  std::vector<uint32_t> free_indices;  // the next cgroup gets the last one freed
  int flushes = 0;
  mutable int preemption_reads = 0;
  bool refuse_members = false;

 private:
  Member Make(const Member& parent, bool is_root) {
    Member member;
    member.depth = is_root ? 0 : parent.depth + 1;
    if (member.depth > 3) {
      member.index = parent.index;
      member.overflowed = parent.overflowed;
    } else if (!free_indices.empty()) {
      member.index = free_indices.back();
      free_indices.pop_back();
      member.owns_index = true;
    } else if (next_index_ < indices_) {
      member.index = next_index_++;
      member.owns_index = true;
    } else {
      member.index = 1;
      member.overflowed = true;
    }
    return member;
  }

  uint32_t indices_;
  uint32_t next_index_ = 2;
};

}  // namespace longshore::nodeagent

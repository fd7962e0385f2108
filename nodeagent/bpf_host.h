// SPDX-License-Identifier: Apache-2.0
//
// Loads and attaches the programs of bpf/agent.bpf.c and reads their maps. Needs CAP_BPF and
// CAP_PERFMON, and a kernel >= 5.10 with BTF (before 5.11 also CAP_SYS_RESOURCE, for locked
// memory). Nothing is pinned: all of it goes with the process.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/files.h"
#include "nodeagent/cgroup_layout.h"
#include "nodeagent/kernel_counters.h"

struct agent_event;
struct ring_buffer;

namespace longshore::nodeagent {

struct BpfConfig {
  uint32_t max_cgroups = 2048;       // how many are counted apart; 320 bytes each per CPU
  uint32_t max_device_cells = 1024;  // pairs of cgroup and device, at most 4096; 712 bytes each
  // As in /proc/self/cgroup; 0 is cgroup v2.
  uint32_t cpu_hierarchy = 0;
  uint32_t io_hierarchy = 0;      // kNoHierarchy: block I/O is attributed to no one
  bool cpu_from_cpuacct = false;  // no cgroup v2 tree: tasks are looked up in v1's cpuacct
};

class BpfHost final : public KernelCounters {
 public:
  // Loads and attaches. Errors: kPermissionDenied (capability missing), kFailedPrecondition (the
  // kernel cannot; the message holds what libbpf said), kInvalidArgument.
  static Result<std::unique_ptr<BpfHost>> Load(const BpfConfig& config);
  ~BpfHost() override;
  BpfHost(const BpfHost&) = delete;
  BpfHost& operator=(const BpfHost&) = delete;

  bool WaitUntil(std::chrono::steady_clock::time_point deadline) override;
  void Wake() override;
  void DrainEvents(std::vector<CgroupEvent>& out) override;
  Result<Member> AddMember(Tree tree, uint64_t id, const Member& parent, bool is_root) override;
  void RemoveMember(Tree tree, uint64_t id, const Member& member) override;
  std::vector<std::pair<uint64_t, Member>> ListMembers(Tree tree) override;
  void Flush() override;
  Counters Read(uint32_t index) const override;
  Counters ReadOverflow() const override;
  uint64_t ReadSystemCpuNs() const override;
  LostUpdates Lost() const override;
  std::vector<DeviceRow> ReadDevices() const override;
  void Watch(uint32_t index, bool watched) override;
  std::vector<PreemptionRow> ReadPreemptions() const override;
  std::vector<ProgramCost> Costs() const override;

  // Signals that this kernel doesn't give: "block-io", "block-latency", "file-io", "fsync",
  // "network", "oom-kills", "reclaim", "run-queue-wait".
  const std::vector<std::string>& degraded() const;
  // Tries "fsync" again if it is one of them: its tracepoints may be of a module that was not
  // loaded yet. True when it is measured from now on.
  bool AttachLate();

 private:
  struct Retired;
  explicit BpfHost(const BpfConfig& config);
  Status Open();
  uint32_t TakeIndex(uint32_t depth, const Member& parent);
  void GiveBack(const Member& member);
  Member Promote(Tree tree, uint64_t id, const Member& member, const Member& parent);
  void Forget(uint32_t index);
  std::vector<PreemptionRow> ReadPairs() const;
  bool Rests(const PreemptionRow& row) const;
  void ForgetPreemptions();
  void Recycle();
  uint64_t RecursionMisses() const;
  static int OnEvent(void* context, void* data, size_t size);
  void Append(const struct ::agent_event& event, size_t size);

  const BpfConfig config_;
  std::unique_ptr<class BpfObject> object_;
  struct ::ring_buffer* ring_ = nullptr;
  UniqueFd wake_;
  std::vector<CgroupEvent>* drain_into_ = nullptr;
  std::vector<Retired> retired_;
  bool watched_ = false;  // ever
  mutable uint64_t recursion_misses_ = 0;
  mutable std::optional<std::chrono::steady_clock::time_point> recursion_read_;
};

}  // namespace longshore::nodeagent

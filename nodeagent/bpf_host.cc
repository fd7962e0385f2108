// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/bpf_host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>

#include "agent_bpf.skel.h"
#include "common/base/log.h"
#include "nodeagent/bpf/agent.h"
#include "nodeagent/bpf_cells.h"
#include "nodeagent/bpf_object.h"

namespace longshore::nodeagent {
namespace {

// How long a freed index or cell rests before it is used again: a program that had read it just
// before may still add to it. Far more than any program takes.
constexpr std::chrono::milliseconds kRest{20};
// What only a system call for each program tells is asked so often.
constexpr std::chrono::seconds kAskAgain{10};

Member FromKernel(const agent_member& value, bool existed) {
  Member member;
  member.index = value.index;
  member.depth = value.depth;
  member.overflowed = value.index == AGENT_INDEX_OVERFLOW;
  member.owns_index = value.depth <= AGENT_MAX_DEPTH && !member.overflowed;
  member.existed = existed;
  return member;
}

static_assert(kRunsPerSample == AGENT_COST_SAMPLE);

void Zero(agent_device& cell) { std::memset(&cell, 0, sizeof cell); }

}  // namespace

// An index with its cells, resting.
struct BpfHost::Retired {
  struct Cell {
    uint32_t cell;
    uint64_t key;
  };
  uint32_t index;
  std::vector<Cell> cells;
  std::chrono::steady_clock::time_point since;
};

BpfHost::BpfHost(const BpfConfig& config) : config_(config) {}
BpfHost::~BpfHost() { ring_buffer__free(ring_); }

Result<std::unique_ptr<BpfHost>> BpfHost::Load(const BpfConfig& config) {
  if (config.max_cgroups < 16 || config.max_cgroups > (1u << AGENT_WORD_INDEX_BITS)) {
    return InvalidArgument("max-cgroups: must be 16 to 1048576");
  }
  if (config.max_device_cells < 2 || config.max_device_cells > (1u << AGENT_DEVICE_CELL_BITS)) {
    return InvalidArgument("max-device-cells: must be 2 to 4096");
  }
  auto host = std::unique_ptr<BpfHost>(new BpfHost(config));
  LS_RETURN_IF_ERROR(host->Open());
  return host;
}

Status BpfHost::Open() {
  LS_ASSIGN_OR_RETURN(object_, BpfObject::Load(config_));
  ring_ = ring_buffer__new(bpf_map__fd(object_->skeleton().maps.events), OnEvent, this, nullptr);
  if (ring_ == nullptr) return ErrnoError(errno, "event ring");
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return ErrnoError(errno, "eventfd");
  return {};
}

const std::vector<std::string>& BpfHost::degraded() const { return object_->degraded(); }

bool BpfHost::AttachLate() { return object_->AttachLate(); }

bool BpfHost::WaitUntil(std::chrono::steady_clock::time_point deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  if (nanoseconds <= 0) return false;
  const timespec timeout{static_cast<time_t>(nanoseconds / 1'000'000'000),
                         static_cast<long>(nanoseconds % 1'000'000'000)};
  pollfd fds[2] = {{ring_buffer__epoll_fd(ring_), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  if (::ppoll(fds, 2, &timeout, nullptr) <= 0) return false;
  uint64_t ignored = 0;
  if ((fds[1].revents & POLLIN) != 0) (void)!::read(wake_.get(), &ignored, sizeof ignored);
  return (fds[0].revents & POLLIN) != 0;
}

void BpfHost::Wake() {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void BpfHost::DrainEvents(std::vector<CgroupEvent>& out) {
  drain_into_ = &out;
  (void)ring_buffer__consume(ring_);
  drain_into_ = nullptr;
}

int BpfHost::OnEvent(void* context, void* data, size_t size) {
  if (size >= offsetof(agent_event, name)) {
    static_cast<BpfHost*>(context)->Append(*static_cast<const agent_event*>(data), size);
  }
  return 0;
}

void BpfHost::Append(const agent_event& event, size_t size) {
  CgroupEvent out;
  switch (event.kind) {
    case AGENT_EVENT_MKDIR:
      out.kind = CgroupEvent::Kind::kMade;
      break;
    case AGENT_EVENT_RMDIR:
      out.kind = CgroupEvent::Kind::kRemoved;
      break;
    case AGENT_EVENT_ATTACH:
      out.kind = CgroupEvent::Kind::kTaskMoved;
      break;
    default:
      return;
  }
  out.tree = event.hierarchy == config_.cpu_hierarchy ? Tree::kCpu : Tree::kIo;
  out.id = event.id;
  out.parent_id = event.parent_id;
  out.member = FromKernel({.index = event.index, .depth = event.depth}, true);
  if (size >= sizeof(agent_event)) {
    out.name.assign(event.name, ::strnlen(event.name, sizeof event.name));
  }
  drain_into_->push_back(std::move(out));
}

uint32_t BpfHost::TakeIndex(uint32_t depth, const Member& parent) {
  if (depth > AGENT_MAX_DEPTH) return parent.index;
  uint32_t index = 0;
  const int free_indices = bpf_map__fd(object_->skeleton().maps.free_indices);
  if (bpf_map_lookup_and_delete_elem(free_indices, nullptr, &index) != 0) {
    return AGENT_INDEX_OVERFLOW;
  }
  return index;
}

void BpfHost::GiveBack(const Member& member) {
  if (!member.owns_index) return;
  (void)bpf_map_update_elem(bpf_map__fd(object_->skeleton().maps.free_indices), nullptr,
                            &member.index, BPF_ANY);
}

// What runs there is counted as before until it is settled for the next time.
Member BpfHost::Promote(Tree tree, uint64_t id, const Member& member, const Member& parent) {
  const agent_member value{.index = TakeIndex(member.depth, parent), .depth = member.depth};
  if (value.index == AGENT_INDEX_OVERFLOW) return member;
  const Member promoted = FromKernel(value, true);
  if (bpf_map_update_elem(bpf_map__fd(object_->members(tree)), &id, &value, BPF_EXIST) != 0) {
    GiveBack(promoted);
    return member;
  }
  __atomic_fetch_add(&object_->words(tree)[id % AGENT_WORDS],
                     agent_word_of(id, value.index) - agent_word_of(id, member.index),
                     __ATOMIC_RELAXED);
  return promoted;
}

Result<Member> BpfHost::AddMember(Tree tree, uint64_t id, const Member& parent, bool is_root) {
  const int members = bpf_map__fd(object_->members(tree));
  agent_member value{};
  if (bpf_map_lookup_elem(members, &id, &value) == 0) {
    const Member member = FromKernel(value, true);
    return member.overflowed ? Promote(tree, id, member, parent) : member;
  }
  value.depth = is_root ? 0 : parent.depth + 1;
  value.index = TakeIndex(value.depth, parent);
  const Member added = FromKernel(value, false);
  if (bpf_map_update_elem(members, &id, &value, BPF_NOEXIST) == 0) {
    __atomic_fetch_add(&object_->words(tree)[id % AGENT_WORDS], agent_word_of(id, value.index),
                       __ATOMIC_RELAXED);
    return added;
  }
  const int error = errno;
  GiveBack(added);
  // The kernel side saw its mkdir between our look-up and here.
  if (bpf_map_lookup_elem(members, &id, &value) == 0) return FromKernel(value, true);
  return Error{Code::kResourceExhausted, std::string("cgroup members: ") + std::strerror(error)};
}

void BpfHost::RemoveMember(Tree tree, uint64_t id, const Member& member) {
  if (bpf_map_delete_elem(bpf_map__fd(object_->members(tree)), &id) == 0) {
    __atomic_fetch_sub(&object_->words(tree)[id % AGENT_WORDS], agent_word_of(id, member.index),
                       __ATOMIC_RELAXED);
  }
  if (member.owns_index) Forget(member.index);
}

// From here on the index counts for no one. What a program that runs at this moment adds is cleared
// again before the index is used by another.
void BpfHost::Forget(uint32_t index) {
  const auto& maps = object_->skeleton().maps;
  Retired retired{.index = index, .cells = {}, .since = std::chrono::steady_clock::now()};
  uint64_t* keys = object_->device_keys();
  for (uint32_t i = AGENT_DEVICE_FIRST; i < config_.max_device_cells; ++i) {
    const uint64_t key = __atomic_load_n(&keys[i], __ATOMIC_RELAXED);
    if (key == 0 || IndexOfKey(key) != index) continue;
    (void)bpf_map_delete_elem(bpf_map__fd(maps.device_cells), &key);
    __atomic_store_n(&keys[i], 0, __ATOMIC_RELAXED);
    Zero(object_->devices()[i]);
    retired.cells.push_back({i, key});
  }
  Watch(index, false);
  retired_.push_back(std::move(retired));
}

void BpfHost::Recycle() {
  const auto& maps = object_->skeleton().maps;
  const auto now = std::chrono::steady_clock::now();
  size_t done = 0;
  if (!retired_.empty() && now - retired_.front().since >= kRest) ForgetPreemptions();
  for (; done < retired_.size() && now - retired_[done].since >= kRest; ++done) {
    const Retired& retired = retired_[done];
    for (const auto& [cell, key] : retired.cells) {
      uint64_t& word = object_->device_words()[agent_device_word(key) % AGENT_DEVICE_WORDS];
      uint64_t hint = key << AGENT_DEVICE_CELL_BITS | cell;
      __atomic_compare_exchange_n(&word, &hint, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
      Zero(object_->devices()[cell]);
      (void)bpf_map_update_elem(bpf_map__fd(maps.free_cells), nullptr, &cell, BPF_ANY);
    }
    for (int cpu = 0; cpu < object_->cpus(); ++cpu) {
      if (!EverRan(object_->slots()[cpu])) continue;  // else its page would become resident
      std::memset(&object_->counters()[size_t{config_.max_cgroups} * cpu + retired.index], 0,
                  sizeof(agent_counters));
    }
    std::memset(&object_->stalls()[retired.index], 0, sizeof(agent_stalls));
    (void)bpf_map_update_elem(bpf_map__fd(maps.free_indices), nullptr, &retired.index, BPF_ANY);
  }
  retired_.erase(retired_.begin(), retired_.begin() + static_cast<ptrdiff_t>(done));
}

std::vector<std::pair<uint64_t, Member>> BpfHost::ListMembers(Tree tree) {
  std::vector<std::pair<uint64_t, Member>> out;
  const int members = bpf_map__fd(object_->members(tree));
  std::array<uint64_t, 256> ids{};  // far more than there are in one bucket, which come together
  std::array<agent_member, 256> values{};
  __u32 batch = 0;
  __u32* from = nullptr;
  for (int error = 0; error == 0; from = &batch) {
    __u32 count = ids.size();
    error = bpf_map_lookup_batch(members, from, &batch, ids.data(), values.data(), &count, nullptr);
    if (error != 0 && errno != ENOENT) break;  // ENOENT: these were the last
    for (__u32 i = 0; i < count; ++i) out.emplace_back(ids[i], FromKernel(values[i], true));
  }
  return out;
}

void BpfHost::Flush() {
  const agent_slot* slots = object_->slots();
  for (int cpu = 0; cpu < object_->cpus(); ++cpu) {
    // An idle CPU has nothing to add and isn't woken.
    for (int attempt = 0; attempt < 3; ++attempt) {
      if (__atomic_load_n(&slots[cpu].pid, __ATOMIC_RELAXED) == 0) break;
      if (object_->FlushCpu(cpu)) break;
    }
  }
  Recycle();
}

Counters BpfHost::Read(uint32_t index) const {
  LS_CHECK(index < config_.max_cgroups);
  Counters sum = SumOf(object_->counters() + index, config_.max_cgroups,
                       {object_->slots(), static_cast<size_t>(object_->cpus())});
  AddTo(sum, object_->stalls()[index]);
  return sum;
}

Counters BpfHost::ReadOverflow() const { return Read(AGENT_INDEX_OVERFLOW); }

uint64_t BpfHost::ReadSystemCpuNs() const {
  uint64_t sum = 0;
  for (int cpu = 0; cpu < object_->cpus(); ++cpu) {
    sum += Load64(object_->slots()[cpu].system_cpu_ns);
  }
  return sum;
}

std::vector<DeviceRow> BpfHost::ReadDevices() const {
  std::vector<DeviceRow> rows;
  for (uint32_t i = 0; i < config_.max_device_cells; ++i) {
    const uint64_t key = __atomic_load_n(&object_->device_keys()[i], __ATOMIC_RELAXED);
    if (key == 0) continue;
    DeviceCounters counters = FromKernel(object_->devices()[i]);
    if (counters == DeviceCounters{}) continue;
    rows.push_back({IndexOfKey(key), DeviceOfKey(key), counters});
  }
  return rows;
}

void BpfHost::Watch(uint32_t index, bool watched) {
  LS_CHECK(index < config_.max_cgroups);
  watched_ |= watched;
  for (int cpu = 0; cpu < object_->cpus(); ++cpu) {
    __atomic_store_n(&object_->counters()[size_t{config_.max_cgroups} * cpu + index].watched,
                     watched ? 1 : 0, __ATOMIC_RELAXED);
  }
}

std::vector<PreemptionRow> BpfHost::ReadPairs() const {
  std::vector<PreemptionRow> rows;
  if (!watched_) return rows;
  std::vector<agent_pair> pairs(AGENT_PREEMPTIONS);
  std::vector<agent_preemption> values(AGENT_PREEMPTIONS);
  __u32 count = AGENT_PREEMPTIONS, batch = 0;
  const int map = bpf_map__fd(object_->skeleton().maps.preemptions);
  const int error =
      bpf_map_lookup_batch(map, nullptr, &batch, pairs.data(), values.data(), &count, nullptr);
  if (error != 0 && errno != ENOENT) return rows;  // ENOENT: that was all
  for (__u32 i = 0; i < count; ++i) {
    rows.push_back({pairs[i].victim, pairs[i].offender, values[i].count, values[i].offender_ns});
  }
  return rows;
}

// Of an index that rests: it counts for no one.
bool BpfHost::Rests(const PreemptionRow& row) const {
  return std::ranges::any_of(retired_, [&](const Retired& retired) {
    return row.victim == retired.index || row.offender == retired.index;
  });
}

std::vector<PreemptionRow> BpfHost::ReadPreemptions() const {
  std::vector<PreemptionRow> rows = ReadPairs();
  std::erase_if(rows, [this](const PreemptionRow& row) { return Rests(row); });
  return rows;
}

// Once for all that rest: reading takes as long as forgetting a hundred.
void BpfHost::ForgetPreemptions() {
  const int map = bpf_map__fd(object_->skeleton().maps.preemptions);
  for (const PreemptionRow& row : ReadPairs()) {
    if (!Rests(row)) continue;
    const agent_pair pair{row.victim, row.offender};
    (void)bpf_map_delete_elem(map, &pair);
  }
}

std::vector<ProgramCost> BpfHost::Costs() const {
  static constexpr const char* kNames[AGENT_PROGRAMS] = {"sched_switch",
                                                         "flush",
                                                         "process_exit",
                                                         "block_rq_issue",
                                                         "block_rq_requeue",
                                                         "block_rq_complete",
                                                         "fsync",
                                                         "reclaim",
                                                         "sock_send_length",
                                                         "sock_recv_length",
                                                         "oom",
                                                         "cgroup"};
  std::vector<ProgramCost> costs;
  for (int program = 0; program < AGENT_PROGRAMS; ++program) {
    ProgramCost cost{.program = kNames[program]};
    for (int cpu = 0; cpu < object_->cpus(); ++cpu) {
      const agent_cost& cell = object_->slots()[cpu].costs[program];
      const uint64_t runs = Load64(cell.runs);
      cost.runs += runs;
      cost.sampled_runs += runs / kRunsPerSample;
      cost.sampled_ns += Load64(cell.sampled_ns);
    }
    costs.push_back(std::move(cost));
  }
  return costs;
}

LostUpdates BpfHost::Lost() const {
  LostUpdates lost;
  for (int cpu = 0; cpu < object_->cpus(); ++cpu) {
    const auto& cells = object_->slots()[cpu].lost;
    lost.no_index += Load64(cells[AGENT_LOST_NO_INDEX]);
    lost.events += Load64(cells[AGENT_LOST_EVENT]);
    lost.owner += Load64(cells[AGENT_LOST_OWNER]);
    lost.switches += Load64(cells[AGENT_LOST_SWITCH]);
    lost.internal += Load64(cells[AGENT_LOST_INTERNAL]);
    lost.devices += Load64(cells[AGENT_LOST_DEVICE]);
    lost.preemptions += Load64(cells[AGENT_LOST_PREEMPTION]);
    lost.stalls += Load64(cells[AGENT_LOST_STALL]);
  }
  lost.recursion = RecursionMisses();
  return lost;
}

uint64_t BpfHost::RecursionMisses() const {
  const auto now = std::chrono::steady_clock::now();
  if (recursion_read_ && now - *recursion_read_ < kAskAgain) return recursion_misses_;
  recursion_read_ = now;
  recursion_misses_ = 0;
  for (const int fd : object_->program_fds()) {
    bpf_prog_info info{};
    __u32 length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0) recursion_misses_ += info.recursion_misses;
  }
  return recursion_misses_;
}

}  // namespace longshore::nodeagent

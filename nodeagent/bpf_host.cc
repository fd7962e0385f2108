// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/bpf_host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "agent_bpf.skel.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/strings.h"
#include "nodeagent/bpf/agent.h"

namespace longshore::nodeagent {
namespace {

static_assert(sizeof(agent_counters) == 64 && alignof(agent_counters) == 8);
static_assert(sizeof(agent_slot) == 64);
static_assert(sizeof(agent_member) == 8);
static_assert(offsetof(agent_event, name) == 32 && sizeof(agent_event) == 32 + AGENT_NAME_SIZE);

// What libbpf says while it loads, kept so that a failure can be explained. Loading happens on one
// thread, before any other of the agent's.
std::string* g_libbpf_words = nullptr;

int KeepLibbpfWords(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG || g_libbpf_words == nullptr) return 0;
  char line[1024];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  if (length > 0 && g_libbpf_words->size() < 16384) *g_libbpf_words += line;
  return length;
}

struct KeepWords {
  explicit KeepWords(std::string& words) {
    g_libbpf_words = &words;
    libbpf_set_print(KeepLibbpfWords);
  }
  ~KeepWords() { g_libbpf_words = nullptr; }
};

// A map's memory, shared with the kernel.
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;
  ~MappedArray() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }
  Status Map(const bpf_map* map) {
    const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    bytes_ = size_t{bpf_map__value_size(map)} * bpf_map__max_entries(map);
    bytes_ = (bytes_ + page - 1) / page * page;
    void* mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (mapped == MAP_FAILED) return ErrnoError(errno, std::string("mmap ") + bpf_map__name(map));
    data_ = mapped;
    return {};
  }
  template <class T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

uint64_t Load64(const __u64& cell) { return __atomic_load_n(&cell, __ATOMIC_RELAXED); }

Error Explain(Error error, const std::string& words) {
  if (error.code == Code::kPermissionDenied) {
    error.message += " (needs CAP_BPF and CAP_PERFMON, and a seccomp profile that allows bpf)";
  } else {
    error.code = Code::kFailedPrecondition;
    error.message += " (needs a kernel >= 5.11 with BTF)";
  }
  // One line: each of libbpf's begins with its name.
  for (const std::string& line : Split(words, '\n')) {
    if (!line.empty()) error.message += "; " + line;
  }
  return Annotate(std::move(error), "BPF programs");
}

Member FromKernel(const agent_member& value, bool existed) {
  Member member;
  member.index = value.index;
  member.depth = value.depth;
  member.owns_index = value.depth <= AGENT_MAX_DEPTH && value.index != AGENT_INDEX_OVERFLOW;
  member.existed = existed;
  return member;
}

}  // namespace

class BpfHost::Impl {
 public:
  ~Impl() {
    ring_buffer__free(ring_);
    for (bpf_link* link : links_) bpf_link__destroy(link);
    agent_bpf__destroy(skeleton_);
  }

  Status Open(const BpfConfig& config, bool with_block);
  Status Attach(bool with_block);
  Status FillIndices();

  bpf_map* Members(Tree tree) const {
    return tree == Tree::kCpu ? skeleton_->maps.cpu_members : skeleton_->maps.io_members;
  }
  Counters Read(uint32_t index) const;
  void Clear(uint32_t index);
  void FlushCpu(int cpu) const;

  static int OnEvent(void* context, void* data, size_t size);
  void Append(const agent_event& event, size_t size);

  BpfConfig config_;
  int cpus_ = 0;
  agent_bpf* skeleton_ = nullptr;
  std::vector<bpf_link*> links_;
  std::vector<int> program_fds_;
  ring_buffer* ring_ = nullptr;
  MappedArray counters_, slots_;
  UniqueFd wake_;
  std::vector<CgroupEvent>* drain_into_ = nullptr;
};

Status BpfHost::Impl::Open(const BpfConfig& config, bool with_block) {
  config_ = config;
  cpus_ = libbpf_num_possible_cpus();
  if (cpus_ <= 0) return ErrnoError(-cpus_, "number of CPUs");
  skeleton_ = agent_bpf__open();
  if (skeleton_ == nullptr) return ErrnoError(errno, "open BPF object");
  skeleton_->rodata->max_cgroups = config.max_cgroups;
  skeleton_->rodata->cpu_hierarchy = config.cpu_hierarchy;
  skeleton_->rodata->io_hierarchy = config.io_hierarchy;
  skeleton_->rodata->cpu_from_cpuacct = config.cpu_from_cpuacct ? 1 : 0;
  const uint32_t cpus = static_cast<uint32_t>(cpus_);
  bpf_map__set_max_entries(skeleton_->maps.counters, cpus * config.max_cgroups);
  bpf_map__set_max_entries(skeleton_->maps.slots, cpus);
  bpf_map__set_max_entries(skeleton_->maps.cpu_members, 2 * config.max_cgroups);
  bpf_map__set_max_entries(skeleton_->maps.io_members, 2 * config.max_cgroups);
  bpf_map__set_max_entries(skeleton_->maps.free_indices, config.max_cgroups);
  bpf_program__set_autoload(skeleton_->progs.on_block_issue, with_block);
  bpf_program__set_autoload(skeleton_->progs.on_block_requeue, with_block);
  if (const int error = agent_bpf__load(skeleton_); error != 0) return ErrnoError(-error, "load");
  LS_RETURN_IF_ERROR(counters_.Map(skeleton_->maps.counters));
  LS_RETURN_IF_ERROR(slots_.Map(skeleton_->maps.slots));
  return FillIndices();
}

Status BpfHost::Impl::FillIndices() {
  for (uint32_t index = AGENT_INDEX_FIRST; index < config_.max_cgroups; ++index) {
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.free_indices), nullptr, &index, BPF_ANY)) {
      return ErrnoError(errno, "fill the free indices");
    }
  }
  return {};
}

// Not agent_bpf__attach: the flush program is only ever run by us.
Status BpfHost::Impl::Attach(bool with_block) {
  std::vector<bpf_program*> programs = {
      skeleton_->progs.on_cgroup_mkdir, skeleton_->progs.on_cgroup_rmdir,
      skeleton_->progs.on_cgroup_attach, skeleton_->progs.on_process_exit,
      skeleton_->progs.on_sched_switch};
  if (with_block) {
    programs.push_back(skeleton_->progs.on_block_issue);
    programs.push_back(skeleton_->progs.on_block_requeue);
  }
  for (bpf_program* program : programs) {
    bpf_link* link = bpf_program__attach(program);
    if (link == nullptr)
      return ErrnoError(errno, std::string("attach ") + bpf_program__name(program));
    links_.push_back(link);
    program_fds_.push_back(bpf_program__fd(program));
  }
  ring_ = ring_buffer__new(bpf_map__fd(skeleton_->maps.events), OnEvent, this, nullptr);
  if (ring_ == nullptr) return ErrnoError(errno, "event ring");
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return ErrnoError(errno, "eventfd");
  // What runs now was never switched in before our eyes: note it on every CPU.
  for (int cpu = 0; cpu < cpus_; ++cpu) FlushCpu(cpu);
  return {};
}

void BpfHost::Impl::FlushCpu(int cpu) const {
  LIBBPF_OPTS(bpf_test_run_opts, options, .flags = BPF_F_TEST_RUN_ON_CPU,
              .cpu = static_cast<__u32>(cpu));
  // Fails only for a CPU that is offline, where nothing runs.
  (void)bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.flush_running_task), &options);
}

Counters BpfHost::Impl::Read(uint32_t index) const {
  Counters sum;
  for (int cpu = 0; cpu < cpus_; ++cpu) {
    const agent_counters& cell =
        counters_.As<agent_counters>()[size_t{config_.max_cgroups} * cpu + index];
    sum.cpu_ns += Load64(cell.cpu_ns);
    sum.run_queue_wait_ns += Load64(cell.run_queue_wait_ns);
    sum.read_bytes += Load64(cell.read_bytes);
    sum.write_bytes += Load64(cell.write_bytes);
    sum.read_ops += Load64(cell.read_ops);
    sum.write_ops += Load64(cell.write_ops);
  }
  return sum;
}

void BpfHost::Impl::Clear(uint32_t index) {
  for (int cpu = 0; cpu < cpus_; ++cpu) {
    std::memset(&counters_.As<agent_counters>()[size_t{config_.max_cgroups} * cpu + index], 0,
                sizeof(agent_counters));
  }
}

int BpfHost::Impl::OnEvent(void* context, void* data, size_t size) {
  if (size >= offsetof(agent_event, name)) {
    static_cast<Impl*>(context)->Append(*static_cast<const agent_event*>(data), size);
  }
  return 0;
}

void BpfHost::Impl::Append(const agent_event& event, size_t size) {
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

BpfHost::BpfHost() = default;
BpfHost::~BpfHost() = default;

Result<std::unique_ptr<BpfHost>> BpfHost::Load(const BpfConfig& config) {
  if (config.max_cgroups < 16 || config.max_cgroups > (1u << 20)) {
    return InvalidArgument("max-cgroups: must be 16 to 1048576");
  }
  std::string words;
  KeepWords keep(words);
  for (const bool with_block : {true, false}) {
    auto host = std::unique_ptr<BpfHost>(new BpfHost);
    host->impl_ = std::make_unique<Impl>();
    Status status = host->impl_->Open(config, with_block);
    if (status.has_value()) status = host->impl_->Attach(with_block);
    if (status.has_value()) {
      if (!with_block) {
        host->degraded_.push_back("block-io");
        LogWarn("block I/O is not measured: its program does not load here", {{"libbpf", words}});
      }
      return host;
    }
    // Without the capability a second try cannot do better.
    if (!with_block || status.error().code == Code::kPermissionDenied) {
      return Explain(std::move(status).error(), words);
    }
  }
  return Internal("unreachable");
}

bool BpfHost::WaitUntil(std::chrono::steady_clock::time_point deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  if (nanoseconds <= 0) return false;
  const timespec timeout{static_cast<time_t>(nanoseconds / 1'000'000'000),
                         static_cast<long>(nanoseconds % 1'000'000'000)};
  pollfd fds[2] = {{ring_buffer__epoll_fd(impl_->ring_), POLLIN, 0},
                   {impl_->wake_.get(), POLLIN, 0}};
  if (::ppoll(fds, 2, &timeout, nullptr) <= 0) return false;
  uint64_t ignored = 0;
  if ((fds[1].revents & POLLIN) != 0) (void)!::read(impl_->wake_.get(), &ignored, sizeof ignored);
  return (fds[0].revents & POLLIN) != 0;
}

void BpfHost::Wake() {
  const uint64_t one = 1;
  (void)!::write(impl_->wake_.get(), &one, sizeof one);
}

void BpfHost::DrainEvents(std::vector<CgroupEvent>& out) {
  impl_->drain_into_ = &out;
  (void)ring_buffer__consume(impl_->ring_);
  impl_->drain_into_ = nullptr;
}

Result<Member> BpfHost::AddMember(Tree tree, uint64_t id, const Member& parent, bool is_root) {
  const int members = bpf_map__fd(impl_->Members(tree));
  const int free_indices = bpf_map__fd(impl_->skeleton_->maps.free_indices);
  agent_member value{};
  if (bpf_map_lookup_elem(members, &id, &value) == 0) return FromKernel(value, true);
  value.depth = is_root ? 0 : parent.depth + 1;
  if (value.depth > AGENT_MAX_DEPTH) {
    value.index = parent.index;
  } else if (bpf_map_lookup_and_delete_elem(free_indices, nullptr, &value.index) != 0) {
    value.index = AGENT_INDEX_OVERFLOW;
  }
  const Member added = FromKernel(value, false);
  if (bpf_map_update_elem(members, &id, &value, BPF_NOEXIST) == 0) return added;
  const int error = errno;
  if (added.owns_index) (void)bpf_map_update_elem(free_indices, nullptr, &value.index, BPF_ANY);
  // The kernel side saw its mkdir between our look-up and here.
  if (bpf_map_lookup_elem(members, &id, &value) == 0) return FromKernel(value, true);
  return Error{Code::kResourceExhausted, std::string("cgroup members: ") + std::strerror(error)};
}

void BpfHost::RemoveMember(Tree tree, uint64_t id, const Member& member) {
  (void)bpf_map_delete_elem(bpf_map__fd(impl_->Members(tree)), &id);
  if (!member.owns_index) return;
  impl_->Clear(member.index);
  const int free_indices = bpf_map__fd(impl_->skeleton_->maps.free_indices);
  (void)bpf_map_update_elem(free_indices, nullptr, &member.index, BPF_ANY);
}

std::vector<std::pair<uint64_t, Member>> BpfHost::ListMembers(Tree tree) {
  std::vector<std::pair<uint64_t, Member>> out;
  const int members = bpf_map__fd(impl_->Members(tree));
  uint64_t id = 0, next = 0;
  const uint64_t* previous = nullptr;
  // An entry that is added or removed meanwhile may be missed or make the walk restart: the cap
  // ends it, and the next rescan sees the rest.
  for (uint32_t step = 0; step < 4 * impl_->config_.max_cgroups; ++step) {
    if (bpf_map_get_next_key(members, previous, &next) != 0) break;
    id = next;
    previous = &id;
    agent_member value{};
    if (bpf_map_lookup_elem(members, &id, &value) == 0) {
      out.emplace_back(id, FromKernel(value, true));
    }
  }
  return out;
}

void BpfHost::Flush() {
  const agent_slot* slots = impl_->slots_.As<agent_slot>();
  for (int cpu = 0; cpu < impl_->cpus_; ++cpu) {
    // An idle CPU has nothing to add and isn't woken.
    if (__atomic_load_n(&slots[cpu].pid, __ATOMIC_RELAXED) != 0) impl_->FlushCpu(cpu);
  }
}

Counters BpfHost::Read(uint32_t index) const {
  LS_CHECK(index < impl_->config_.max_cgroups);
  return impl_->Read(index);
}

std::vector<DeviceRow> BpfHost::ReadDevices() const { return {}; }
void BpfHost::Watch(uint32_t, bool) {}
std::vector<PreemptionRow> BpfHost::ReadPreemptions() const { return {}; }
std::vector<ProgramCost> BpfHost::Costs() const { return {}; }

Counters BpfHost::ReadOverflow() const { return impl_->Read(AGENT_INDEX_OVERFLOW); }

LostUpdates BpfHost::Lost() const {
  LostUpdates lost;
  const agent_slot* slots = impl_->slots_.As<agent_slot>();
  for (int cpu = 0; cpu < impl_->cpus_; ++cpu) {
    lost.no_index += Load64(slots[cpu].lost[AGENT_LOST_NO_INDEX]);
    lost.events += Load64(slots[cpu].lost[AGENT_LOST_EVENT]);
    lost.owner += Load64(slots[cpu].lost[AGENT_LOST_OWNER]);
    lost.switches += Load64(slots[cpu].lost[AGENT_LOST_SWITCH]);
    lost.internal += Load64(slots[cpu].lost[AGENT_LOST_INTERNAL]);
  }
  for (const int fd : impl_->program_fds_) {
    bpf_prog_info info{};
    __u32 length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0) lost.recursion += info.recursion_misses;
  }
  return lost;
}

}  // namespace longshore::nodeagent

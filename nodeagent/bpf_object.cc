// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string_view>

#include "agent_bpf.skel.h"
#include "common/base/log.h"
#include "common/base/strings.h"
#include "nodeagent/bpf/agent.h"

namespace longshore::nodeagent {
namespace {

static_assert(sizeof(agent_task_counters) == 96);
static_assert(sizeof(agent_counters) == 320 && alignof(agent_counters) == 8);
static_assert(sizeof(agent_stalls) == 192);
static_assert(sizeof(agent_device) == 704);
static_assert(sizeof(agent_slot) == 384);
static_assert(sizeof(agent_task) == 128);
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

Error Explain(Error error, const std::string& words) {
  if (error.code == Code::kPermissionDenied) {
    error.message += " (needs CAP_BPF and CAP_PERFMON, and a seccomp profile that allows bpf)";
  } else {
    error.code = Code::kFailedPrecondition;
    error.message += " (needs a kernel >= 5.10 with BTF)";
  }
  // One line: each of libbpf's begins with its name.
  for (const std::string& line : Split(words, '\n')) {
    if (!line.empty()) error.message += "; " + line;
  }
  return Annotate(std::move(error), "BPF programs");
}

// The verifier says EACCES of a program that it refuses; what a missing capability says is EPERM.
Error LoadError(int error) {
  Error said = ErrnoError(error, "load");
  if (error != EPERM) said.code = Code::kFailedPrecondition;
  return said;
}

// What the running kernel's type information says, whatever its version is.
class KernelTypes {
 public:
  KernelTypes() : btf_(btf__load_vmlinux_btf()) {}
  ~KernelTypes() { btf__free(btf_); }
  KernelTypes(const KernelTypes&) = delete;
  KernelTypes& operator=(const KernelTypes&) = delete;

  // The number of arguments of a typed tracepoint; nothing when there is none of that name.
  std::optional<int> TracepointArguments(const std::string& name) const {
    const btf_type* type = Find("btf_trace_" + name, BTF_KIND_TYPEDEF);
    if (type == nullptr) return std::nullopt;
    type = btf__type_by_id(btf_, type->type);
    if (type == nullptr || !btf_is_ptr(type)) return std::nullopt;
    type = btf__type_by_id(btf_, type->type);
    if (type == nullptr || !btf_is_func_proto(type)) return std::nullopt;
    return btf_vlen(type) - 1;  // the first is the tracepoint's own data
  }

  bool HasField(const std::string& structure, std::string_view field) const {
    const btf_type* type = Find(structure, BTF_KIND_STRUCT);
    if (type == nullptr) return false;
    const btf_member* members = btf_members(type);
    return std::any_of(members, members + btf_vlen(type), [&](const btf_member& member) {
      return btf__name_by_offset(btf_, member.name_off) == field;
    });
  }

 private:
  const btf_type* Find(const std::string& name, uint32_t kind) const {
    if (btf_ == nullptr) return nullptr;  // no BTF: loading will say so
    const int id = btf__find_by_name_kind(btf_, name.c_str(), kind);
    return id < 0 ? nullptr : btf__type_by_id(btf_, static_cast<__u32>(id));
  }
  btf* btf_;
};

// Before 5.11 (and 5.10.137) the request was the second argument of the issue.
bool KnowsBlockIo(const KernelTypes& types) {
  return types.TracepointArguments("block_rq_issue") == 1 &&
         types.TracepointArguments("block_rq_requeue") == 1 &&
         types.TracepointArguments("block_rq_complete") == 3;
}

bool KnowsNetwork(const KernelTypes& types) {  // since 6.3
  return types.TracepointArguments("sock_send_length") == 3 &&
         types.TracepointArguments("sock_recv_length") == 3;
}

// The task (since 6.9, and where it was taken back to) or a pid.
OomVictim KnowsOomVictim(const KernelTypes& types) {
  const int arguments = types.TracepointArguments("mark_victim").value_or(0);
  if (arguments == 2) return OomVictim::kTask;
  return arguments == 1 ? OomVictim::kPid : OomVictim::kUnknown;
}

}  // namespace

MappedArray::~MappedArray() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Status MappedArray::Map(const bpf_map* map) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  bytes_ = size_t{bpf_map__value_size(map)} * bpf_map__max_entries(map);
  bytes_ = (bytes_ + page - 1) / page * page;
  void* mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
  if (mapped == MAP_FAILED) return ErrnoError(errno, std::string("mmap ") + bpf_map__name(map));
  data_ = mapped;
  return {};
}

BpfObject::~BpfObject() {
  for (bpf_link* link : links_) bpf_link__destroy(link);
  agent_bpf__destroy(skeleton_);
}

const bpf_map* BpfObject::members(Tree tree) const {
  return tree == Tree::kCpu ? skeleton_->maps.cpu_members : skeleton_->maps.io_members;
}

Result<std::unique_ptr<BpfObject>> BpfObject::Load(const BpfConfig& config) {
  std::string words;
  KeepWords keep(words);
  const KernelTypes types;
  const Parts known{KnowsBlockIo(types), KnowsNetwork(types), KnowsOomVictim(types)};
  // A part that the kernel seems to know may still be refused by its verifier.
  const std::vector<Parts> attempts = {known,
                                       {known.block_io, known.network},
                                       {known.block_io, false},
                                       {false, known.network},
                                       {false, false}};
  for (const Parts& parts : attempts) {
    auto object = std::unique_ptr<BpfObject>(new BpfObject);
    Status status = object->Open(config, parts);
    if (status.has_value()) status = object->Attach(parts);
    if (status.has_value()) {
      auto& degraded = object->degraded_;
      if (!types.HasField("sched_info", "run_delay")) degraded.push_back("run-queue-wait");
      if (!types.HasField("task_io_accounting", "read_bytes")) degraded.push_back("file-io");
      if (!words.empty()) LogWarn("some signals are not measured here", {{"libbpf", words}});
      return object;
    }
    // Without the capability another try cannot do better.
    const bool last = &parts == &attempts.back();
    if (last || status.error().code == Code::kPermissionDenied) {
      return Explain(std::move(status).error(), words);
    }
  }
  return Internal("unreachable");
}

Status BpfObject::Open(const BpfConfig& config, const Parts& parts) {
  cpus_ = libbpf_num_possible_cpus();
  if (cpus_ <= 0) return ErrnoError(-cpus_, "number of CPUs");
  skeleton_ = agent_bpf__open();
  if (skeleton_ == nullptr) return ErrnoError(errno, "open BPF object");
  skeleton_->rodata->max_cgroups = config.max_cgroups;
  skeleton_->rodata->cpu_hierarchy = config.cpu_hierarchy;
  skeleton_->rodata->io_hierarchy = config.io_hierarchy;
  skeleton_->rodata->cpu_from_cpuacct = config.cpu_from_cpuacct ? 1 : 0;
  const auto& maps = skeleton_->maps;
  const uint32_t cpus = static_cast<uint32_t>(cpus_);
  bpf_map__set_max_entries(maps.counters, cpus * config.max_cgroups);
  bpf_map__set_max_entries(maps.slots, cpus);
  bpf_map__set_max_entries(maps.stalls, config.max_cgroups);
  bpf_map__set_max_entries(maps.cpu_members, 4 * config.max_cgroups);
  if (config.io_hierarchy != config.cpu_hierarchy && config.io_hierarchy != kNoHierarchy) {
    bpf_map__set_max_entries(maps.io_members, 4 * config.max_cgroups);
  }
  bpf_map__set_max_entries(maps.free_indices, config.max_cgroups);
  for (bpf_map* map : {maps.devices, maps.device_keys, maps.device_cells, maps.free_cells}) {
    bpf_map__set_max_entries(map, config.max_device_cells);
  }
  const auto& programs = skeleton_->progs;
  for (bpf_program* program :
       {programs.on_block_issue, programs.on_block_requeue, programs.on_block_complete}) {
    bpf_program__set_autoload(program, parts.block_io);
  }
  for (bpf_program* program : {programs.on_sock_send, programs.on_sock_receive}) {
    bpf_program__set_autoload(program, parts.network);
  }
  bpf_program__set_autoload(programs.on_oom_victim, parts.oom_victim == OomVictim::kTask);
  bpf_program__set_autoload(programs.on_oom_victim_pid, parts.oom_victim == OomVictim::kPid);
  skeleton_->rodata->oom_victim_is_pid = parts.oom_victim == OomVictim::kPid ? 1 : 0;
  if (const int error = agent_bpf__load(skeleton_); error != 0) return LoadError(-error);
  LS_RETURN_IF_ERROR(MapAll());
  return FillQueues(config);
}

Status BpfObject::MapAll() {
  const auto& maps = skeleton_->maps;
  LS_RETURN_IF_ERROR(counters_.Map(maps.counters));
  LS_RETURN_IF_ERROR(stalls_.Map(maps.stalls));
  LS_RETURN_IF_ERROR(devices_.Map(maps.devices));
  LS_RETURN_IF_ERROR(device_keys_.Map(maps.device_keys));
  LS_RETURN_IF_ERROR(slots_.Map(maps.slots));
  LS_RETURN_IF_ERROR(cpu_words_.Map(maps.cpu_words));
  LS_RETURN_IF_ERROR(io_words_.Map(maps.io_words));
  return device_words_.Map(maps.device_words);
}

Status BpfObject::FillQueues(const BpfConfig& config) {
  const auto fill = [](const bpf_map* queue, uint32_t from, uint32_t end) -> Status {
    for (uint32_t value = from; value < end; ++value) {
      if (bpf_map_update_elem(bpf_map__fd(queue), nullptr, &value, BPF_ANY) != 0) {
        return ErrnoError(errno, std::string("fill ") + bpf_map__name(queue));
      }
    }
    return {};
  };
  device_keys()[AGENT_DEVICE_CATCH_ALL] = agent_device_key(AGENT_INDEX_OVERFLOW, 0);
  LS_RETURN_IF_ERROR(fill(skeleton_->maps.free_indices, AGENT_INDEX_FIRST, config.max_cgroups));
  return fill(skeleton_->maps.free_cells, AGENT_DEVICE_FIRST, config.max_device_cells);
}

Status BpfObject::AttachProgram(bpf_program* program) {
  bpf_link* link = bpf_program__attach(program);
  if (link == nullptr) {
    return ErrnoError(errno, std::string("attach ") + bpf_program__name(program));
  }
  links_.push_back(link);
  program_fds_.push_back(bpf_program__fd(program));
  return {};
}

// Not agent_bpf__attach: the flush program is only ever run by us.
Status BpfObject::Attach(const Parts& parts) {
  LS_RETURN_IF_ERROR(AttachRequired(parts));
  AttachOptional(parts);
  // What runs now was never switched in before our eyes: note it on every CPU.
  for (int cpu = 0; cpu < cpus_; ++cpu) (void)FlushCpu(cpu);
  return {};
}

Status BpfObject::AttachRequired(const Parts& parts) {
  const auto& programs = skeleton_->progs;
  std::vector<bpf_program*> required = {programs.on_cgroup_mkdir, programs.on_cgroup_rmdir,
                                        programs.on_cgroup_attach, programs.on_process_exit,
                                        programs.on_sched_switch};
  if (parts.block_io) {
    // Completions first, so that none is missed of a request that was counted.
    required.push_back(programs.on_block_complete);
    required.push_back(programs.on_block_requeue);
    required.push_back(programs.on_block_issue);
  } else {
    degraded_.push_back("block-io");
    degraded_.push_back("block-latency");
  }
  if (parts.network) {
    required.push_back(programs.on_sock_send);
    required.push_back(programs.on_sock_receive);
  } else {
    degraded_.push_back("network");
  }
  for (bpf_program* program : required) LS_RETURN_IF_ERROR(AttachProgram(program));
  return {};
}

// Mostly raw tracepoints, found by name: a file system may be a module that isn't loaded.
void BpfObject::AttachOptional(const Parts& parts) {
  const auto& programs = skeleton_->progs;
  (void)AttachFsync();
  (void)AttachSignal("reclaim", {programs.on_direct_reclaim_end, programs.on_direct_reclaim_begin,
                                 programs.on_memcg_reclaim_end, programs.on_memcg_reclaim_begin});
  if (parts.oom_victim == OomVictim::kUnknown) {
    degraded_.push_back("oom-kills");
  } else {
    (void)AttachSignal("oom-kills",
                       {parts.oom_victim == OomVictim::kTask ? programs.on_oom_victim
                                                             : programs.on_oom_victim_pid});
  }
}

// False, and the signal is degraded, unless all are attached.
bool BpfObject::AttachSignal(const char* signal, const std::vector<bpf_program*>& programs) {
  for (bpf_program* program : programs) {
    if (AttachProgram(program).has_value()) continue;
    degraded_.push_back(signal);
    return false;
  }
  return true;
}

bool BpfObject::AttachFsync() {
  const auto& programs = skeleton_->progs;
  return AttachSignal("fsync", {programs.on_fsync_exit, programs.on_fsync_enter});
}

bool BpfObject::AttachLate() { return std::erase(degraded_, "fsync") > 0 && AttachFsync(); }

bool BpfObject::FlushCpu(int cpu) const {
  LIBBPF_OPTS(bpf_test_run_opts, options, .flags = BPF_F_TEST_RUN_ON_CPU,
              .cpu = static_cast<__u32>(cpu));
  // Fails only for a CPU that is offline, where nothing runs.
  const int error =
      bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.flush_running_task), &options);
  return error != 0 || options.retval == 0;
}

}  // namespace longshore::nodeagent

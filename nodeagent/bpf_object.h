// SPDX-License-Identifier: Apache-2.0
//
// The programs of bpf/agent.bpf.c, loaded and attached, and the memory of their maps. What the
// kernel cannot is left out, and named. Used by bpf_host.cc alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nodeagent/bpf_host.h"

struct agent_bpf;
struct agent_cost;
struct agent_counters;
struct agent_device;
struct agent_slot;
struct agent_stalls;
struct bpf_link;
struct bpf_map;
struct bpf_program;

namespace longshore::nodeagent {

// A map's memory, shared with the kernel.
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;
  ~MappedArray();
  Status Map(const bpf_map* map);
  template <class T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// What the kernel tells of a process that it kills for memory.
enum class OomVictim { kUnknown, kPid, kTask };

class BpfObject {
 public:
  // The parts that a kernel may lack; without the others there is no agent.
  struct Parts {
    bool block_io = true, network = true;
    OomVictim oom_victim = OomVictim::kUnknown;
  };

  // Errors: as BpfHost::Load.
  static Result<std::unique_ptr<BpfObject>> Load(const BpfConfig& config);
  ~BpfObject();
  BpfObject(const BpfObject&) = delete;
  BpfObject& operator=(const BpfObject&) = delete;

  int cpus() const { return cpus_; }
  agent_bpf& skeleton() const { return *skeleton_; }
  const std::vector<int>& program_fds() const { return program_fds_; }
  const std::vector<std::string>& degraded() const { return degraded_; }

  bool AttachLate();  // as BpfHost's

  // Settles the task that runs there. False: it came in the middle of a program; try again.
  bool FlushCpu(int cpu) const;

  // By CPU * max_cgroups + index, index, cell, cell, CPU; the words by what they lie in front of.
  agent_counters* counters() const { return counters_.As<agent_counters>(); }
  agent_stalls* stalls() const { return stalls_.As<agent_stalls>(); }
  agent_device* devices() const { return devices_.As<agent_device>(); }
  uint64_t* device_keys() const { return device_keys_.As<uint64_t>(); }
  agent_slot* slots() const { return slots_.As<agent_slot>(); }
  uint64_t* words(Tree tree) const {
    return (tree == Tree::kCpu ? cpu_words_ : io_words_).As<uint64_t>();
  }
  uint64_t* device_words() const { return device_words_.As<uint64_t>(); }
  const bpf_map* members(Tree tree) const;

 private:
  BpfObject() = default;
  Status Open(const BpfConfig& config, const Parts& parts);
  Status MapAll();
  Status FillQueues(const BpfConfig& config);
  Status Attach(const Parts& parts);
  Status AttachRequired(const Parts& parts);
  void AttachOptional(const Parts& parts);
  bool AttachSignal(const char* signal, const std::vector<bpf_program*>& programs);
  bool AttachFsync();
  Status AttachProgram(bpf_program* program);

  int cpus_ = 0;
  agent_bpf* skeleton_ = nullptr;
  std::vector<bpf_link*> links_;
  std::vector<int> program_fds_;
  std::vector<std::string> degraded_;
  MappedArray counters_, stalls_, devices_, device_keys_, slots_, cpu_words_, io_words_,
      device_words_;
};

}  // namespace longshore::nodeagent

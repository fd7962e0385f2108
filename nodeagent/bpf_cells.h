// SPDX-License-Identifier: Apache-2.0
//
// Reading the cells of the BPF maps while the programs write them: each number by itself, and what
// a device's key says. Used by bpf_host.cc alone.
#pragma once

#include <linux/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "nodeagent/bpf/agent.h"
#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

static_assert(Histogram::kBuckets == AGENT_BUCKETS);

inline uint64_t Load64(const __u64& cell) { return __atomic_load_n(&cell, __ATOMIC_RELAXED); }

// False of a CPU that has been offline since the programs were attached: it has counted nothing.
// There may be far more possible CPUs than there are, and each has cells of its own.
bool EverRan(const agent_slot& cpu);
// What the CPUs have counted, in cells that lie `stride` apart; those that never ran are not read.
Counters SumOf(const agent_counters* cells, size_t stride, std::span<const agent_slot> cpus);
void AddTo(Counters& sum, const agent_stalls& cell);
DeviceCounters FromKernel(const agent_device& cell);

inline uint32_t IndexOfKey(uint64_t key) { return static_cast<uint32_t>(key >> 32); }
DeviceId DeviceOfKey(uint64_t key);

}  // namespace longshore::nodeagent

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the cgroups below one kubelet's root use: CPU time and waiting for it, switches, file and
 * block I/O, fsync, memory reclaim, OOM kills, network bytes. One room each:
 *
 *   maps.bpf.h     knobs, maps, and the way to a cgroup's counters
 *   oom.bpf.h      processes killed for memory
 *   sched.bpf.h    sched_switch, and the flush of tasks that run
 *   block.bpf.h    block I/O by cgroup and device
 *   stalls.bpf.h   fsync, reclaim, network
 *   cgroups.bpf.h  cgroups that come and go
 *
 * The kernel keeps exact counters in each task and each request: we add their differences, and
 * time almost nothing ourselves.
 *
 * Only tp_btf and raw_tp: kernels under lockdown refuse fentry and kprobes. Kernel >= 5.10 with
 * BTF; so no atomics that return a value (5.12) and no bpf_get_current_task_btf (5.11).
 */
#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "agent.h"
#include "core_types.h"

#include "maps.bpf.h"
#include "oom.bpf.h"
#include "sched.bpf.h"
#include "block.bpf.h"
#include "stalls.bpf.h"
#include "cgroups.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

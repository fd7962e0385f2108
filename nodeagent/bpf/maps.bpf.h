/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all programs of agent.bpf.c share: knobs, maps, and the way from a CPU or a cgroup to its
 * counters. Nothing is ever evicted: what finds a map full is counted in a catch-all and as lost.
 */
#pragma once

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

/* Set before loading. */
const volatile __u32 max_cgroups = 2048;   /* size of the index space */
const volatile __u32 cpu_hierarchy = 0;	   /* where tasks are looked up */
const volatile __u32 io_hierarchy = 0;	   /* where bios are charged; ~0: in no tree of ours */
const volatile __u32 cpu_from_cpuacct = 0; /* not 0: no cgroup v2 tree, use v1's cpuacct */

#define MAPPED_ARRAY(name, entries, type_of_value)                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, type_of_value);                                                      \
	} name SEC(".maps")

/* Read by the agent through mmap, without a system call. Sizes of 1 are set before loading. An
 * index, and a cell of a device, is used again only after the agent has taken its last values. */
MAPPED_ARRAY(counters, 1, struct agent_counters); /* at cpu * max_cgroups + index */
MAPPED_ARRAY(stalls, 1, struct agent_stalls);	  /* by index */
MAPPED_ARRAY(devices, 1, struct agent_device);	  /* by cell */
MAPPED_ARRAY(device_keys, 1, __u64);		  /* by cell: agent_device_key(); 0: it is free */
MAPPED_ARRAY(slots, 1, struct agent_slot);	  /* by CPU */
MAPPED_ARRAY(cpu_words, AGENT_WORDS, __u64);	  /* in front of cpu_members, see agent.h */
MAPPED_ARRAY(io_words, AGENT_WORDS, __u64);	  /* in front of io_members */
MAPPED_ARRAY(device_words, AGENT_DEVICE_WORDS, __u64); /* in front of device_cells */

/* cgroup id -> agent_member, for the hierarchy that tasks are looked up in. Ids of different
 * hierarchies collide, so each hierarchy has a map of its own. Preallocated (allocating in the
 * scheduler is unsafe before 6.1); four times max_cgroups, so that it isn't full before the indices
 * are: what has no index is still summed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct agent_member);
} cpu_members SEC(".maps"), io_members SEC(".maps");

/* agent_device_key() -> cell of `devices`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} device_cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENT_PREEMPTIONS);
	__type(key, struct agent_pair);
	__type(value, struct agent_preemption);
} preemptions SEC(".maps");

/* Indices and cells that nobody uses. The agent fills them and gives back what it has freed. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, __u32);
} free_indices SEC(".maps"), free_cells SEC(".maps");

/* Cgroup events only: counters are read, not sent. Full: counted, and the agent walks the tree. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, AGENT_RING_BYTES);
} events SEC(".maps");

/* ---- CPUs ---- */

static __always_inline struct agent_slot *this_slot(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&slots, &cpu);
}

static __always_inline void count_lost(struct agent_slot *slot, enum agent_lost reason)
{
	if (slot)
		__sync_fetch_and_add(&slot->lost[reason], 1);
}

/* What our own programs cost: every AGENT_COST_SAMPLE-th run is timed. Plain additions: a run in
 * an interrupt on top of another may at worst go uncounted here. */
static __always_inline __u64 begin_run(struct agent_slot *slot, enum agent_program program)
{
	__u64 run = ++slot->costs[program].runs;

	return run % AGENT_COST_SAMPLE ? 0 : bpf_ktime_get_ns();
}

static __always_inline void end_run(struct agent_slot *slot, enum agent_program program,
				    __u64 began)
{
	if (began)
		slot->costs[program].sampled_ns += bpf_ktime_get_ns() - began;
}

/* ---- counters of an index ---- */

static __always_inline struct agent_counters *counters_of(struct agent_slot *slot, __u32 index)
{
	__u32 key = bpf_get_smp_processor_id() * max_cgroups + index;
	struct agent_counters *found = bpf_map_lookup_elem(&counters, &key);

	if (!found)
		count_lost(slot, AGENT_LOST_INTERNAL);
	else if (index == AGENT_INDEX_OVERFLOW)
		count_lost(slot, AGENT_LOST_NO_INDEX);
	return found;
}

/* Where 1000 * 2^i <= nanoseconds < 1000 * 2^(i+1). By halving: BPF has no instruction for it, and
 * a division would cost more. */
static __always_inline __u32 bucket_of(__u64 nanoseconds)
{
	__u64 rest = nanoseconds >> 9;
	__u32 log = 0;

	if (rest >> 20)
		return AGENT_BUCKETS - 1;
	if (rest >> 16) {
		log += 16;
		rest >>= 16;
	}
	if (rest >> 8) {
		log += 8;
		rest >>= 8;
	}
	if (rest >> 4) {
		log += 4;
		rest >>= 4;
	}
	if (rest >> 2) {
		log += 2;
		rest >>= 2;
	}
	log += rest >> 1 & 1;
	/* 2^9 < 1000 < 2^10: one too far for those between the power of two and the thousand. */
	if (log && nanoseconds < 1000ULL << log)
		log--;
	barrier_var(log); /* the verifier wants to see the bound, the compiler knows it already */
	return log < AGENT_BUCKETS ? log : AGENT_BUCKETS - 1;
}

/* ---- cgroups ---- */

/* The index of a cgroup, by the words in front of `members`. */
static __always_inline __u32 index_of(void *words, void *members, __u64 id)
{
	__u32 key = id % AGENT_WORDS;
	__u64 *place = bpf_map_lookup_elem(words, &key);
	struct agent_member *member;
	__u64 word, alone;

	if (!place)
		return AGENT_INDEX_NONE; /* never */
	word = *(volatile __u64 *)place;
	alone = 1ULL << (AGENT_WORD_COUNT_SHIFT - AGENT_WORD_INDEX_BITS) | id >> AGENT_WORD_BITS;
	if (word >> AGENT_WORD_INDEX_BITS == alone)
		return word % (1 << AGENT_WORD_INDEX_BITS);
	if (word >> AGENT_WORD_COUNT_SHIFT <= 1)
		return AGENT_INDEX_NONE;
	member = bpf_map_lookup_elem(members, &id);
	return member ? member->index : AGENT_INDEX_NONE;
}

static __always_inline __u64 task_cgroup_id(struct task_struct *task)
{
	struct cgroup_subsys_state *css;
	struct css_set *cgroups;
	__u32 subsystem;

	if (!cpu_from_cpuacct)
		return task->cgroups->dfl_cgrp->kn->id;

	subsystem = bpf_core_enum_value(enum cgroup_subsys_id, cpuacct_cgrp_id);
	cgroups = task->cgroups;
	if (bpf_core_read(&css, sizeof(css), &cgroups->subsys[0] + subsystem))
		return 0;
	return BPF_CORE_READ(css, cgroup, kn, id);
}

static __always_inline __u32 task_index(struct task_struct *task)
{
	if (!task->pid || task->flags & PF_KTHREAD)
		return AGENT_INDEX_NONE;
	return index_of(&cpu_words, &cpu_members, task_cgroup_id(task));
}

/* The same through a pointer that the verifier doesn't know: bpf_get_current_task_btf() is of 5.11.
 */
static __always_inline __u32 current_task_index(struct task_struct *task)
{
	struct cgroup_subsys_state *css;
	struct css_set *cgroups;
	__u32 subsystem;
	__u64 id;

	if (!BPF_CORE_READ(task, pid) || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return AGENT_INDEX_NONE;
	if (cpu_from_cpuacct) {
		subsystem = bpf_core_enum_value(enum cgroup_subsys_id, cpuacct_cgrp_id);
		cgroups = BPF_CORE_READ(task, cgroups);
		if (bpf_core_read(&css, sizeof(css), &cgroups->subsys[0] + subsystem))
			return AGENT_INDEX_NONE;
		id = BPF_CORE_READ(css, cgroup, kn, id);
	} else {
		id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	}
	return index_of(&cpu_words, &cpu_members, id);
}

/* The index of the task that runs here, in a program that runs on its behalf. */
static __always_inline __u32 current_index(struct agent_slot *slot)
{
	if (slot->pid == (__u32)bpf_get_current_pid_tgid())
		return slot->index;
	return current_task_index((void *)bpf_get_current_task());
}

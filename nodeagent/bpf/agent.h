/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs (agent.bpf.c) and the agent (bpf_host.cc) share: the layout of the maps.
 * Exact widths, no hidden padding; bpf_host.cc asserts the sizes. Needs __u32 and __u64 first.
 */
#pragma once

enum {
	/* Index 0 means "no cgroup of ours"; nothing is ever counted there. */
	AGENT_INDEX_NONE = 0,
	/* What is below our root, but found no free index: counted in sum, so that the node's total
	 * stays right, and each such update is counted as lost. */
	AGENT_INDEX_OVERFLOW = 1,
	AGENT_INDEX_FIRST = 2,
};

enum {
	AGENT_NAME_SIZE = 256, /* NAME_MAX + NUL: a cgroup's name always fits */
	AGENT_RING_BYTES = 256 * 1024,
	/* Depth below `kubepods` up to which a cgroup gets an index of its own: QoS, pod,
	 * container. What a container makes inside itself is counted with its parent. */
	AGENT_MAX_DEPTH = 3,
};

/* One per (CPU, index); read through mmap. CPU fields are written with interrupts off by the
 * owning CPU only; block fields atomically, because one may interrupt another. */
struct agent_counters {
	__u64 cpu_ns;
	__u64 run_queue_wait_ns;
	__u64 slices; /* times a task of this cgroup was taken off the CPU */
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 read_ops;
	__u64 write_ops;
	__u64 reserved; /* to a cache line: neighbours don't share one */
};

enum agent_lost {
	AGENT_LOST_NO_INDEX, /* an update that went to AGENT_INDEX_OVERFLOW */
	AGENT_LOST_EVENT,    /* a cgroup event that found the ring full: the agent walks again */
	AGENT_LOST_OWNER,    /* block I/O that names no cgroup */
	AGENT_LOST_SWITCH,   /* a slice whose beginning is unknown */
	AGENT_LOST_INTERNAL, /* a map refused what it must always accept */
	AGENT_LOST_REASONS,
};

/* One per CPU: who runs there and the counters it had when it came. */
struct agent_slot {
	__u64 exec_ns;
	__u64 wait_ns;
	__u32 pid; /* 0: idle */
	__u32 index;
	__u64 lost[AGENT_LOST_REASONS];
};

/* Value of the member maps: cgroup id -> where it is counted. */
struct agent_member {
	__u32 index;
	__u32 depth; /* below `kubepods`, which has 0 */
};

enum agent_event_kind {
	AGENT_EVENT_MKDIR = 1,
	AGENT_EVENT_RMDIR = 2,
	AGENT_EVENT_ATTACH = 3, /* a task moved into a cgroup of ours: flush the CPUs now */
};

struct agent_event {
	__u32 kind;
	__u32 hierarchy; /* as in /proc/cgroups; 0 is cgroup v2 */
	__u64 id;
	__u64 parent_id;
	__u32 index;
	__u32 depth;
	char name[AGENT_NAME_SIZE]; /* of MKDIR only: the other kinds end before it */
};

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs (agent.bpf.c) and the agent (bpf_host.cc) share: the layout of the maps.
 * Exact widths, no hidden padding; bpf_host.cc asserts the sizes. Needs __u32 and __u64 first.
 */
#pragma once

enum {
	/* Index 0 means "no cgroup of ours". Only block I/O is counted there. */
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
	AGENT_BUCKETS = 20,	  /* see Histogram in kernel_counters.h */
	AGENT_PREEMPTIONS = 1024, /* pairs of (victim, offender) */
	AGENT_TASKS = 4096,	  /* power of two: tasks remembered, by pid */
	AGENT_STALLED = 4096,	  /* tasks that are in fsync or reclaim at a time */
	AGENT_ISSUED = 1024,	  /* power of two: requests remembered, by address */
	AGENT_OOM_VICTIMS = 64,	  /* power of two: processes remembered that are being killed */
	AGENT_COST_SAMPLE = 1024, /* power of two: of so many runs one is timed */
};

/* Counters that the kernel keeps in each task. Used as a reading of them, and for their sums. */
struct agent_task_counters {
	__u64 cpu_ns;
	__u64 run_queue_wait_ns;
	__u64 voluntary_switches;
	__u64 involuntary_switches;
	__u64 file_read_bytes;
	__u64 file_write_bytes;
	__u64 file_reads;
	__u64 file_writes;
	__u64 fetched_bytes;
	__u64 dirtied_bytes;
	__u64 cancelled_bytes; /* dirtied by anybody, and deleted before it was written back */
	__u64 major_faults;
};

/* One per (CPU, index); read through mmap. What is in `used` and `run_queue_wait` is written with
 * interrupts off by the owning CPU only; the rest atomically, because one may interrupt another. */
struct agent_counters {
	struct agent_task_counters used;
	__u32 watched; /* not 0: preemptions of this index are counted. Set by the agent. */
	__u32 reserved;
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 read_ops;
	__u64 write_ops;
	__u64 run_queue_wait[AGENT_BUCKETS];
	__u64 network_receive_bytes;
	__u64 network_send_bytes;
	__u64 to_cache_line; /* neighbours don't share one */
};

/* One per index, for what is rare enough to be shared by all CPUs. Written atomically. */
struct agent_stalls {
	__u64 fsyncs;
	__u64 fsync_ns;
	__u64 reclaim_ns;
	__u64 oom_kills;
	__u64 fsync[AGENT_BUCKETS];
};

/* One per (index, device), shared by all CPUs; read through mmap. Written atomically. */
struct agent_device {
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 read_ops;
	__u64 write_ops;
	__u64 flushes;
	__u64 queue_ns;
	__u64 device_ns;
	__u64 reserved; /* to a cache line */
	__u64 queue[AGENT_BUCKETS];
	__u64 read[AGENT_BUCKETS];
	__u64 write[AGENT_BUCKETS];
	__u64 flush[AGENT_BUCKETS];
};

/* The index above the device's number, which is major << 20 | minor. */
static inline __u64 agent_device_key(__u32 index, __u32 device)
{
	return (__u64)index << 32 | device;
}

enum {
	/* The cell of what found no other: of all devices, index AGENT_INDEX_OVERFLOW. */
	AGENT_DEVICE_CATCH_ALL = 0,
	AGENT_DEVICE_FIRST = 1,
	/* In front of the hash of cells: words of key << 12 | cell, at the place that the key
	 * chooses. A word is only ever a hint; the agent clears it when it frees the cell. */
	AGENT_DEVICE_WORDS = 4096, /* power of two */
	AGENT_DEVICE_CELL_BITS = 12,
};

static inline __u32 agent_device_word(__u64 key)
{
	return (__u32)(key >> 32) * 7 + (__u32)(key >> 20) + (__u32)key;
}

enum agent_lost {
	AGENT_LOST_NO_INDEX,   /* an update that went to AGENT_INDEX_OVERFLOW */
	AGENT_LOST_EVENT,      /* a cgroup event that found the ring full: the agent walks again */
	AGENT_LOST_OWNER,      /* block I/O that names no cgroup */
	AGENT_LOST_SWITCH,     /* a slice whose beginning is unknown */
	AGENT_LOST_INTERNAL,   /* a map refused what it must always accept */
	AGENT_LOST_DEVICE,     /* block I/O that found no free cell */
	AGENT_LOST_PREEMPTION, /* one that found the table of pairs full */
	AGENT_LOST_STALL,      /* one that found the table of tasks that stall full */
	AGENT_LOST_REASONS,
};

/* What the cost of our programs is told by: those of one purpose together. */
enum agent_program {
	AGENT_PROGRAM_SWITCH,
	AGENT_PROGRAM_FLUSH,
	AGENT_PROGRAM_EXIT,
	AGENT_PROGRAM_ISSUE,
	AGENT_PROGRAM_REQUEUE,
	AGENT_PROGRAM_COMPLETE,
	AGENT_PROGRAM_FSYNC,
	AGENT_PROGRAM_RECLAIM,
	AGENT_PROGRAM_SEND,
	AGENT_PROGRAM_RECEIVE,
	AGENT_PROGRAM_OOM,
	AGENT_PROGRAM_CGROUP,
	AGENT_PROGRAMS,
};

struct agent_cost {
	__u64 runs;
	__u64 sampled_ns; /* of one run of AGENT_COST_SAMPLE */
};

/* One per CPU: who runs there and the counters it had when it came. */
struct agent_slot {
	__u32 pid; /* 0: idle */
	__u32 index;
	/* Not 0: a program that the flush may interrupt is settling; the flush leaves it alone. */
	__u32 busy;
	__u32 victim; /* the index that had to leave the CPU to whoever runs now; 0: none */
	struct agent_task_counters base; /* of a task that isn't ours only the CPU time is known */
	__u64 system_cpu_ns;		 /* of tasks that aren't ours, kernel threads too */
	__u64 reserved;			 /* to a cache line */
	struct agent_cost costs[AGENT_PROGRAMS];
	__u64 lost[AGENT_LOST_REASONS]; /* to a cache line */
};

/* Value of the member maps: cgroup id -> where it is counted. */
struct agent_member {
	__u32 index;
	__u32 depth; /* below `kubepods`, which has 0 */
};

/* A task's counters when it last left a CPU. */
struct agent_task {
	__u32 pid;
	__u32 reserved;
	struct agent_task_counters last;
	__u64 to_cache_line[3];
};

struct agent_pair {
	__u32 victim;
	__u32 offender;
};

struct agent_preemption {
	__u64 count;
	__u64 offender_ns;
};

/*
 * In front of each member map lies a table of words, so that most look-ups need no hash. Each
 * member adds one number to the word that its id chooses; taking it out subtracts the same. So
 * the BPF programs and the agent may both change a word at any time, with atomic additions alone
 * (compare-and-swap came to BPF with 5.12). The number: 1 << 50, the rest of the id << 20, the
 * index. A word with one member is that member; with more, it is only known that the hash must be
 * asked. Between bit 40 and 50 is room for the carry of 1023 members that share a word.
 */
enum {
	AGENT_WORD_BITS = 13, /* of the id, choose one of 8192 words */
	AGENT_WORDS = 1 << AGENT_WORD_BITS,
	AGENT_WORD_INDEX_BITS = 20,
	AGENT_WORD_TAG_BITS = 20,
	AGENT_WORD_COUNT_SHIFT = 50,
};

static inline __u64 agent_word_of(__u64 id, __u32 index)
{
	__u64 tag = id >> AGENT_WORD_BITS;

	if (tag >> AGENT_WORD_TAG_BITS) /* too large to be told from others: always ask the hash */
		return 2ULL << AGENT_WORD_COUNT_SHIFT;
	return 1ULL << AGENT_WORD_COUNT_SHIFT | tag << AGENT_WORD_INDEX_BITS | index;
}

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

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Time that tasks of a cgroup spend in fsync() and in reclaiming memory, and what they send and
 * receive. All in the context of the task itself.
 *
 * Where no argument is needed these are untyped raw tracepoints: typed ones of a file system that
 * is a module would need its type information, and so CAP_SYS_ADMIN.
 */
#pragma once

#define AF_INET	 2 /* include/linux/socket.h */
#define AF_INET6 10
#define MSG_PEEK 2

struct stalling {
	__u32 pid;
	__u32 program; /* fsync may wait for reclaim */
};

struct begun {
	__u64 at_ns;
	__u32 index;
	__u32 reserved;
};

/* When a task began to wait. Preallocated (reclaim must not allocate), 0.35 MiB of the kernel's
 * memory; full: counted as lost. An entry whose end was missed goes when its pid stalls again. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENT_STALLED);
	__type(key, struct stalling);
	__type(value, struct begun);
} stalls_begun SEC(".maps");

static __always_inline struct stalling current_stall(enum agent_program program)
{
	struct stalling key = {.pid = bpf_get_current_pid_tgid(), .program = program};

	return key;
}

static __always_inline void note_begin(struct agent_slot *slot, enum agent_program program)
{
	struct stalling key = current_stall(program);
	struct begun begun = {.index = current_index(slot)};

	if (begun.index == AGENT_INDEX_NONE)
		return;
	begun.at_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&stalls_begun, &key, &begun, BPF_ANY))
		count_lost(slot, AGENT_LOST_STALL);
}

static __always_inline int begin_stall(enum agent_program program)
{
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, program);
	note_begin(slot, program);
	end_run(slot, program, began);
	return 0;
}

static __always_inline void count_stall(struct agent_stalls *to, enum agent_program program,
					__u64 took_ns)
{
	if (program == AGENT_PROGRAM_RECLAIM) {
		__sync_fetch_and_add(&to->reclaim_ns, took_ns);
		return;
	}
	__sync_fetch_and_add(&to->fsyncs, 1);
	__sync_fetch_and_add(&to->fsync_ns, took_ns);
	__sync_fetch_and_add(&to->fsync[bucket_of(took_ns)], 1);
}

/* Nothing is counted of a stall whose beginning isn't known. */
static __always_inline void note_end(enum agent_program program)
{
	struct stalling key = current_stall(program);
	struct begun *begun = bpf_map_lookup_elem(&stalls_begun, &key);
	struct agent_stalls *found;
	__u32 index;

	if (!begun)
		return;
	index = begun->index;
	found = bpf_map_lookup_elem(&stalls, &index);
	if (found)
		count_stall(found, program, bpf_ktime_get_ns() - begun->at_ns);
	bpf_map_delete_elem(&stalls_begun, &key);
}

static __always_inline int end_stall(enum agent_program program)
{
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, program);
	note_end(program);
	end_run(slot, program, began);
	return 0;
}

SEC("raw_tp/ext4_sync_file_enter")
int on_fsync_enter(void *ctx)
{
	return begin_stall(AGENT_PROGRAM_FSYNC);
}

SEC("raw_tp/ext4_sync_file_exit")
int on_fsync_exit(void *ctx)
{
	return end_stall(AGENT_PROGRAM_FSYNC);
}

SEC("raw_tp/mm_vmscan_direct_reclaim_begin")
int on_direct_reclaim_begin(void *ctx)
{
	return begin_stall(AGENT_PROGRAM_RECLAIM);
}

SEC("raw_tp/mm_vmscan_direct_reclaim_end")
int on_direct_reclaim_end(void *ctx)
{
	return end_stall(AGENT_PROGRAM_RECLAIM);
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_begin")
int on_memcg_reclaim_begin(void *ctx)
{
	return begin_stall(AGENT_PROGRAM_RECLAIM);
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_end")
int on_memcg_reclaim_end(void *ctx)
{
	return end_stall(AGENT_PROGRAM_RECLAIM);
}

/* The counters of the task that runs, for what went through an Internet socket. */
static __always_inline struct agent_counters *network_counters(struct agent_slot *slot,
							       struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;
	__u32 index;

	if (family != AF_INET && family != AF_INET6)
		return 0;
	index = current_index(slot);
	return index == AGENT_INDEX_NONE ? 0 : counters_of(slot, index);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_sock_send, struct sock *sk, int bytes, int flags)
{
	struct agent_slot *slot = this_slot();
	struct agent_counters *found;
	__u64 began;

	if (!slot || bytes <= 0)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_SEND);
	found = network_counters(slot, sk);
	if (found)
		__sync_fetch_and_add(&found->network_send_bytes, bytes);
	end_run(slot, AGENT_PROGRAM_SEND, began);
	return 0;
}

/* What is only looked at stays in the socket, and will be received later. */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_sock_receive, struct sock *sk, int bytes, int flags)
{
	struct agent_slot *slot = this_slot();
	struct agent_counters *found;
	__u64 began;

	if (!slot || bytes <= 0 || flags & MSG_PEEK)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_RECEIVE);
	found = network_counters(slot, sk);
	if (found)
		__sync_fetch_and_add(&found->network_receive_bytes, bytes);
	end_run(slot, AGENT_PROGRAM_RECEIVE, began);
	return 0;
}

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

/* When a task began to wait, by pid, direct-mapped; what is overwritten is counted as lost. */
struct begun {
	__u64 at_ns;
	__u32 pid;
	__u32 index;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_TASKS);
	__type(key, __u32);
	__type(value, struct begun);
} fsyncs_begun SEC(".maps"), reclaims_begun SEC(".maps");

static __always_inline void note_begin(struct agent_slot *slot, void *begun)
{
	__u32 pid = bpf_get_current_pid_tgid(), key = pid % AGENT_TASKS, index;
	struct begun *entry;

	index = current_index(slot);
	if (index == AGENT_INDEX_NONE)
		return;
	entry = bpf_map_lookup_elem(begun, &key);
	if (!entry)
		return; /* never */
	if (entry->pid && entry->pid != pid)
		count_lost(slot, AGENT_LOST_INTERNAL);
	entry->pid = pid;
	entry->index = index;
	entry->at_ns = bpf_ktime_get_ns();
}

static __always_inline int begin_stall(void *begun, enum agent_program program)
{
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, program);
	note_begin(slot, begun);
	end_run(slot, program, began);
	return 0;
}

/* What the stall took; -1 when its beginning isn't known. */
static __always_inline __s64 end_stall(void *begun, struct agent_stalls **found)
{
	__u32 pid = bpf_get_current_pid_tgid(), key = pid % AGENT_TASKS, index;
	struct begun *entry = bpf_map_lookup_elem(begun, &key);

	if (!entry || entry->pid != pid)
		return -1;
	entry->pid = 0;
	index = entry->index;
	*found = bpf_map_lookup_elem(&stalls, &index);
	return *found ? (__s64)(bpf_ktime_get_ns() - entry->at_ns) : -1;
}

SEC("raw_tp/ext4_sync_file_enter")
int on_fsync_enter(void *ctx)
{
	return begin_stall(&fsyncs_begun, AGENT_PROGRAM_FSYNC);
}

SEC("raw_tp/ext4_sync_file_exit")
int on_fsync_exit(void *ctx)
{
	struct agent_slot *slot = this_slot();
	struct agent_stalls *found;
	__s64 took_ns;
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_FSYNC);
	took_ns = end_stall(&fsyncs_begun, &found);
	if (took_ns >= 0) {
		__sync_fetch_and_add(&found->fsyncs, 1);
		__sync_fetch_and_add(&found->fsync_ns, took_ns);
		__sync_fetch_and_add(&found->fsync[bucket_of(took_ns)], 1);
	}
	end_run(slot, AGENT_PROGRAM_FSYNC, began);
	return 0;
}

static __always_inline int end_reclaim(void)
{
	struct agent_slot *slot = this_slot();
	struct agent_stalls *found;
	__s64 took_ns;
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_RECLAIM);
	took_ns = end_stall(&reclaims_begun, &found);
	if (took_ns >= 0)
		__sync_fetch_and_add(&found->reclaim_ns, took_ns);
	end_run(slot, AGENT_PROGRAM_RECLAIM, began);
	return 0;
}

SEC("raw_tp/mm_vmscan_direct_reclaim_begin")
int on_direct_reclaim_begin(void *ctx)
{
	return begin_stall(&reclaims_begun, AGENT_PROGRAM_RECLAIM);
}

SEC("raw_tp/mm_vmscan_direct_reclaim_end")
int on_direct_reclaim_end(void *ctx)
{
	return end_reclaim();
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_begin")
int on_memcg_reclaim_begin(void *ctx)
{
	return begin_stall(&reclaims_begun, AGENT_PROGRAM_RECLAIM);
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_end")
int on_memcg_reclaim_end(void *ctx)
{
	return end_reclaim();
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

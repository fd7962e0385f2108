// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * CPU time, run-queue wait and block I/O per cgroup, below one kubelet's cgroup root.
 *
 * Nothing is timed here. The kernel keeps exact counters in each task; we note them when a task
 * gets a CPU and add the difference to its cgroup when it leaves. Block I/O is taken from the
 * request at issue, whose bio names the cgroup that pays.
 *
 * Only tp_btf and raw_tp: kernels under lockdown refuse fentry and kprobes. Kernel >= 5.11
 * (bpf_get_current_task_btf), with BTF.
 */
#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "agent.h"
#include "core_types.h"

#define PF_KTHREAD   0x00200000 /* include/linux/sched.h */
#define REQ_OP_MASK  0xff	/* include/linux/blk_types.h */
#define REQ_OP_READ  0
#define REQ_OP_WRITE 1
#define SCHED_NORMAL 0 /* include/uapi/linux/sched.h */
#define SCHED_BATCH  3
#define SCHED_IDLE   5

/* Set before loading. */
const volatile __u32 max_cgroups = 2048;   /* size of the index space */
const volatile __u32 cpu_hierarchy = 0;	   /* where tasks are looked up */
const volatile __u32 io_hierarchy = 0;	   /* where bios are charged */
const volatile __u32 cpu_from_cpuacct = 0; /* not 0: no cgroup v2 tree, use v1's cpuacct */

/* (CPU, index) -> counters, at cpu * max_cgroups + index. Mapped by the agent, which reads it
 * without a system call; CPUs * max_cgroups entries of 64 bytes. Never evicted: an index is
 * used again only after the agent has taken its last values. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agent_counters);
} counters SEC(".maps");

/* CPU -> what runs there. Mapped by the agent as well. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agent_slot);
} slots SEC(".maps");

/* cgroup id -> agent_member, for the hierarchy that tasks are looked up in. Ids of different
 * hierarchies collide, so each hierarchy has a map of its own. Preallocated (allocating in the
 * scheduler is unsafe before 6.1); twice max_cgroups, so that it isn't full before the indices are.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct agent_member);
} cpu_members SEC(".maps"), io_members SEC(".maps");

/* Indices that nobody uses. The agent fills it and gives back what it has freed. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, __u32);
} free_indices SEC(".maps");

/* Cgroup events only: counters are read, not sent. Full: counted, and the agent walks the tree. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, AGENT_RING_BYTES);
} events SEC(".maps");

/* ---- helpers: slots and counters ---- */

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

/* ---- helpers: cgroups ---- */

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
	struct agent_member *member;
	__u64 id;

	if (!task->pid || task->flags & PF_KTHREAD)
		return AGENT_INDEX_NONE;
	id = task_cgroup_id(task);
	member = bpf_map_lookup_elem(&cpu_members, &id);
	return member ? member->index : AGENT_INDEX_NONE;
}

/* ---- CPU time and run-queue wait ---- */

struct reading {
	__u64 exec_ns;
	__u64 wait_ns;
};

/* True for the classes whose switch-in sets se.prev_sum_exec_runtime. */
static __always_inline bool is_fair(struct task_struct *task)
{
	return task->policy == SCHED_NORMAL || task->policy == SCHED_BATCH ||
	       task->policy == SCHED_IDLE;
}

/* Reads each counter once: another CPU may bring it forward between two reads, and what it adds
 * there would be lost. */
static __always_inline struct reading read_task(struct task_struct *task)
{
	struct reading now = {};

	now.exec_ns = task->se.sum_exec_runtime;
	if (bpf_core_field_exists(task->sched_info.run_delay))
		now.wait_ns = task->sched_info.run_delay;
	return now;
}

/* Adds what `task` has used since it was noted. Interrupts are off. */
static __always_inline struct agent_counters *settle(struct agent_slot *slot,
						     struct task_struct *task, struct reading now)
{
	bool noted = slot->pid == (__u32)task->pid;
	struct agent_counters *found;
	__u32 index;

	/* Not noted: its switch-in was not shown to us (seen on 6.18, where no BPF runs on top of
	 * certain tasks, so also not when they leave the CPU), or exec() gave a thread the pid of
	 * its leader. The scheduler's own note of where the slice began serves then. */
	index = noted ? slot->index : task_index(task);
	if (index == AGENT_INDEX_NONE)
		return 0;
	if (!noted && !is_fair(task)) {
		count_lost(slot, AGENT_LOST_SWITCH);
		return 0;
	}
	found = counters_of(slot, index);
	if (!found)
		return 0;
	if (noted) {
		found->cpu_ns += now.exec_ns - slot->exec_ns;
		found->run_queue_wait_ns += now.wait_ns - slot->wait_ns;
	} else {
		found->cpu_ns += now.exec_ns - task->se.prev_sum_exec_runtime;
	}
	return found;
}

static __always_inline void note(struct agent_slot *slot, struct task_struct *task,
				 struct reading now)
{
	slot->pid = task->pid;
	slot->index = task_index(task);
	slot->exec_ns = now.exec_ns;
	slot->wait_ns = now.wait_ns;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct agent_slot *slot = this_slot();
	struct agent_counters *settled;

	if (!slot)
		return 0; /* never: one slot per possible CPU */
	settled = settle(slot, prev, read_task(prev));
	if (settled)
		settled->slices++;
	/* The wait of `next` that ends now is added to its run_delay after this point, so it is
	 * counted when `next` leaves the CPU or at the next flush. */
	note(slot, next, read_task(next));
	return 0;
}

/* Never attached. The agent runs it on a CPU through BPF_PROG_TEST_RUN, which interrupts the task
 * there: without it, a task that doesn't switch would be counted when it ends. */
SEC("raw_tp/flush")
int flush_running_task(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct agent_slot *slot = this_slot();
	struct reading now;

	if (!slot)
		return 0;
	now = read_task(task);
	settle(slot, task, now);
	note(slot, task, now);
	return 0;
}

/* What follows in do_exit() moves the scheduler's note of where the slice began (autogroup), so a
 * slice that was not noted is settled before. The flush may interrupt: the swap of the pid, which
 * is last, decides which of the two counts. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_process_exit)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct agent_slot *slot = this_slot();
	struct agent_counters *found;
	struct reading now;
	__u64 began;
	__u32 before;

	if (!slot || slot->pid == (__u32)task->pid || !is_fair(task))
		return 0;
	before = slot->pid;
	now = read_task(task);
	began = task->se.prev_sum_exec_runtime;
	slot->index = task_index(task);
	slot->exec_ns = now.exec_ns;
	slot->wait_ns = now.wait_ns;
	if (__sync_val_compare_and_swap(&slot->pid, before, (__u32)task->pid) != before)
		return 0;
	if (slot->index == AGENT_INDEX_NONE)
		return 0;
	found = counters_of(slot, slot->index);
	if (found)
		__sync_fetch_and_add(&found->cpu_ns, now.exec_ns - began);
	return 0;
}

/* ---- block I/O ---- */

static __always_inline struct agent_counters *payer_of(struct request *rq)
{
	struct agent_member *member;
	struct blkcg_gq *group;
	struct bio *bio = rq->bio;
	__u64 id;

	if (!bio)
		return 0; /* the driver's own request: nobody's */
	group = bio->bi_blkg;
	if (!group) {
		count_lost(this_slot(), AGENT_LOST_OWNER);
		return 0;
	}
	id = group->blkcg->css.cgroup->kn->id;
	if (io_hierarchy == cpu_hierarchy)
		member = bpf_map_lookup_elem(&cpu_members, &id);
	else
		member = bpf_map_lookup_elem(&io_members, &id);
	return member ? counters_of(this_slot(), member->index) : 0;
}

static __always_inline void count_request(struct request *rq, __s64 sign)
{
	__u32 op = rq->cmd_flags & REQ_OP_MASK;
	struct agent_counters *payer;

	if (op != REQ_OP_READ && op != REQ_OP_WRITE)
		return;
	payer = payer_of(rq);
	if (!payer)
		return;
	if (op == REQ_OP_READ) {
		__sync_fetch_and_add(&payer->read_bytes, sign * rq->__data_len);
		__sync_fetch_and_add(&payer->read_ops, sign);
	} else {
		__sync_fetch_and_add(&payer->write_bytes, sign * rq->__data_len);
		__sync_fetch_and_add(&payer->write_ops, sign);
	}
}

/* At issue, not at completion: completions come in interrupts, and a kernel that runs no BPF on top
 * of certain tasks (see settle()) hides some of them. All bios of a request pay from one cgroup:
 * the block layer doesn't merge across. */
SEC("tp_btf/block_rq_issue")
int BPF_PROG(on_block_issue, struct request *rq)
{
	count_request(rq, 1);
	return 0;
}

/* The driver gave it back; what is left of it will be issued again. */
SEC("tp_btf/block_rq_requeue")
int BPF_PROG(on_block_requeue, struct request *rq)
{
	count_request(rq, -1);
	return 0;
}

/* ---- cgroups that come and go ---- */

/* Wakes the agent only when the ring fills up or the event can't wait for its next tick. */
static __always_inline __u64 wakeup_flags(bool urgent)
{
	if (urgent || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > AGENT_RING_BYTES / 2)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

#define EVENT_HEAD_BYTES __builtin_offsetof(struct agent_event, name)

static __always_inline void send_short(enum agent_event_kind kind, __u32 hierarchy, __u64 id,
				       bool urgent)
{
	struct agent_event *event = bpf_ringbuf_reserve(&events, EVENT_HEAD_BYTES, 0);

	if (!event) {
		count_lost(this_slot(), AGENT_LOST_EVENT);
		return;
	}
	event->kind = kind;
	event->hierarchy = hierarchy;
	event->id = id;
	event->parent_id = 0;
	event->index = 0;
	event->depth = 0;
	bpf_ringbuf_submit(event, wakeup_flags(urgent));
}

static __always_inline void send_mkdir(struct cgroup *cgrp, __u64 id, __u64 parent_id,
				       const struct agent_member *member)
{
	struct agent_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_lost(this_slot(), AGENT_LOST_EVENT);
		return;
	}
	event->kind = AGENT_EVENT_MKDIR;
	event->hierarchy = cgrp->root->hierarchy_id;
	event->id = id;
	event->parent_id = parent_id;
	event->index = member->index;
	event->depth = member->depth;
	bpf_probe_read_kernel_str(event->name, sizeof(event->name), cgrp->kn->name);
	bpf_ringbuf_submit(event, wakeup_flags(false));
}

/* A child of a member is a member from its first instruction on. */
static __always_inline void add_member(void *members, struct cgroup *cgrp)
{
	struct cgroup *parent_cgroup = cgrp->self.parent->cgroup;
	__u64 parent_id = parent_cgroup->kn->id;
	struct agent_member *parent = bpf_map_lookup_elem(members, &parent_id);
	struct agent_member member = {};
	__u64 id = cgrp->kn->id;

	if (!parent)
		return;
	member.depth = parent->depth + 1;
	if (member.depth > AGENT_MAX_DEPTH)
		member.index = parent->index;
	else if (bpf_map_pop_elem(&free_indices, &member.index))
		member.index = AGENT_INDEX_OVERFLOW;
	if (bpf_map_update_elem(members, &id, &member, BPF_NOEXIST)) {
		/* The agent's walk was faster (then it has an index), or the map is full. */
		if (member.depth <= AGENT_MAX_DEPTH && member.index != AGENT_INDEX_OVERFLOW)
			bpf_map_push_elem(&free_indices, &member.index, 0);
		if (!bpf_map_lookup_elem(members, &id))
			count_lost(this_slot(), AGENT_LOST_NO_INDEX);
		return;
	}
	send_mkdir(cgrp, id, parent_id, &member);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgrp)
{
	__u32 hierarchy = cgrp->root->hierarchy_id;

	if (hierarchy == cpu_hierarchy)
		add_member(&cpu_members, cgrp);
	else if (hierarchy == io_hierarchy)
		add_member(&io_members, cgrp);
	return 0;
}

static __always_inline bool is_member(__u32 hierarchy, __u64 id)
{
	if (hierarchy == cpu_hierarchy)
		return bpf_map_lookup_elem(&cpu_members, &id);
	if (hierarchy == io_hierarchy)
		return bpf_map_lookup_elem(&io_members, &id);
	return false;
}

/* Only told: tasks that are still dying and late writeback are counted until the agent, a few
 * seconds later, takes the last values and removes the entry. */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cgrp)
{
	__u32 hierarchy = cgrp->root->hierarchy_id;
	__u64 id = cgrp->kn->id;

	if (is_member(hierarchy, id))
		send_short(AGENT_EVENT_RMDIR, hierarchy, id, false);
	return 0;
}

/* The slot of a task that runs while it is moved still names its old cgroup. The task that moves
 * itself is settled here. The flush may interrupt: whoever swaps the baseline adds the difference,
 * in one instruction. */
static __always_inline void settle_moved(struct agent_slot *slot)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct agent_counters *found;
	__u64 before, now;
	__u32 index;

	if (slot->pid != (__u32)task->pid)
		return;
	index = task_index(task);
	if (index == slot->index)
		return;
	before = slot->exec_ns;
	now = task->se.sum_exec_runtime;
	if (slot->index != AGENT_INDEX_NONE) {
		found = counters_of(slot, slot->index);
		if (found && __sync_val_compare_and_swap(&slot->exec_ns, before, now) == before)
			__sync_fetch_and_add(&found->cpu_ns, now - before);
	} else {
		__sync_val_compare_and_swap(&slot->exec_ns, before, now);
	}
	slot->index = index;
}

/* For a task that was moved by another, the agent flushes the CPUs as soon as it hears of it. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup *destination, const char *path,
	     struct task_struct *task)
{
	__u32 hierarchy = destination->root->hierarchy_id;
	struct agent_slot *slot = this_slot();
	__u64 id = destination->kn->id;

	if (hierarchy != cpu_hierarchy || !slot)
		return 0;
	settle_moved(slot);
	if (task->pid != bpf_get_current_task_btf()->pid && is_member(hierarchy, id))
		send_short(AGENT_EVENT_ATTACH, hierarchy, id, true);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

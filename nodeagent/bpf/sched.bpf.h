/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What tasks use, by differences of the counters that the kernel keeps in each: noted when a task
 * gets a CPU, settled when it leaves. Who had to leave a CPU to whom.
 */
#pragma once

#define SCHED_NORMAL 0 /* include/uapi/linux/sched.h */
#define SCHED_BATCH  3
#define SCHED_IDLE   5
#define PF_EXITING   0x00000004 /* include/linux/sched.h */

/* pid -> agent_task, direct-mapped. Only a help: two tasks in one place forget each other. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_TASKS);
	__type(key, __u32);
	__type(value, struct agent_task);
} tasks SEC(".maps");

static __always_inline struct agent_task *remembered(__u32 pid)
{
	__u32 key = pid % AGENT_TASKS;

	return bpf_map_lookup_elem(&tasks, &key);
}

/* True for the classes whose switch-in sets se.prev_sum_exec_runtime. */
static __always_inline bool is_fair(__u32 policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

/* What the scheduler notes of the slice that runs. */
struct slice {
	bool fair; /* it notes where it `began` */
	bool exiting;
	__u64 began; /* sum_exec_runtime at its begin */
};

static __always_inline struct slice read_slice(struct task_struct *task)
{
	return (struct slice){.fair = is_fair(task->policy),
			      .exiting = task->flags & PF_EXITING,
			      .began = task->se.prev_sum_exec_runtime};
}

/* The same through a pointer that the verifier doesn't know. */
static __always_inline struct slice read_current_slice(struct task_struct *task)
{
	__u32 policy = BPF_CORE_READ(task, policy), flags = BPF_CORE_READ(task, flags);

	return (struct slice){.fair = is_fair(policy),
			      .exiting = flags & PF_EXITING,
			      .began = BPF_CORE_READ(task, se.prev_sum_exec_runtime)};
}

/* Each counter is read once: another CPU may bring it forward between two reads, and what it adds
 * there would be lost. */
static __always_inline struct agent_task_counters read_task(struct task_struct *task)
{
	struct agent_task_counters now = {};

	now.cpu_ns = task->se.sum_exec_runtime;
	if (bpf_core_field_exists(task->sched_info.run_delay))
		now.run_queue_wait_ns = task->sched_info.run_delay;
	now.voluntary_switches = task->nvcsw;
	now.involuntary_switches = task->nivcsw;
	now.major_faults = task->maj_flt;
	if (bpf_core_field_exists(task->ioac.rchar)) {
		now.file_read_bytes = task->ioac.rchar;
		now.file_write_bytes = task->ioac.wchar;
		now.file_reads = task->ioac.syscr;
		now.file_writes = task->ioac.syscw;
	}
	if (bpf_core_field_exists(task->ioac.read_bytes)) {
		now.fetched_bytes = task->ioac.read_bytes;
		now.dirtied_bytes = task->ioac.write_bytes;
		now.cancelled_bytes = task->ioac.cancelled_write_bytes;
	}
	return now;
}

/* The same through a pointer that the verifier doesn't know. */
static __always_inline struct agent_task_counters read_current(struct task_struct *task)
{
	struct agent_task_counters now = {};

	now.cpu_ns = BPF_CORE_READ(task, se.sum_exec_runtime);
	if (bpf_core_field_exists(task->sched_info.run_delay))
		now.run_queue_wait_ns = BPF_CORE_READ(task, sched_info.run_delay);
	now.voluntary_switches = BPF_CORE_READ(task, nvcsw);
	now.involuntary_switches = BPF_CORE_READ(task, nivcsw);
	now.major_faults = BPF_CORE_READ(task, maj_flt);
	if (bpf_core_field_exists(task->ioac.rchar)) {
		now.file_read_bytes = BPF_CORE_READ(task, ioac.rchar);
		now.file_write_bytes = BPF_CORE_READ(task, ioac.wchar);
		now.file_reads = BPF_CORE_READ(task, ioac.syscr);
		now.file_writes = BPF_CORE_READ(task, ioac.syscw);
	}
	if (bpf_core_field_exists(task->ioac.read_bytes)) {
		now.fetched_bytes = BPF_CORE_READ(task, ioac.read_bytes);
		now.dirtied_bytes = BPF_CORE_READ(task, ioac.write_bytes);
		now.cancelled_bytes = BPF_CORE_READ(task, ioac.cancelled_write_bytes);
	}
	return now;
}

static __always_inline void add_used(struct agent_counters *to,
				     const struct agent_task_counters *now,
				     const struct agent_task_counters *base)
{
	__u64 wait_ns = now->run_queue_wait_ns - base->run_queue_wait_ns;
	__u64 fetched = now->fetched_bytes - base->fetched_bytes;
	__u64 dirtied = now->dirtied_bytes - base->dirtied_bytes;
	__u64 cancelled = now->cancelled_bytes - base->cancelled_bytes;
	__u64 faults = now->major_faults - base->major_faults;

	to->used.cpu_ns += now->cpu_ns - base->cpu_ns;
	to->used.voluntary_switches += now->voluntary_switches - base->voluntary_switches;
	to->used.involuntary_switches += now->involuntary_switches - base->involuntary_switches;
	to->used.file_read_bytes += now->file_read_bytes - base->file_read_bytes;
	to->used.file_write_bytes += now->file_write_bytes - base->file_write_bytes;
	to->used.file_reads += now->file_reads - base->file_reads;
	to->used.file_writes += now->file_writes - base->file_writes;
	if (fetched | dirtied | cancelled | faults) { /* most slices touch no device */
		to->used.fetched_bytes += fetched;
		to->used.dirtied_bytes += dirtied;
		to->used.cancelled_bytes += cancelled;
		to->used.major_faults += faults;
	}
	if (wait_ns) {
		to->used.run_queue_wait_ns += wait_ns;
		to->run_queue_wait[bucket_of(wait_ns)]++;
	}
}

/* When the task is settled. For adopt(), and for waits on a queue that the task left without
 * running (when it is moved to another CPU), which note() would otherwise take for old ones. */
static __always_inline void remember(__u32 pid, const struct agent_task_counters *now)
{
	struct agent_task *entry = remembered(pid);

	if (!entry)
		return; /* never */
	entry->pid = pid;
	entry->last = *now;
}

/* `task` gets this CPU. Interrupts are off. */
static __always_inline void note(struct agent_slot *slot, struct task_struct *task, __u32 index)
{
	struct agent_task *entry;

	slot->pid = task->pid;
	slot->index = index;
	slot->victim = AGENT_INDEX_NONE;
	if (index == AGENT_INDEX_NONE) {
		slot->base.cpu_ns = task->se.sum_exec_runtime;
		return;
	}
	slot->base = read_task(task);
	if (!slot->base.cpu_ns)
		slot->base.run_queue_wait_ns = 0; /* its first slice */
	entry = remembered(task->pid);
	if (entry && entry->pid == (__u32)task->pid && entry->last.cpu_ns == slot->base.cpu_ns)
		slot->base.run_queue_wait_ns = entry->last.run_queue_wait_ns;
}

/* Makes the slot as if the slice that runs had been noted. It was not when its switch-in was not
 * shown to us (seen on 6.18, where no BPF runs on top of certain tasks, so also not when they leave
 * the CPU), or when exec() gave a thread the pid of its leader. What was remembered when the task
 * was last settled is its base, if the scheduler's own note of where the slice began says the same,
 * or of a task that exits, an earlier time: do_exit() moves that note (autogroup), and the part of
 * the slice before would be missing. A task's first slice began with nothing. Else only its CPU
 * time is known, and of a class whose slices the scheduler doesn't note not even that. */
static __always_inline void adopt(struct agent_slot *slot, __u32 pid, __u32 index,
				  const struct slice *slice, const struct agent_task_counters *now)
{
	struct agent_task *entry = remembered(pid);

	slot->pid = pid;
	slot->index = index;
	slot->victim = AGENT_INDEX_NONE;
	if (!slice->fair) {
		slot->base = *now;
		if (index != AGENT_INDEX_NONE)
			count_lost(slot, AGENT_LOST_SWITCH);
	} else if (entry && entry->pid == pid &&
		   (entry->last.cpu_ns == slice->began ||
		    (slice->exiting && entry->last.cpu_ns < slice->began))) {
		slot->base = entry->last;
	} else if (!slice->began) {
		__builtin_memset(&slot->base, 0, sizeof(slot->base));
	} else {
		slot->base = *now;
		slot->base.cpu_ns = slice->began;
	}
}

/* ---- preemptions of watched pods ---- */

static __always_inline void add_offender_time(struct agent_slot *slot, __u64 cpu_ns)
{
	struct agent_pair pair = {.victim = slot->victim, .offender = slot->index};
	struct agent_preemption *found = bpf_map_lookup_elem(&preemptions, &pair);

	if (found)
		__sync_fetch_and_add(&found->offender_ns, cpu_ns);
}

/* A task of `victim` could go on, but one of the slot's index got the CPU. */
static __always_inline void count_preemption(struct agent_slot *slot, __u32 victim)
{
	struct agent_pair pair = {.victim = victim, .offender = slot->index};
	struct agent_preemption fresh = {};
	struct agent_preemption *found = bpf_map_lookup_elem(&preemptions, &pair);

	if (!found) {
		bpf_map_update_elem(&preemptions, &pair, &fresh, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&preemptions, &pair);
	}
	if (!found) {
		count_lost(slot, AGENT_LOST_PREEMPTION);
		return;
	}
	__sync_fetch_and_add(&found->count, 1);
	slot->victim = victim;
}

/* Adds what the noted task, which isn't ours, has used since. */
static __always_inline void settle_system(struct agent_slot *slot, __u64 cpu_ns)
{
	if (slot->pid) /* some kernels count what the idle task runs */
		slot->system_cpu_ns += cpu_ns - slot->base.cpu_ns;
}

/* Adds what the noted task has used since, and remembers it. */
static __always_inline struct agent_counters *settle(struct agent_slot *slot,
						     const struct agent_task_counters *now)
{
	struct agent_counters *found;

	if (slot->index == AGENT_INDEX_NONE) {
		settle_system(slot, now->cpu_ns);
		return 0;
	}
	found = counters_of(slot, slot->index);
	if (found)
		add_used(found, now, &slot->base);
	remember(slot->pid, now);
	return found;
}

/* It could go on but for its own quota: it left the CPU to nobody. */
static __always_inline bool is_throttled(struct task_struct *task)
{
	if (bpf_core_field_exists(task->throttled))
		return task->throttled;
	if (bpf_core_field_exists(task->se.cfs_rq) &&
	    bpf_core_field_exists(task->se.cfs_rq->throttle_count))
		return task->se.cfs_rq->throttle_count > 0;
	return false;
}

/* `prev` leaves this CPU. Returns the index that it was preempted of, if that is watched. */
static __always_inline __u32 settle_left(struct agent_slot *slot, struct task_struct *prev)
{
	struct agent_task_counters now;
	struct agent_counters *found;
	struct slice slice;
	bool preempted;

	if (slot->pid != (__u32)prev->pid) {
		slice = read_slice(prev);
		now = read_task(prev);
		adopt(slot, prev->pid, task_index(prev), &slice, &now);
	}
	if (slot->victim)
		add_offender_time(slot, prev->se.sum_exec_runtime - slot->base.cpu_ns);
	if (slot->index == AGENT_INDEX_NONE) {
		settle_system(slot, prev->se.sum_exec_runtime);
		return AGENT_INDEX_NONE;
	}
	now = read_task(prev);
	found = settle(slot, &now);
	preempted = now.involuntary_switches != slot->base.involuntary_switches;
	if (!found || !found->watched || !preempted || is_throttled(prev))
		return AGENT_INDEX_NONE;
	return slot->index;
}

/* ---- programs ---- */

/* The wait of `next` that ends now is added to its run_delay after this point, so it is counted
 * when `next` leaves the CPU or at the next flush. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct agent_slot *slot = this_slot();
	__u32 victim;
	__u64 began;

	if (!slot)
		return 0; /* never: one slot per possible CPU */
	began = begin_run(slot, AGENT_PROGRAM_SWITCH);
	victim = settle_left(slot, prev);
	note(slot, next, task_index(next));
	if (victim != AGENT_INDEX_NONE && slot->pid && slot->index != victim)
		count_preemption(slot, victim);
	end_run(slot, AGENT_PROGRAM_SWITCH, began);
	return 0;
}

static __always_inline void flush(struct agent_slot *slot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct agent_task_counters now = read_current(task);
	struct slice slice;
	__u32 pid, index;

	pid = BPF_CORE_READ(task, pid);
	index = current_task_index(task);
	if (slot->pid != pid) {
		slice = read_current_slice(task);
		adopt(slot, pid, index, &slice, &now);
	}
	if (slot->victim)
		add_offender_time(slot, now.cpu_ns - slot->base.cpu_ns);
	settle(slot, &now);
	slot->index = index;
	slot->base = now;
}

/* Never attached. The agent runs it on a CPU through BPF_PROG_TEST_RUN, which interrupts the task
 * there: without it, a task that doesn't switch would be counted when it ends. Returns 1 where it
 * came in the middle of a program that settles. */
SEC("raw_tp/flush")
int flush_running_task(void *ctx)
{
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot)
		return 0;
	if (slot->busy)
		return 1;
	began = begin_run(slot, AGENT_PROGRAM_FLUSH);
	flush(slot);
	end_run(slot, AGENT_PROGRAM_FLUSH, began);
	return 0;
}

/* Settles and notes again the task that runs, in a program of its own context. */
static __always_inline void settle_running(struct agent_slot *slot, struct task_struct *task)
{
	struct agent_task_counters now;
	__u32 index = task_index(task);
	struct slice slice;

	slot->busy = 1;
	barrier();
	now = read_task(task);
	if (slot->pid != (__u32)task->pid) {
		slice = read_slice(task);
		adopt(slot, task->pid, index, &slice, &now);
	}
	if (slot->victim)
		add_offender_time(slot, now.cpu_ns - slot->base.cpu_ns);
	settle(slot, &now);
	slot->index = index;
	slot->base = now;
	barrier();
	slot->busy = 0;
}

/* Much follows in do_exit(), and moves the scheduler's note of where the slice began (autogroup):
 * what is remembered from here is then the only base for a slice that is not shown to us. And who
 * was killed for memory is still in its cgroup. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_process_exit, struct task_struct *task)
{
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_EXIT);
	if (is_fair(task->policy))
		settle_running(slot, task);
	if (oom_victim_is_pid)
		count_exiting_victim(task);
	end_run(slot, AGENT_PROGRAM_EXIT, began);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes that the kernel kills for memory. The kernel's own count goes with the cgroup, and on
 * cgroup v1 that of a container is gone before anybody can read it.
 */
#pragma once

/* Set before loading: not 0 where the tracepoint tells a pid only. */
const volatile __u32 oom_victim_is_pid = 0;

/* By pid, direct-mapped. Only a help: of two in one place that die at the same time, the first may
 * be counted twice, or not at all where only its pid is known. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_OOM_VICTIMS);
	__type(key, __u32);
	__type(value, __u32);
} oom_victims SEC(".maps");

static __always_inline __u32 *oom_victim(__u32 pid)
{
	__u32 key = pid % AGENT_OOM_VICTIMS;

	return bpf_map_lookup_elem(&oom_victims, &key);
}

static __always_inline void count_oom_kill(struct task_struct *task)
{
	__u32 index = task_index(task);
	struct agent_stalls *found = bpf_map_lookup_elem(&stalls, &index);

	if (found && index != AGENT_INDEX_NONE)
		__sync_fetch_and_add(&found->oom_kills, 1);
}

/* Since 6.9, and what it was taken back to. Further threads of a process that is dying may be
 * marked as well. */
SEC("tp_btf/mark_victim")
int BPF_PROG(on_oom_victim, struct task_struct *task)
{
	__u32 process = task->tgid, *entry = oom_victim(process);
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot || !entry || *entry == process)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_OOM);
	*entry = process;
	count_oom_kill(task);
	end_run(slot, AGENT_PROGRAM_OOM, began);
	return 0;
}

/* Before, it tells the pid of one of the threads, which is looked for among those that exit: there
 * is no way from a pid to its task before 6.2. */
SEC("tp_btf/mark_victim")
int BPF_PROG(on_oom_victim_pid, int pid)
{
	struct agent_slot *slot = this_slot();
	__u32 *entry = oom_victim(pid);
	__u64 began;

	if (!slot || !entry)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_OOM);
	*entry = pid;
	end_run(slot, AGENT_PROGRAM_OOM, began);
	return 0;
}

static __always_inline void count_exiting_victim(struct task_struct *task)
{
	__u32 pid = task->pid, *entry = oom_victim(pid);

	if (!entry || *entry != pid)
		return;
	*entry = 0;
	count_oom_kill(task);
}

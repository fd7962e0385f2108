/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cgroups that come and go, and tasks that move between them.
 */
#pragma once

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
static __always_inline void add_member(void *members, void *words, struct cgroup *cgrp)
{
	struct cgroup *parent_cgroup = cgrp->self.parent->cgroup;
	__u64 parent_id = parent_cgroup->kn->id;
	struct agent_member *parent = bpf_map_lookup_elem(members, &parent_id);
	struct agent_member member = {};
	__u64 id = cgrp->kn->id;
	__u32 place = id % AGENT_WORDS;
	__u64 *word;

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
	word = bpf_map_lookup_elem(words, &place);
	if (word)
		__sync_fetch_and_add(word, agent_word_of(id, member.index));
	send_mkdir(cgrp, id, parent_id, &member);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgrp)
{
	__u32 hierarchy = cgrp->root->hierarchy_id;
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_CGROUP);
	if (hierarchy == cpu_hierarchy)
		add_member(&cpu_members, &cpu_words, cgrp);
	else if (hierarchy == io_hierarchy)
		add_member(&io_members, &io_words, cgrp);
	end_run(slot, AGENT_PROGRAM_CGROUP, began);
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
	struct agent_slot *slot = this_slot();
	__u64 id = cgrp->kn->id, began;

	if (!slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_CGROUP);
	if (is_member(hierarchy, id))
		send_short(AGENT_EVENT_RMDIR, hierarchy, id, false);
	end_run(slot, AGENT_PROGRAM_CGROUP, began);
	return 0;
}

/* The slot of a task that runs while it is moved still names its old cgroup. A task that moves
 * itself is settled here; for one that was moved by another, the agent flushes the CPUs as soon as
 * it hears of it. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup *destination, const char *path,
	     struct task_struct *task)
{
	__u32 hierarchy = destination->root->hierarchy_id;
	struct agent_slot *slot = this_slot();
	__u64 id = destination->kn->id, began;

	if (hierarchy != cpu_hierarchy || !slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_CGROUP);
	if ((__u32)task->pid == (__u32)bpf_get_current_pid_tgid())
		settle_running(slot, task);
	else if (is_member(hierarchy, id))
		send_short(AGENT_EVENT_ATTACH, hierarchy, id, true);
	end_run(slot, AGENT_PROGRAM_CGROUP, began);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Block I/O by who pays for it: bytes and operations when a request is issued, latency when it is
 * completed.
 *
 * Not all at completion: completions come in interrupts, and a kernel that runs no BPF on top of
 * certain tasks (see adopt()) hides some of them. All bios of a request pay from one cgroup: the
 * block layer doesn't merge across.
 */
#pragma once

#define REQ_OP_MASK  0xff /* include/linux/blk_types.h */
#define REQ_OP_READ  0
#define REQ_OP_WRITE 1
#define REQ_OP_FLUSH 2

/* When requests were issued, by their address, direct-mapped: for kernels that don't note it in the
 * request (they do only while something like writeback throttling asks for it). Only a help: two
 * requests in one place lose the latency of the first. */
struct issued {
	__u64 request;
	__u64 at_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_ISSUED);
	__type(key, __u32);
	__type(value, struct issued);
} issued SEC(".maps");

/* Not 0 once a request came back without the time of its issue. */
__u32 note_issue_time = 0;

static __always_inline struct issued *issued_at(struct request *rq)
{
	/* Requests lie in one array for each queue, some hundred bytes each. */
	__u32 key = ((__u64)rq >> 6) % AGENT_ISSUED;

	return bpf_map_lookup_elem(&issued, &key);
}

/* ---- who and where ---- */

/* The index that pays. Driver's own requests have no bio: nobody's. */
static __always_inline __u32 payer_of(struct agent_slot *slot, struct request *rq)
{
	struct bio *bio = rq->bio;
	struct blkcg_gq *group;
	__u64 id;

	if (!bio)
		return AGENT_INDEX_NONE;
	group = bio->bi_blkg;
	if (!group) {
		count_lost(slot, AGENT_LOST_OWNER);
		return AGENT_INDEX_NONE;
	}
	id = group->blkcg->css.cgroup->kn->id;
	if (io_hierarchy == cpu_hierarchy)
		return index_of(&cpu_words, &cpu_members, id);
	return index_of(&io_words, &io_members, id);
}

static __always_inline __u32 device_of(struct request *rq)
{
	struct request___with_disk *old = (void *)rq;
	struct gendisk *disk;

	if (bpf_core_field_exists(old->rq_disk))
		disk = BPF_CORE_READ(old, rq_disk);
	else
		disk = rq->q->disk;
	if (!disk)
		return 0;
	return (__u32)BPF_CORE_READ(disk, major) << 20 | BPF_CORE_READ(disk, first_minor);
}

/* Takes a cell for `key`; another CPU may have done so at the same time. */
static __always_inline __u32 *make_cell(__u64 key)
{
	__u64 *used_by;
	__u32 cell;

	if (bpf_map_pop_elem(&free_cells, &cell))
		return bpf_map_lookup_elem(&device_cells, &key);
	used_by = bpf_map_lookup_elem(&device_keys, &cell);
	if (used_by)
		*used_by = key;
	if (bpf_map_update_elem(&device_cells, &key, &cell, BPF_NOEXIST)) {
		if (used_by)
			*used_by = 0;
		bpf_map_push_elem(&free_cells, &cell, 0);
	}
	return bpf_map_lookup_elem(&device_cells, &key);
}

/* What finds no free cell is counted in one of its device, if the device was seen before they ran
 * out, else in one for all. */
static __always_inline __u32 find_cell(struct agent_slot *slot, __u64 key, __u64 *word)
{
	__u64 all = agent_device_key(AGENT_INDEX_OVERFLOW, (__u32)key);
	__u32 *cell = bpf_map_lookup_elem(&device_cells, &key);

	if (!cell) {
		if (!bpf_map_lookup_elem(&device_cells, &all))
			make_cell(all);
		cell = make_cell(key);
	}
	if (cell) {
		*word = key << AGENT_DEVICE_CELL_BITS | *cell;
		return *cell;
	}
	count_lost(slot, AGENT_LOST_DEVICE);
	cell = bpf_map_lookup_elem(&device_cells, &all);
	return cell ? *cell : AGENT_DEVICE_CATCH_ALL;
}

static __always_inline struct agent_device *device_cell(struct agent_slot *slot, __u32 index,
							struct request *rq)
{
	__u64 key = agent_device_key(index, device_of(rq)), hint;
	__u32 place = agent_device_word(key) % AGENT_DEVICE_WORDS, cell;
	__u64 *word = bpf_map_lookup_elem(&device_words, &place);

	if (!word)
		return 0; /* never */
	hint = *(volatile __u64 *)word;
	if (hint >> AGENT_DEVICE_CELL_BITS == key)
		cell = hint % (1 << AGENT_DEVICE_CELL_BITS);
	else
		cell = find_cell(slot, key, word);
	return bpf_map_lookup_elem(&devices, &cell);
}

/* ---- issue ---- */

static __always_inline void count_request(struct agent_slot *slot, struct request *rq, __s64 sign)
{
	__u32 op = rq->cmd_flags & REQ_OP_MASK;
	__s64 bytes = sign * rq->__data_len;
	struct agent_counters *payer = 0;
	struct agent_device *device;
	__u32 index;

	if (op > REQ_OP_FLUSH)
		return;
	index = payer_of(slot, rq);
	device = device_cell(slot, index, rq);
	if (index != AGENT_INDEX_NONE)
		payer = counters_of(slot, index);
	if (op == REQ_OP_READ) {
		if (payer) {
			__sync_fetch_and_add(&payer->read_bytes, bytes);
			__sync_fetch_and_add(&payer->read_ops, sign);
		}
		if (device) {
			__sync_fetch_and_add(&device->read_bytes, bytes);
			__sync_fetch_and_add(&device->read_ops, sign);
		}
	} else if (op == REQ_OP_WRITE) {
		if (payer) {
			__sync_fetch_and_add(&payer->write_bytes, bytes);
			__sync_fetch_and_add(&payer->write_ops, sign);
		}
		if (device) {
			__sync_fetch_and_add(&device->write_bytes, bytes);
			__sync_fetch_and_add(&device->write_ops, sign);
		}
	} else if (device) {
		__sync_fetch_and_add(&device->flushes, sign);
	}
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(on_block_issue, struct request *rq)
{
	struct agent_slot *slot = this_slot();
	struct issued *entry;
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_ISSUE);
	count_request(slot, rq, 1);
	if (note_issue_time) {
		entry = issued_at(rq);
		if (entry) {
			entry->request = (__u64)rq;
			entry->at_ns = bpf_ktime_get_ns();
		}
	}
	end_run(slot, AGENT_PROGRAM_ISSUE, began);
	return 0;
}

/* The driver gave it back; what is left of it will be issued again. One that it refused before it
 * was issued (a full SCSI queue, again and again) was not counted. The state changes after this. */
SEC("tp_btf/block_rq_requeue")
int BPF_PROG(on_block_requeue, struct request *rq)
{
	struct agent_slot *slot = this_slot();
	__u64 began;

	if (!slot)
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_REQUEUE);
	if (rq->state != MQ_RQ_IDLE)
		count_request(slot, rq, -1);
	end_run(slot, AGENT_PROGRAM_REQUEUE, began);
	return 0;
}

/* ---- completion ---- */

/* When the driver got it; 0: unknown. */
static __always_inline __u64 issue_time(struct request *rq)
{
	__u64 at_ns = rq->io_start_time_ns;
	struct issued *entry;

	if (at_ns)
		return at_ns;
	if (!note_issue_time)
		note_issue_time = 1;
	entry = issued_at(rq);
	if (!entry || entry->request != (__u64)rq)
		return 0;
	entry->request = 0;
	/* Older than the request itself: of one before, whose completion was hidden. */
	return entry->at_ns < rq->start_time_ns ? 0 : entry->at_ns;
}

static __always_inline void count_latency(struct agent_device *device, struct request *rq, __u32 op,
					  __u64 issued_ns)
{
	__u64 made_ns = rq->start_time_ns;
	__s64 device_ns = bpf_ktime_get_ns() - issued_ns;
	__s64 queue_ns = issued_ns - made_ns;
	__u32 bucket;

	if (device_ns < 0)
		device_ns = 0; /* the block layer caches the clock for a plug's time */
	bucket = bucket_of(device_ns);
	__sync_fetch_and_add(&device->device_ns, device_ns);
	if (op == REQ_OP_READ)
		__sync_fetch_and_add(&device->read[bucket], 1);
	else if (op == REQ_OP_WRITE)
		__sync_fetch_and_add(&device->write[bucket], 1);
	else
		__sync_fetch_and_add(&device->flush[bucket], 1);
	if (!made_ns) /* the flush machinery's own, or with iostats off */
		return;
	if (queue_ns < 0)
		queue_ns = 0;
	__sync_fetch_and_add(&device->queue_ns, queue_ns);
	__sync_fetch_and_add(&device->queue[bucket_of(queue_ns)], 1);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(on_block_complete, struct request *rq, int error, unsigned int bytes)
{
	__u32 op = rq->cmd_flags & REQ_OP_MASK;
	struct agent_slot *slot = this_slot();
	struct agent_device *device;
	__u64 began, issued_ns;

	/* In parts: the last counts. A write without data only asked for a flush: that is a request
	 * of its own. */
	if (!slot || op > REQ_OP_FLUSH || bytes < rq->__data_len || (op != REQ_OP_FLUSH && !bytes))
		return 0;
	began = begin_run(slot, AGENT_PROGRAM_COMPLETE);
	issued_ns = issue_time(rq);
	if (issued_ns) {
		device = device_cell(slot, payer_of(slot, rq), rq);
		if (device)
			count_latency(device, rq, op, issued_ns);
	}
	end_run(slot, AGENT_PROGRAM_COMPLETE, began);
	return 0;
}

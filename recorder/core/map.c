/* SPDX-License-Identifier: MIT */
/* map.c - see map.h. */
#include "recorder/core/map.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"

#ifndef MAP_SYNC /* musl's headers don't have them */
#define MAP_SHARED_VALIDATE 0x03
#define MAP_SYNC 0x80000
#endif

#define DEFAULT_LANES 8u

static int write_all(int fd, const void *bytes, size_t size, uint64_t at)
{
	const unsigned char *p = bytes;

	while (size) {
		ssize_t n = pwrite(fd, p, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/*
 * Cuts a ring into meta and lanes. The meta gets a sixteenth of the ring, twice; the lanes are what is wished for,
 * as far as each can have its smallest size; what does not divide stays unused at the end.
 */
static int plan(const struct fr_geometry *geometry, struct frm_super *super)
{
	uint64_t size = geometry->ring_size, room;
	uint32_t lanes = geometry->lanes ? geometry->lanes : DEFAULT_LANES;

	if (size < FRM_RING_MIN || size > FRM_RING_MAX || size % FRM_PAGE || geometry->policy > FRM_POLICY_DISCARD)
		return -EINVAL;
	super->meta_size = (uint32_t)(size / 16) & ~(FRM_PAGE - 1);
	if (super->meta_size < FRM_META_MIN)
		super->meta_size = FRM_META_MIN;
	if (super->meta_size > FRM_META_MAX / 4)
		super->meta_size = FRM_META_MAX / 4;
	room = size - 2ull * super->meta_size;
	if (lanes > FRM_LANES_MAX)
		lanes = FRM_LANES_MAX;
	if (lanes > room / FRM_LANE_MIN)
		lanes = (uint32_t)(room / FRM_LANE_MIN);
	super->ring_size = size;
	super->lane_count = lanes;
	super->lane_size = room / lanes & ~(uint64_t)(FRM_PAGE - 1);
	super->shared_lanes = geometry->shared_lanes ? geometry->shared_lanes : (lanes + 3) / 4;
	if (super->shared_lanes >= lanes)
		super->shared_lanes = lanes - 1;
	super->policy = geometry->policy;
	return 0;
}

static void describe(struct frm_super *super, const struct fr_identity *identity)
{
	super->magic = FRM_MAGIC_RING;
	super->version_major = FRM_VERSION_MAJOR;
	super->version_minor = FRM_VERSION_MINOR;
	super->kind = identity->kind;
	memcpy(super->boot_id, identity->boot_id, 16);
	memcpy(super->machine_id, identity->machine_id, 16);
	super->boot_seq = identity->boot_seq;
	super->created_boot_ns = fr_clock_boot_ns();
	super->created_real_ns = fr_clock_real_ns();
	super->pid = identity->pid;
	super->ppid = identity->ppid;
	super->start_time_ns = identity->start_time_ns;
	super->uid = identity->uid;
	super->gid = identity->gid;
	super->ident_flags = identity->flags;
	super->pid_namespace = identity->pid_namespace;
	memcpy(super->comm, identity->comm, sizeof(super->comm) - 1);
	memcpy(super->exe, identity->exe, sizeof(super->exe) - 1);
	memcpy(super->cgroup, identity->cgroup, sizeof(super->cgroup) - 1);
	memcpy(super->hostname, identity->hostname, sizeof(super->hostname) - 1);
	if (identity->creator)
		snprintf(super->creator, sizeof(super->creator), "%s", identity->creator);
}

bool fr_ring_on_dax(int fd)
{
	void *page = mmap(NULL, FRM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);

	if (page == MAP_FAILED)
		return false;
	munmap(page, FRM_PAGE);
	return true;
}

int fr_ring_create(int fd, const struct fr_geometry *geometry, const struct fr_identity *identity)
{
	static const unsigned char zeros[64 << 10];
	static const uint8_t no_id[16];
	struct frm_super super = { 0 };
	struct frm_tables tables = { 0 };
	int r = plan(geometry, &super);

	if (r < 0)
		return r;
	if (memcmp(identity->ring_id, no_id, 16))
		memcpy(super.ring_id, identity->ring_id, 16);
	else if (getrandom(super.ring_id, 16, 0) != 16)
		return -errno;
	describe(&super, identity);
	fr_super_sign(&super);

	/* I17: every block is written; fallocate alone would leave extents that a DAX mount forgets in a panic */
	for (uint64_t at = 0; at < super.ring_size; at += sizeof(zeros)) {
		uint64_t left = super.ring_size - at;

		r = write_all(fd, zeros, left < sizeof(zeros) ? (size_t)left : sizeof(zeros), at);
		if (r < 0)
			return r;
	}
	FR_TESTPOINT("ring-zeroed");
	tables.anchor[0].boot_ns = super.created_boot_ns;
	tables.anchor[0].real_ns = super.created_real_ns;
	tables.anchor[0].mono_ns = fr_clock_mono_ns();
	fr_anchor_sign(&tables.anchor[0], super.ring_id);
	for (int copy = 0; copy < 2 && r == 0; copy++) {
		uint64_t at = (uint64_t)copy * super.meta_size;

		r = write_all(fd, &super, sizeof(super), at);
		if (r == 0)
			r = write_all(fd, &tables, sizeof(tables), at + offsetof(struct frm_meta, tables));
		FR_TESTPOINT("ring-meta-written");
	}
	for (uint32_t i = 0; i < super.lane_count && r == 0; i++) {
		struct frm_lane head = { .magic = FRM_MAGIC_LANE, .index = i, .data_size = fr_super_lane_data(&super) };
		uint64_t at = fr_super_lane_offset(&super, i);

		memcpy(head.ring_id, super.ring_id, 16);
		memcpy(head.boot_id, super.boot_id, 16);
		fr_lane_head_sign(&head);
		r = write_all(fd, &head, sizeof(head), at);
		if (r == 0)
			r = write_all(fd, &head, sizeof(head), at + super.lane_size - FRM_LANE_HEAD);
		FR_TESTPOINT("ring-lane-written");
	}
	if (r == 0 && fr_ring_on_dax(fd) && fsync(fd) < 0)
		r = -errno;
	return r;
}

int fr_ring_map(int fd, struct fr_ring *ring)
{
	struct frm_super super;
	struct stat st;
	void *base;
	bool dax = true;
	int r;

	if (pread(fd, &super, sizeof(super), 0) != (ssize_t)sizeof(super))
		return -EBADMSG;
	r = fr_super_check(&super);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < super.ring_size)
		return -EBADMSG;
	base = mmap(NULL, super.ring_size, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	if (base == MAP_FAILED) {
		dax = false;
		base = mmap(NULL, super.ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (base == MAP_FAILED)
		return -errno;
	*ring = (struct fr_ring){ .base = base,
				  .size = super.ring_size,
				  .dax = dax,
				  .super = super,
				  .next_event = 1,
				  .changes = 1 };
	for (int copy = 0; copy < 2; copy++)
		ring->meta[copy] = (struct frm_meta *)(ring->base + (size_t)copy * super.meta_size);
	ring->log_size = super.meta_size - (uint32_t)offsetof(struct frm_meta, log);
	ring->next_anchor = 1; /* create has written the first */
	return 0;
}

void fr_ring_unmap(struct fr_ring *ring)
{
	if (ring->base)
		munmap(ring->base, ring->size);
	*ring = (struct fr_ring){ 0 };
}

void fr_ring_lane(const struct fr_ring *ring, uint32_t index, struct fr_lane *lane)
{
	unsigned char *start = ring->base + fr_super_lane_offset(&ring->super, index);

	*lane = (struct fr_lane){
		.data = start + FRM_LANE_HEAD,
		.size = fr_super_lane_data(&ring->super),
		.seed = fr_lane_seed(ring->super.ring_id, ring->super.boot_id, index),
		.policy = ring->super.policy,
		.head = (struct frm_lane *)start,
		.tail = (struct frm_lane *)(start + ring->super.lane_size - FRM_LANE_HEAD),
	};
	lane->max_record = fr_lane_max_record(lane->size);
}

void fr_ring_lane_owner(const struct fr_ring *ring, struct fr_lane *lane, uint32_t generation, uint32_t tid, const char *name)
{
	struct frm_owner owner = { .from_pos = lane->pos, .tid = tid };

	for (size_t i = 0; i < sizeof(owner.name) - 1 && name[i]; i++)
		owner.name[i] = name[i];
	fr_owner_sign(&owner, ring->super.ring_id);
	lane->head->owner[generation % FRM_OWNERS_MAX] = owner;
	FR_TESTPOINT("owner-entered-once");
	lane->tail->owner[generation % FRM_OWNERS_MAX] = owner;
}

frm_le64 *fr_ring_gate(const struct fr_ring *ring, uint16_t provider)
{
	return &ring->meta[0]->state.gate[provider % FRM_PROVIDERS_MAX];
}

int fr_ring_session_begin(struct fr_ring *ring, uint16_t provider, const uint8_t guid[16], const char *name)
{
	struct frm_session session = { .provider = provider, .begin_ns = fr_clock_boot_ns() };

	do
		session.number = (uint16_t)(fr_add(&ring->next_session, 1) + 1);
	while (session.number == 0);
	if (guid)
		memcpy(session.guid, guid, 16);
	for (size_t i = 0; i < sizeof(session.name) - 1 && name[i]; i++)
		session.name[i] = name[i];
	fr_session_sign(&session, ring->super.ring_id);
	for (int copy = 0; copy < 2; copy++) {
		ring->meta[copy]->tables.session[session.number % FRM_SESSIONS_MAX] = session;
		FR_TESTPOINT("session-begun");
	}
	fr_ring_changed(ring);
	return session.number;
}

void fr_ring_session_end(struct fr_ring *ring, uint16_t number)
{
	struct frm_session session = ring->meta[0]->tables.session[number % FRM_SESSIONS_MAX];

	if (session.number != number)
		return; /* its slot went to a later session */
	session.end_ns = fr_clock_boot_ns();
	fr_session_sign(&session, ring->super.ring_id);
	for (int copy = 0; copy < 2; copy++) {
		ring->meta[copy]->tables.session[number % FRM_SESSIONS_MAX] = session;
		FR_TESTPOINT("session-ended");
	}
	fr_ring_changed(ring);
}

void fr_ring_anchor(struct fr_ring *ring)
{
	struct frm_anchor anchor = { .boot_ns = fr_clock_boot_ns(), .real_ns = fr_clock_real_ns(), .mono_ns = fr_clock_mono_ns() };
	uint32_t slot = fr_add(&ring->next_anchor, 1) % FRM_ANCHORS_MAX;

	/* the first stays: it is the oldest records' only one */
	if (slot == 0)
		slot = fr_add(&ring->next_anchor, 1) % FRM_ANCHORS_MAX;
	fr_anchor_sign(&anchor, ring->super.ring_id);
	for (int copy = 0; copy < 2; copy++) {
		ring->meta[copy]->tables.anchor[slot] = anchor;
		FR_TESTPOINT("anchor-noted");
	}
	fr_ring_changed(ring);
}

void fr_ring_count_loss(struct fr_ring *ring, enum frm_loss cause, uint64_t count)
{
	for (int copy = 0; copy < 2; copy++) {
		fr_add(&ring->meta[copy]->state.loss[cause], count);
		FR_TESTPOINT("loss-counted");
	}
}

void fr_ring_close_mark(struct fr_ring *ring, bool closed)
{
	uint64_t now = closed ? fr_clock_boot_ns() : 0;

	for (int copy = 0; copy < 2; copy++) {
		fr_store_release(&ring->meta[copy]->state.closed_boot_ns, now);
		FR_TESTPOINT("ring-close-marked");
	}
	fr_ring_changed(ring);
}

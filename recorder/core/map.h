/* SPDX-License-Identifier: MIT */
/*
 * map.h - makes a ring file, maps it for its writer, and writes what is not a record: descriptors, sessions,
 * anchors, the ledger, the gates.
 *
 * Owns: the writing side of the meta. Space is allocated by writing it (a store can't hit a full disk later, and a
 * DAX file system gives back only what was written); on a DAX mount the file is synced once and mapped MAP_SYNC.
 */
#ifndef RECORDER_CORE_MAP_H
#define RECORDER_CORE_MAP_H

#include "recorder/core/ring.h"

/* Whose ring it is. Strings are cut to the format's sizes. */
struct fr_identity {
	uint32_t kind; /* enum frm_kind */
	uint32_t pid, ppid, uid, gid;
	uint64_t start_time_ns;
	uint32_t flags; /* FRM_IDENT_* */
	uint8_t ring_id[16]; /* zero: a random one; given: for evidence whose identity is its content */
	uint8_t boot_id[16], machine_id[16];
	uint64_t boot_seq;
	uint64_t pid_namespace; /* inode; 0 unknown */
	char comm[16], exe[256], cgroup[256], hostname[64];
	const char *creator;
};

struct fr_geometry {
	uint64_t ring_size; /* bytes, FRM_RING_MIN..FRM_RING_MAX */
	uint32_t lanes;	    /* 0: chosen from the size */
	uint32_t shared_lanes; /* 0: chosen */
	uint32_t policy;
};

/*
 * Writes a whole empty ring into fd (an empty file, read-write). Blocking. -EINVAL when the geometry can't be,
 * -ENOSPC and what write says. The ring id is random.
 */
int fr_ring_create(int fd, const struct fr_geometry *geometry, const struct fr_identity *identity);
/* True when the file lies on a DAX mount: what is stored through a mapping outlives the kernel. Asked by a mapping. */
bool fr_ring_on_dax(int fd);

struct fr_ring {
	unsigned char *base;
	uint64_t size;
	bool dax;	       /* mapped MAP_SYNC: stores are on the medium once out of the caches */
	struct frm_super super; /* checked copy: what the mapping says later is never asked again */
	struct frm_meta *meta[2];
	uint32_t log_size;     /* bytes each descriptor log holds */
	uint32_t log_used;     /* taken so far, atomically */
	uint32_t next_event, next_provider, next_anchor, next_session; /* atomically */
	uint32_t changes;      /* of what the metas hold beside the ledger; atomically, after each, from 1 */
};

/* Maps a ring that fr_ring_create() made for a writer. -EBADMSG when it isn't one, and what mmap says. */
int fr_ring_map(int fd, struct fr_ring *ring);
void fr_ring_unmap(struct fr_ring *ring);

/* Notes that a meta was changed: who sees the count sees the change. */
static inline void fr_ring_changed(struct fr_ring *ring)
{
	fr_add_release(&ring->changes, 1); /* pairs with the acquire in client/durable.c */
}

/* Sets up the writer's side of lane `index` of a freshly created ring (positions from 0). */
void fr_ring_lane(const struct fr_ring *ring, uint32_t index, struct fr_lane *lane);
/* Enters a new owner of the lane; `generation` counts the lane's owners from 0. */
void fr_ring_lane_owner(const struct fr_ring *ring, struct fr_lane *lane, uint32_t generation, uint32_t tid, const char *name);

/*
 * Declarations, lock-free and safe in a signal handler; equal declarations share one id. Return the id (events
 * from 1, providers from 0), or -ENOSPC when the log or the table is full, -EINVAL when the entry can't be: both counted
 * in the ledger.
 */
struct fr_field_spec {
	uint8_t type; /* enum frm_type */
	const char *name, *unit;
};
int fr_ring_declare_provider(struct fr_ring *ring, const uint8_t guid[16], const char *name, uint16_t major, uint16_t minor);
int fr_ring_declare_event(struct fr_ring *ring, uint16_t provider, const char *name, uint8_t level, uint64_t keywords,
			  const struct fr_field_spec *fields, unsigned field_count);
/* Any other entry of the log (FRM_DESC_SOURCE, FRM_DESC_MODULE): the bytes that follow struct frm_desc. No event is lost by it. */
int fr_ring_declare_raw(struct fr_ring *ring, uint16_t type, const void *bytes, size_t size);

frm_le64 *fr_ring_gate(const struct fr_ring *ring, uint16_t provider);
int fr_ring_session_begin(struct fr_ring *ring, uint16_t provider, const uint8_t guid[16], const char *name); /* number */
void fr_ring_session_end(struct fr_ring *ring, uint16_t number);
void fr_ring_anchor(struct fr_ring *ring); /* notes the clocks' relation now */
void fr_ring_count_loss(struct fr_ring *ring, enum frm_loss cause, uint64_t count);
void fr_ring_close_mark(struct fr_ring *ring, bool closed); /* the writer leaves in order; or is back */

#endif

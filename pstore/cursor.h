/* SPDX-License-Identifier: MIT */
/*
 * cursor.h - how far a ring was copied into segments: the next part's number, and for each lane the next record's.
 *
 * Owns: spool/cursors. The file is a shortcut: without it, or with one that is older than the newest segment, the same is
 * read from the segments of that ring in the spool. It is more than that for a ring that lives on:
 * retention may have dropped those segments. Such a ring's is durable. It goes when its ring is
 * released.
 */
#ifndef PSTORE_CURSOR_H
#define PSTORE_CURSOR_H

#include "pstore/spool.h"
#include "recorder/core/image.h"

struct fr_cursor_lane {
	uint64_t next_seq;  /* records before it are in segments, or their loss is */
	uint64_t discarded; /* of the lane's own count of refused records, already told */
};

struct fr_cursor {
	uint8_t ring_id[16];
	uint32_t next_part;
	uint32_t final; /* a segment that is not a drain holds the end of the ring */
	uint32_t lane_count;
	uint32_t reserved;
	uint64_t ledger[FRM_LOSS_COUNT]; /* of the ring's ledger, already told */
	struct fr_cursor_lane lane[FRM_LANES_MAX];
};

/* Where the copying of this ring stands, by its file and by what lies in the spool. The lock is held. */
int fr_cursor_load(const struct fr_spool *spool, const uint8_t ring_id[16], struct fr_cursor *cursor);
int fr_cursor_store(const struct fr_spool *spool, const struct fr_cursor *cursor);
void fr_cursor_drop(const struct fr_spool *spool, const uint8_t ring_id[16]);

/*
 * Drops cursors of rings that are gone: somebody was killed between releasing the ring and dropping its cursor. `there` says
 * whether a ring of that id was seen. Those that are not final are kept for a month: their ring may lie on a disk that
 * is not mounted.
 */
void fr_cursor_sweep(const struct fr_spool *spool, bool (*there)(void *ctx, const uint8_t ring_id[16]), void *ctx);

#endif

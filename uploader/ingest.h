/* SPDX-License-Identifier: MIT */
/*
 * ingest.h - one sealed segment becomes rows, and goes again.
 *
 * Owns: the tables segment, event, extent, claim and what hangs on a segment. The key of an event is (ring, lane, seq): a
 * record that two segments hold is one row, and goes when the last of them goes.
 */
#ifndef UPLOADER_INGEST_H
#define UPLOADER_INGEST_H

#include "uploader/intern.h"
#include "uploader/ranges.h"

struct fr_ingest; /* prepared statements and scratch memory, for many segments */

int fr_ingest_new(struct fr_index *index, struct fr_ingest **ret_ingest);
void fr_ingest_free(struct fr_ingest *ingest);

/*
 * Ingests spool/`name` within the caller's transaction. An unreadable one is noted in table segment with the reason,
 * which is no failure. `size` and `mtime_ns` are those of the file.
 */
int fr_ingest_segment(struct fr_ingest *ingest, const char *name, uint64_t size, uint64_t mtime_ns,
		      struct fr_index_stats *stats);

/* Notes spool/`name` as one that can't be read, unread. */
int fr_ingest_leave_out(struct fr_ingest *ingest, const char *name, uint64_t size, uint64_t mtime_ns, const char *error,
			struct fr_index_stats *stats);

/* Numbers of a lane that a segment holds and no other one does, lane by lane. */
typedef int (*fr_ingest_lane)(void *data, uint32_t lane, const struct fr_ranges *numbers);
int fr_ingest_only_in(struct fr_index *index, int64_t segment, fr_ingest_lane each, void *data);

/* Forgets a segment within the caller's transaction, with the events that only it holds. *ret_events counts them. */
int fr_ingest_forget(struct fr_index *index, int64_t segment, uint64_t *ret_events);

/*
 * Removes rows that nothing refers to, in a transaction of its own, if a segment was forgotten
 * since the last time.
 */
int fr_ingest_purge(struct fr_index *index);

/* Numbers of (ring, lane) in all segments but one (0: in all), between two numbers. */
int fr_ingest_present(struct fr_index *index, int64_t ring, uint32_t lane, int64_t except_segment, uint64_t first,
		      uint64_t last, struct fr_ranges *set);

#endif

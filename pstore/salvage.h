/* SPDX-License-Identifier: MIT */
/*
 * salvage.h - a ring becomes a segment, and only then the ring goes.
 *
 * Owns: what is copied, in which order things happen, and that doing it twice adds nothing.
 *
 * PROTOCOL for a ring file, under the spool's lock; a crash after any step, and the next run ends at the same place
 *
 *	1. attempt marked, durably		a second crash in the same file sets it aside
 *	2. image copied by pread and judged
 *	3. attempt cleared, durably		the dangerous part is over; what comes now is nobody's poison
 *	4. segment written, synced, renamed, directory synced	(recorder/core/segment.h)
 *	5. cursor stored			a shortcut; without it the segments tell the same (durably when the ring lives
 *						on, or was copied in parts: retention may drop those segments)
 *	6. ring unlinked, its directory synced	(not when it lives on)
 *	7. cursor dropped
 *
 * Between 4 and 6 the next run finds by the cursor, or by the segments, that nothing in the ring is new, and goes on at 6.
 */
#ifndef PSTORE_SALVAGE_H
#define PSTORE_SALVAGE_H

#include "pstore/found.h"
#include "pstore/spool.h"
#include "recorder/core/image.h"

enum fr_salvage_flags {
	FR_SALVAGE_DRAIN = 1, /* the writer lives on: copy what is new, keep the ring */
	FR_SALVAGE_DEAD = 2,  /* the caller knows that the writer is gone: don't look */
	FR_SALVAGE_KEEP = 4,  /* don't release the ring (tests, and sources that are not ours) */
};

/*
 * Salvages the ring file `name` in directory `dir_path`. Takes the spool's lock. Blocking; memory as fr_image_open(): call
 * it from a worker process where that matters. Returns 0 and says in *ret_found what became of it, whatever that is;
 * negative only when the spool itself fails (lock, memory). -ENOENT: the file is gone.
 */
int fr_salvage_ring(struct fr_spool *spool, const char *dir_path, const char *name, unsigned flags, struct fr_found *ret_found);

/* Foreign evidence to be kept verbatim in the segment. */
struct fr_salvage_text {
	const char *name;
	const void *bytes;
	size_t size;
};

struct fr_cursor;

/*
 * Writes what `image` holds beyond the cursor into the next part, and moves the cursor. `limit` (by lane, may be NULL):
 * records from this number on are left for later. Fills in *found what concerns the segment. A part that would say
 * nothing new is not written: fate KNOWN. The lock is held.
 */
int fr_salvage_image(struct fr_spool *spool, const struct fr_image *image, enum frm_reason reason, struct fr_cursor *cursor,
		     const uint64_t *limit, const struct fr_salvage_text *text, size_t texts, struct fr_found *found);

#endif

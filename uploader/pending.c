/* SPDX-License-Identifier: MIT */
/* pending.c - events that no mark covers yet; see index.h. */
#include <errno.h>
#include <stdlib.h>

#include "uploader/ingest.h"
#include "uploader/marks.h"
#include "uploader/resolve.h"

struct lane {
	int64_t ring;
	uint32_t lane;
};

struct fr_pending {
	struct fr_index *index;
	struct fr_resolver *resolver;
	sqlite3_stmt *events, *lanes, *stream;
	struct fr_ranges todo; /* of the lane being read */
	size_t at;	       /* its run, of which `next` is the first number that is not read */
	uint64_t next;
	struct lane lane;
	bool in_lane, in_run, done;
};

int fr_index_pending(struct fr_index *index, struct fr_pending **ret_pending)
{
	struct fr_pending *pending = calloc(1, sizeof(*pending));
	int r = pending ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	pending->index = index;
	r = fr_resolver_new(index, &pending->resolver);
	if (!r)
		r = fr_db_prepare(index, "SELECT " FR_RESOLVE_COLUMNS " FROM event e WHERE e.id BETWEEN ? AND ? ORDER BY e.id",
				  &pending->events);
	if (!r) /* materialized by its ORDER BY, so what happens meanwhile does not disturb it */
		r = fr_db_prepare(index,
				  "SELECT DISTINCT r.id, s.lane, r.ring_id FROM stream s JOIN ring r ON r.id = s.ring"
				  " JOIN boot b ON b.id = r.boot ORDER BY b.seq, b.id, r.created_ns, r.ring_id, s.lane",
				  &pending->lanes);
	if (!r)
		r = fr_db_prepare(index, "SELECT id FROM stream WHERE ring = ? AND lane = ? AND high = ?", &pending->stream);
	if (r < 0) {
		fr_pending_close(pending);
		return r;
	}
	*ret_pending = pending;
	return 0;
}

void fr_pending_close(struct fr_pending *pending)
{
	if (!pending)
		return;
	sqlite3_finalize(pending->events);
	sqlite3_finalize(pending->lanes);
	sqlite3_finalize(pending->stream);
	fr_resolver_free(pending->resolver);
	fr_ranges_done(&pending->todo);
	free(pending);
}

static int next_lane(struct fr_pending *pending)
{
	struct fr_ranges marked FR_RANGES = { 0 };
	uint8_t ring_id[16];
	int r = fr_db_step(pending->lanes);

	if (r <= 0)
		return r;
	pending->lane.ring = sqlite3_column_int64(pending->lanes, 0);
	pending->lane.lane = (uint32_t)sqlite3_column_int64(pending->lanes, 1);
	fr_db_id(pending->lanes, 2, ring_id);
	fr_ranges_done(&pending->todo);
	r = fr_ingest_present(pending->index, pending->lane.ring, pending->lane.lane, 0, 0, FRM_SEQ_MASK, &pending->todo);
	if (!r)
		r = fr_marks_of(pending->index, ring_id, pending->lane.lane, FR_MARK_QUEUED, &marked);
	if (!r)
		r = fr_ranges_subtract(&pending->todo, &marked);
	if (r < 0)
		return r;
	pending->at = 0;
	pending->in_lane = true;
	pending->next = pending->todo.count ? pending->todo.run[0].first : 0;
	return 1;
}

/* Binds the events of the run up to the next multiple of 2^32, where another stream begins. 0: the lane is done. */
static int next_run(struct fr_pending *pending)
{
	const struct fr_run *run;
	uint64_t last;
	int64_t stream;
	int r;

	if (pending->at == pending->todo.count) {
		pending->in_lane = false;
		return 0;
	}
	run = &pending->todo.run[pending->at];
	last = pending->next | UINT32_MAX;
	if (last > run->last)
		last = run->last;
	sqlite3_bind_int64(pending->stream, 1, pending->lane.ring);
	sqlite3_bind_int64(pending->stream, 2, pending->lane.lane);
	sqlite3_bind_int64(pending->stream, 3, (int64_t)(pending->next >> 32));
	r = fr_db_step(pending->stream);
	stream = r == 1 ? sqlite3_column_int64(pending->stream, 0) : 0;
	sqlite3_reset(pending->stream);
	if (r < 0)
		return r;
	if (r) {
		sqlite3_reset(pending->events);
		sqlite3_bind_int64(pending->events, 1, stream << 32 | (int64_t)(pending->next & UINT32_MAX));
		sqlite3_bind_int64(pending->events, 2, stream << 32 | (int64_t)(last & UINT32_MAX));
		pending->in_run = true;
	}
	if (last < run->last) {
		pending->next = last + 1;
	} else if (++pending->at < pending->todo.count) {
		pending->next = pending->todo.run[pending->at].first;
	}
	return 1;
}

int fr_pending_next(struct fr_pending *pending, struct fr_event *ret_event)
{
	int r;

	while (!pending->done) {
		if (pending->in_run) {
			r = fr_db_step(pending->events);
			if (r < 0)
				return r;
			if (r) {
				r = fr_resolve(pending->resolver, pending->events, ret_event);
				return r < 0 ? r : 1;
			}
			sqlite3_reset(pending->events);
			pending->in_run = false;
		}
		if (pending->in_lane) {
			r = next_run(pending);
			if (r < 0)
				return r;
		} else {
			r = next_lane(pending);
			if (r < 0)
				return r;
			pending->done = !r;
		}
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * pending.c - events that no mark covers yet; see index.h.
 *
 * Between two calls no statement is open: the caller may take its time (it talks to a network), and an open one would keep
 * the journal from being written back and, once somebody else has written, every mark from being set.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uploader/ingest.h"
#include "uploader/marks.h"
#include "uploader/resolve.h"

struct lane {
	int64_t ring;
	uint32_t lane;
	uint8_t ring_id[16];
};

struct fr_pending {
	struct fr_index *index;
	struct fr_resolver *resolver;
	sqlite3_stmt *event, *stream;
	struct lane *lane; /* all there are, in order */
	size_t lane_count, lane_room, lane_at;
	struct fr_ranges todo; /* of the lane before lane_at */
	size_t at;	       /* its run; of it, numbers from `next` on are still to be read */
	uint64_t next;
	unsigned char *payload; /* a copy of the row's */
	size_t payload_room;
};

static int add_lane(struct fr_pending *pending, sqlite3_stmt *row)
{
	struct lane *lane;

	if (pending->lane_count == pending->lane_room) {
		size_t room = pending->lane_room ? pending->lane_room * 2 : 64;
		struct lane *grown = realloc(pending->lane, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		pending->lane = grown;
		pending->lane_room = room;
	}
	lane = &pending->lane[pending->lane_count++];
	lane->ring = sqlite3_column_int64(row, 0);
	lane->lane = (uint32_t)sqlite3_column_int64(row, 1);
	fr_db_id(row, 2, lane->ring_id);
	return 0;
}

static int find_lanes(struct fr_pending *pending)
{
	FR_STMT find = NULL;
	int r = fr_db_prepare(pending->index,
			      "SELECT DISTINCT r.id, s.lane, r.ring_id FROM stream s JOIN ring r ON r.id = s.ring"
			      " JOIN boot b ON b.id = r.boot ORDER BY b.seq, b.id, r.created_ns, r.ring_id, s.lane",
			      &find);

	while (!r && (r = fr_db_step(find)) == 1)
		r = add_lane(pending, find);
	return r;
}

int fr_index_pending(struct fr_index *index, struct fr_pending **ret_pending)
{
	struct fr_pending *pending = calloc(1, sizeof(*pending));
	int r = pending ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	pending->index = index;
	r = fr_resolver_new(index, &pending->resolver);
	if (!r)
		r = fr_db_prepare(index, "SELECT " FR_RESOLVE_COLUMNS " FROM event e WHERE e.id BETWEEN ? AND ? ORDER BY e.id LIMIT 1",
				  &pending->event);
	if (!r)
		r = fr_db_prepare(index, "SELECT id FROM stream WHERE ring = ? AND lane = ? AND high = ?", &pending->stream);
	if (!r)
		r = find_lanes(pending);
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
	sqlite3_finalize(pending->event);
	sqlite3_finalize(pending->stream);
	fr_resolver_free(pending->resolver);
	fr_ranges_done(&pending->todo);
	free(pending->lane);
	free(pending->payload);
	free(pending);
}

static int enter_lane(struct fr_pending *pending, const struct lane *lane)
{
	struct fr_ranges marked FR_RANGES = { 0 };
	int r;

	fr_ranges_done(&pending->todo);
	r = fr_ingest_present(pending->index, lane->ring, lane->lane, 0, 0, FRM_SEQ_MASK, &pending->todo);
	if (!r)
		r = fr_marks_of(pending->index, lane->ring_id, lane->lane, FR_MARK_QUEUED, &marked);
	if (!r)
		r = fr_ranges_subtract(&pending->todo, &marked);
	pending->at = 0;
	pending->next = pending->todo.count ? pending->todo.run[0].first : 0;
	return r;
}

/* Row of the stream that holds these numbers; 0: there is none. */
static int64_t find_stream(struct fr_pending *pending, const struct lane *lane, uint64_t high)
{
	int64_t id = 0;
	int r;

	sqlite3_bind_int64(pending->stream, 1, lane->ring);
	sqlite3_bind_int64(pending->stream, 2, lane->lane);
	sqlite3_bind_int64(pending->stream, 3, (int64_t)high);
	r = fr_db_step(pending->stream);
	if (r == 1)
		id = sqlite3_column_int64(pending->stream, 0);
	sqlite3_reset(pending->stream);
	return r < 0 ? r : id;
}

static int copy_payload(struct fr_pending *pending, struct fr_row *row)
{
	if (row->payload_size > pending->payload_room) {
		unsigned char *grown = realloc(pending->payload, row->payload_size);

		if (!grown)
			return -ENOMEM;
		pending->payload = grown;
		pending->payload_room = row->payload_size;
	}
	if (row->payload_size)
		memcpy(pending->payload, row->payload, row->payload_size);
	row->payload = pending->payload ? (const void *)pending->payload : "";
	return 0;
}

/* The first event with a number from `first` to `last`, which one stream holds: 1, or 0: there is none. */
static int read_event(struct fr_pending *pending, int64_t stream, uint64_t first, uint64_t last, struct fr_row *row)
{
	int r;

	sqlite3_bind_int64(pending->event, 1, stream << 32 | (int64_t)(first & UINT32_MAX));
	sqlite3_bind_int64(pending->event, 2, stream << 32 | (int64_t)(last & UINT32_MAX));
	r = fr_db_step(pending->event);
	if (r == 1) {
		fr_row_read(pending->event, row);
		r = copy_payload(pending, row);
		r = r < 0 ? r : 1;
	}
	sqlite3_reset(pending->event);
	return r;
}

/* Goes on behind a number of the lane's current run. */
static void move_on(struct fr_pending *pending, uint64_t number)
{
	if (number < pending->todo.run[pending->at].last)
		pending->next = number + 1;
	else if (++pending->at < pending->todo.count)
		pending->next = pending->todo.run[pending->at].first;
}

int fr_pending_next(struct fr_pending *pending, struct fr_event *ret_event)
{
	for (;;) {
		const struct lane *lane;
		struct fr_row row;
		uint64_t last;
		int64_t stream;
		int r = 0;

		if (pending->at == pending->todo.count) {
			if (pending->lane_at == pending->lane_count)
				return 0;
			r = enter_lane(pending, &pending->lane[pending->lane_at++]);
			if (r < 0)
				return r;
			continue;
		}
		lane = &pending->lane[pending->lane_at - 1];
		last = pending->next | UINT32_MAX;
		if (last > pending->todo.run[pending->at].last)
			last = pending->todo.run[pending->at].last;
		stream = find_stream(pending, lane, pending->next >> 32);
		if (stream > 0)
			r = read_event(pending, stream, pending->next, last, &row);
		if (stream < 0 || r < 0)
			return r < 0 ? r : (int)stream;
		if (!r) { /* dropped since the lane was entered */
			move_on(pending, last);
			continue;
		}
		move_on(pending, (pending->next & ~(uint64_t)UINT32_MAX) | ((uint64_t)row.id & UINT32_MAX));
		r = fr_resolve_row(pending->resolver, &row, ret_event);
		return r < 0 ? r : 1;
	}
}

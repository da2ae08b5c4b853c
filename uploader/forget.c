/* SPDX-License-Identifier: MIT */
/* forget.c - what a segment holds, and the way its rows go again; see ingest.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "uploader/ingest.h"
#include "uploader/ledger.h"

int fr_ingest_present(struct fr_index *index, int64_t ring, uint32_t lane, int64_t except_segment, uint64_t first,
		      uint64_t last, struct fr_ranges *set)
{
	FR_STMT find = NULL;
	int r = fr_db_prepare(index,
			      "SELECT x.first, x.last FROM segment s CROSS JOIN extent x ON x.segment = s.id"
			      " WHERE s.ring = ? AND s.id <> ? AND x.lane = ? AND x.first <= ? AND x.last >= ?",
			      &find);

	if (r < 0)
		return r;
	sqlite3_bind_int64(find, 1, ring);
	sqlite3_bind_int64(find, 2, except_segment);
	sqlite3_bind_int64(find, 3, lane);
	sqlite3_bind_int64(find, 4, fr_db_clamp(last));
	sqlite3_bind_int64(find, 5, fr_db_clamp(first));
	while ((r = fr_db_step(find)) == 1) {
		r = fr_ranges_add(set, (uint64_t)sqlite3_column_int64(find, 0), (uint64_t)sqlite3_column_int64(find, 1));
		if (r < 0)
			return r;
	}
	fr_ranges_tidy(set);
	return r;
}

#define PURGE_WANTED "purge" /* in table progress: a segment was forgotten since the last one */

/* Removes the events with these numbers. */
static int remove_events(struct fr_index *index, int64_t ring, uint32_t lane, const struct fr_ranges *numbers,
			 uint64_t *ret_events)
{
	FR_STMT event = NULL;
	FR_STMT witness = NULL;
	FR_STMT stream = NULL;
	int r = fr_db_prepare(index, "DELETE FROM event WHERE id BETWEEN ? AND ?", &event);

	if (!r)
		r = fr_db_prepare(index, "DELETE FROM witness WHERE event BETWEEN ? AND ?", &witness);
	if (!r)
		r = fr_db_prepare(index, "SELECT id, high FROM stream WHERE ring = ? AND lane = ?", &stream);
	if (r < 0)
		return r;
	sqlite3_bind_int64(stream, 1, ring);
	sqlite3_bind_int64(stream, 2, lane);
	while ((r = fr_db_step(stream)) == 1) {
		int64_t id = sqlite3_column_int64(stream, 0);
		uint64_t from = (uint64_t)sqlite3_column_int64(stream, 1) << 32, to = from | UINT32_MAX;

		for (size_t i = 0; i < numbers->count; i++) {
			uint64_t first = numbers->run[i].first > from ? numbers->run[i].first : from;
			uint64_t last = numbers->run[i].last < to ? numbers->run[i].last : to;

			if (first > last)
				continue;
			sqlite3_bind_int64(event, 1, id << 32 | (int64_t)(first & UINT32_MAX));
			sqlite3_bind_int64(event, 2, id << 32 | (int64_t)(last & UINT32_MAX));
			r = fr_db_run(event);
			if (r < 0)
				return r;
			*ret_events += (uint64_t)sqlite3_changes(index->db);
			sqlite3_bind_int64(witness, 1, id << 32 | (int64_t)(first & UINT32_MAX));
			sqlite3_bind_int64(witness, 2, id << 32 | (int64_t)(last & UINT32_MAX));
			r = fr_db_run(witness);
			if (r < 0)
				return r;
		}
	}
	return r;
}

static int only_in_lane(struct fr_index *index, int64_t segment, int64_t ring, uint32_t lane, struct fr_ranges *own)
{
	struct fr_ranges others FR_RANGES = { 0 };
	FR_STMT find = NULL;
	int r = fr_db_prepare(index, "SELECT first, last FROM extent WHERE segment = ? AND lane = ?", &find);

	if (r < 0)
		return r;
	sqlite3_bind_int64(find, 1, segment);
	sqlite3_bind_int64(find, 2, lane);
	while ((r = fr_db_step(find)) == 1) {
		r = fr_ranges_add(own, (uint64_t)sqlite3_column_int64(find, 0), (uint64_t)sqlite3_column_int64(find, 1));
		if (r < 0)
			return r;
	}
	if (r < 0 || !own->count)
		return r;
	fr_ranges_tidy(own);
	r = fr_ingest_present(index, ring, lane, segment, own->run[0].first, own->run[own->count - 1].last, &others);
	return r < 0 ? r : fr_ranges_subtract(own, &others);
}

int fr_ingest_only_in(struct fr_index *index, int64_t segment, fr_ingest_lane each, void *data)
{
	FR_STMT lanes = NULL;
	int r = fr_db_prepare(index,
			      "SELECT DISTINCT x.lane, s.ring FROM extent x JOIN segment s ON s.id = x.segment WHERE s.id = ?",
			      &lanes);

	if (r < 0)
		return r;
	sqlite3_bind_int64(lanes, 1, segment);
	while ((r = fr_db_step(lanes)) == 1) {
		struct fr_ranges own FR_RANGES = { 0 };
		uint32_t lane = (uint32_t)sqlite3_column_int64(lanes, 0);

		r = only_in_lane(index, segment, sqlite3_column_int64(lanes, 1), lane, &own);
		if (!r && own.count)
			r = each(data, lane, &own);
		if (r < 0)
			return r;
	}
	return r;
}

static int forget_rows(struct fr_index *index, int64_t segment)
{
	static const char *const rows[] = {
		"DELETE FROM extent WHERE segment = ?", "DELETE FROM claim WHERE segment = ?",
		"DELETE FROM session WHERE segment = ?", "DELETE FROM anchor WHERE segment = ?",
		"DELETE FROM segment_descriptor WHERE segment = ?", "DELETE FROM segment_process WHERE segment = ?",
		"DELETE FROM segment WHERE id = ?",
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && !r; i++) {
		FR_STMT statement = NULL;

		r = fr_db_prepare(index, rows[i], &statement);
		if (!r) {
			sqlite3_bind_int64(statement, 1, segment);
			r = fr_db_run(statement);
		}
	}
	return r;
}

struct forgetting {
	struct fr_index *index;
	int64_t ring;
	uint64_t events;
};

static int forget_lane(void *data, uint32_t lane, const struct fr_ranges *numbers)
{
	struct forgetting *forgetting = data;

	return remove_events(forgetting->index, forgetting->ring, lane, numbers, &forgetting->events);
}

int fr_ingest_forget(struct fr_index *index, int64_t segment, uint64_t *ret_events)
{
	struct forgetting forgetting = { .index = index };
	uint8_t ring_id[16];
	FR_STMT stale = NULL;
	FR_STMT ring = NULL;
	int r = fr_db_prepare(index,
			      "SELECT r.id, r.ring_id, r.boot FROM segment s JOIN ring r ON r.id = s.ring WHERE s.id = ?", &ring);

	if (!r)
		r = fr_db_prepare(index, "INSERT OR IGNORE INTO stale VALUES (?)", &stale);
	if (r < 0)
		return r;
	*ret_events = 0;
	sqlite3_bind_int64(ring, 1, segment);
	r = fr_db_step(ring);
	if (r <= 0) /* of no ring: it could not be read */
		return r < 0 ? r : forget_rows(index, segment);
	forgetting.ring = sqlite3_column_int64(ring, 0);
	fr_db_id(ring, 1, ring_id);
	sqlite3_bind_int64(stale, 1, sqlite3_column_int64(ring, 2));
	sqlite3_reset(ring);
	r = fr_db_run(stale);
	if (!r)
		r = fr_ingest_only_in(index, segment, forget_lane, &forgetting);
	if (!r)
		r = forget_rows(index, segment);
	if (!r)
		r = fr_db_set_progress(index, PURGE_WANTED, 1);
	*ret_events = forgetting.events;
	return r < 0 ? r : fr_ledger_ring(index, ring_id);
}

/*
 * The marks of a ring go with its last segment. They are what keeps its events from being sent
 * again, so the segment must not come back: whatever is gone from the spool is gone for good first.
 */
int fr_ingest_purge(struct fr_index *index)
{
	static const char unreferenced[] =
		"DELETE FROM mark WHERE ring_id IN (SELECT ring_id FROM ring"
		"	WHERE id NOT IN (SELECT ring FROM segment WHERE ring IS NOT NULL));"
		"DELETE FROM ring WHERE id NOT IN (SELECT ring FROM segment WHERE ring IS NOT NULL);"
		"DELETE FROM stream WHERE ring NOT IN (SELECT id FROM ring);"
		"DELETE FROM process WHERE id NOT IN (SELECT process FROM ring)"
		"	AND id NOT IN (SELECT process FROM segment_process);"
		"DELETE FROM descriptor WHERE id NOT IN (SELECT descriptor FROM segment_descriptor);"
		"DELETE FROM provider WHERE id NOT IN (SELECT provider FROM descriptor)"
		"	AND id NOT IN (SELECT provider FROM session WHERE provider IS NOT NULL);"
		"DELETE FROM incident WHERE boot NOT IN (SELECT boot FROM ring);"
		"DELETE FROM stale WHERE boot NOT IN (SELECT boot FROM ring);"
		"DELETE FROM boot WHERE id NOT IN (SELECT boot FROM ring);";
	char spool[FR_PATH_MAX + 8];
	uint64_t wanted;
	int r = fr_db_progress(index, PURGE_WANTED, &wanted);

	if (r < 0 || !wanted)
		return r;
	snprintf(spool, sizeof(spool), "%s/spool", index->state);
	r = fr_path_sync(spool);
	if (!r || r == -ENOENT)
		r = fr_db_begin(index);
	if (!r)
		r = fr_db_exec(index, unreferenced);
	if (!r)
		r = fr_db_set_progress(index, PURGE_WANTED, 0);
	if (!r)
		r = fr_db_commit(index);
	fr_db_rollback(index);
	return r;
}

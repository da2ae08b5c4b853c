/* SPDX-License-Identifier: MIT */
/* ledger.c - see ledger.h. */
#include "uploader/ledger.h"

#include <errno.h>
#include <string.h>

#include "uploader/ingest.h"

struct ledger {
	struct fr_index *index;
	const uint8_t *ring_id;
	uint8_t boot_id[16];
	int64_t ring; /* 0: no segment is left */
	uint64_t events;
	sqlite3_stmt *put;
};

static int put_loss(struct ledger *ledger, int64_t lane, int cause, int64_t first, uint64_t count)
{
	sqlite3_stmt *put = ledger->put;

	sqlite3_clear_bindings(put);
	sqlite3_bind_blob(put, 1, ledger->ring_id, 16, SQLITE_STATIC);
	sqlite3_bind_blob(put, 2, ledger->boot_id, 16, SQLITE_STATIC);
	if (lane >= 0)
		sqlite3_bind_int64(put, 3, lane);
	sqlite3_bind_int64(put, 4, cause);
	if (first >= 0)
		sqlite3_bind_int64(put, 5, first);
	sqlite3_bind_int64(put, 6, fr_db_clamp(count));
	return fr_db_run(put);
}

static int put_losses(struct ledger *ledger, int64_t lane, int cause, const struct fr_ranges *set)
{
	int r = 0;

	for (size_t i = 0; i < set->count && !r; i++)
		r = put_loss(ledger, lane, cause, (int64_t)set->run[i].first, set->run[i].last - set->run[i].first + 1);
	return r;
}

static int read_dropped(struct ledger *ledger, uint32_t lane, struct fr_ranges *all, struct fr_ranges *unsent)
{
	struct fr_ranges sent FR_RANGES = { 0 };
	FR_STMT find = NULL;
	int r = fr_db_prepare(ledger->index, "SELECT first, last, cause = -3 FROM dropped"
			      " WHERE ring_id = ? AND lane = ? AND cause < -1", &find);

	if (r < 0)
		return r;
	sqlite3_bind_blob(find, 1, ledger->ring_id, 16, SQLITE_STATIC);
	sqlite3_bind_int64(find, 2, lane);
	while ((r = fr_db_step(find)) == 1) {
		uint64_t first = (uint64_t)sqlite3_column_int64(find, 0), last = (uint64_t)sqlite3_column_int64(find, 1);

		r = fr_ranges_add(all, first, last);
		if (!r)
			r = fr_ranges_add(sqlite3_column_int(find, 2) ? &sent : unsent, first, last);
		if (r < 0)
			return r;
	}
	fr_ranges_tidy(all);
	fr_ranges_tidy(unsent);
	fr_ranges_tidy(&sent);
	/*
	 * what came back (retention was cut off between its log and the file), was sent, and was
	 * dropped once more is no loss
	 */
	return r < 0 ? r : fr_ranges_subtract(unsent, &sent);
}

struct claims {
	struct fr_ranges given_back, torn, damaged, overwritten;
	uint64_t placeless; /* damaged somewhere */
};

static void claims_done(struct claims *claims)
{
	fr_ranges_done(&claims->given_back);
	fr_ranges_done(&claims->torn);
	fr_ranges_done(&claims->damaged);
	fr_ranges_done(&claims->overwritten);
}

/* One part's claims of one cause; a later part saw more than an earlier one. */
static int apply_claims(struct claims *claims, int cause, struct fr_ranges *part)
{
	struct fr_ranges *to = cause == -1 ? &claims->given_back : cause == FRM_LOSS_TORN ? &claims->torn :
			       cause == FRM_LOSS_DAMAGED ? &claims->damaged : &claims->overwritten;
	int r;

	fr_ranges_tidy(part);
	r = fr_ranges_merge(to, part);
	if (!r && cause == FRM_LOSS_TORN)
		r = fr_ranges_subtract(&claims->damaged, part);
	if (!r && cause == FRM_LOSS_DAMAGED)
		r = fr_ranges_subtract(&claims->torn, part);
	fr_ranges_done(part);
	return r;
}

static int read_claims(struct ledger *ledger, uint32_t lane, struct claims *claims)
{
	struct fr_ranges part FR_RANGES = { 0 };
	FR_STMT find = NULL;
	int64_t segment = 0;
	int cause = 0, r;

	r = fr_db_prepare(ledger->index,
			  "SELECT s.id, c.cause, c.first, c.count, s.part FROM segment s CROSS JOIN claim c ON c.segment = s.id"
			  " WHERE s.ring = ?1 AND c.lane = ?2 AND c.cause < 3 UNION ALL"
			  " SELECT 0, cause, first, count, -1 FROM dropped WHERE ring_id = ?3 AND lane = ?2"
			  " AND cause BETWEEN -1 AND 2 ORDER BY 5, 1, 2, 3",
			  &find);
	if (r < 0)
		return r;
	sqlite3_bind_int64(find, 1, ledger->ring);
	sqlite3_bind_int64(find, 2, lane);
	sqlite3_bind_blob(find, 3, ledger->ring_id, 16, SQLITE_STATIC);
	while ((r = fr_db_step(find)) == 1) {
		uint64_t first = (uint64_t)sqlite3_column_int64(find, 2), count = (uint64_t)sqlite3_column_int64(find, 3);

		if (part.count && (sqlite3_column_int64(find, 0) != segment || sqlite3_column_int(find, 1) != cause)) {
			r = apply_claims(claims, cause, &part);
			if (r < 0)
				return r;
		}
		segment = sqlite3_column_int64(find, 0);
		cause = sqlite3_column_int(find, 1);
		if (first > INT64_MAX)
			claims->placeless += count;
		if (first > FRM_SEQ_MASK || !count)
			continue;
		r = fr_ranges_add(&part, first, count > FRM_SEQ_MASK - first ? FRM_SEQ_MASK : first + count - 1);
		if (r < 0)
			return r;
	}
	return r < 0 || !part.count ? r : apply_claims(claims, cause, &part);
}

static uint64_t end_of(const struct fr_ranges *set, uint64_t end)
{
	return set->count && set->run[set->count - 1].last >= end ? set->run[set->count - 1].last + 1 : end;
}

static int ledger_lane(struct ledger *ledger, uint32_t lane)
{
	struct fr_ranges there FR_RANGES = { 0 };
	struct fr_ranges dropped FR_RANGES = { 0 };
	struct fr_ranges unsent FR_RANGES = { 0 };
	struct fr_ranges missing FR_RANGES = { 0 };
	__attribute__((cleanup(claims_done))) struct claims claims = { 0 };
	const struct fr_ranges *const known[] = { &there, &dropped, &claims.given_back };
	struct fr_ranges *const causes[] = { &claims.torn, &claims.damaged, &claims.overwritten };
	static const int name[] = { FRM_LOSS_TORN, FRM_LOSS_DAMAGED, FRM_LOSS_OVERWRITTEN };
	uint64_t end = 0;
	int r = read_dropped(ledger, lane, &dropped, &unsent);

	if (!r && ledger->ring)
		r = fr_ingest_present(ledger->index, ledger->ring, lane, 0, 0, FRM_SEQ_MASK, &there);
	if (!r)
		r = read_claims(ledger, lane, &claims);
	if (r < 0)
		return r;
	ledger->events += fr_ranges_size(&there);
	for (unsigned i = 0; i < 3; i++)
		end = end_of(causes[i], end_of(known[i], end));
	if (end)
		r = fr_ranges_add(&missing, 0, end - 1);
	for (unsigned i = 0; i < 3 && !r; i++)
		r = fr_ranges_subtract(&missing, known[i]);
	for (unsigned i = 0; i < 3 && !r; i++) {
		r = fr_ranges_intersect(causes[i], &missing);
		if (!r)
			r = put_losses(ledger, lane, name[i], causes[i]);
		if (!r)
			r = fr_ranges_subtract(&missing, causes[i]);
	}
	if (!r)
		r = put_losses(ledger, lane, FRM_LOSS_DAMAGED, &missing);
	if (!r && claims.placeless > fr_ranges_size(&missing)) /* at the end of the lane: no later number shows them */
		r = put_loss(ledger, lane, FRM_LOSS_DAMAGED, -1, claims.placeless - fr_ranges_size(&missing));
	if (!r)
		r = fr_ranges_subtract(&unsent, &there);
	if (!r)
		r = put_losses(ledger, lane, FRM_LOSS_RETENTION, &unsent);
	return r;
}

static int ledger_counters(struct ledger *ledger)
{
	FR_STMT find = NULL;
	int r = fr_db_prepare(ledger->index,
			      "SELECT lane, cause, sum(count) FROM (SELECT c.lane, c.cause, c.count FROM segment s"
			      "	CROSS JOIN claim c ON c.segment = s.id WHERE s.ring = ?1 AND (c.lane < 0 OR c.cause >= 3) UNION ALL"
			      "	SELECT lane, cause, count FROM dropped d WHERE ring_id = ?2 AND (lane < 0 OR cause >= 3)"
			      "	AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.ring = ?1 AND s.part = d.first))"
			      " GROUP BY lane, cause",
			      &find);

	if (r < 0)
		return r;
	sqlite3_bind_int64(find, 1, ledger->ring);
	sqlite3_bind_blob(find, 2, ledger->ring_id, 16, SQLITE_STATIC);
	while ((r = fr_db_step(find)) == 1) {
		r = put_loss(ledger, sqlite3_column_int64(find, 0), sqlite3_column_int(find, 1), -1,
			     (uint64_t)sqlite3_column_int64(find, 2));
		if (r < 0)
			return r;
	}
	return r;
}

static int ledger_lanes(struct ledger *ledger)
{
	FR_STMT lanes = NULL;
	int r = fr_db_prepare(ledger->index,
			      "SELECT x.lane FROM segment s JOIN extent x ON x.segment = s.id WHERE s.ring = ?1 UNION"
			      " SELECT c.lane FROM segment s JOIN claim c ON c.segment = s.id WHERE s.ring = ?1 AND c.lane >= 0"
			      " UNION SELECT lane FROM dropped WHERE ring_id = ?2 AND lane >= 0",
			      &lanes);

	if (r < 0)
		return r;
	sqlite3_bind_int64(lanes, 1, ledger->ring);
	sqlite3_bind_blob(lanes, 2, ledger->ring_id, 16, SQLITE_STATIC);
	while ((r = fr_db_step(lanes)) == 1) {
		r = ledger_lane(ledger, (uint32_t)sqlite3_column_int64(lanes, 0));
		if (r < 0)
			return r;
	}
	return r;
}

int fr_ledger_ring(struct fr_index *index, const uint8_t ring_id[16])
{
	struct ledger ledger = { .index = index, .ring_id = ring_id };
	FR_STMT clear = NULL;
	FR_STMT find = NULL;
	FR_STMT put = NULL;
	FR_STMT count = NULL;
	int r = fr_db_prepare(index, "DELETE FROM loss WHERE ring_id = ?", &clear);

	if (!r)
		r = fr_db_prepare(index,
				  "SELECT r.id, b.boot_id FROM ring r JOIN boot b ON b.id = r.boot WHERE r.ring_id = ?1 UNION ALL"
				  " SELECT 0, boot_id FROM dropped WHERE ring_id = ?1 LIMIT 1",
				  &find);
	if (!r)
		r = fr_db_prepare(index, "INSERT INTO loss VALUES (?, ?, ?, ?, ?, ?)", &put);
	if (!r)
		r = fr_db_prepare(index, "UPDATE ring SET events = ? WHERE id = ?", &count);
	if (r < 0)
		return r;
	sqlite3_bind_blob(clear, 1, ring_id, 16, SQLITE_STATIC);
	r = fr_db_run(clear);
	if (r < 0)
		return r;
	sqlite3_bind_blob(find, 1, ring_id, 16, SQLITE_STATIC);
	r = fr_db_step(find);
	if (r <= 0)
		return r;
	ledger.ring = sqlite3_column_int64(find, 0);
	fr_db_id(find, 1, ledger.boot_id);
	ledger.put = put;
	r = ledger_lanes(&ledger);
	if (!r)
		r = ledger_counters(&ledger);
	if (!r && ledger.ring) {
		sqlite3_bind_int64(count, 1, (int64_t)ledger.events);
		sqlite3_bind_int64(count, 2, ledger.ring);
		r = fr_db_run(count);
	}
	return r;
}

/* SPDX-License-Identifier: MIT */
/* marks.c - what has been sent, what was dropped; see marks.h and index.h. */
#include "uploader/marks.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "uploader/evidence.h"
#include "uploader/ledger.h"

static const struct {
	int cause;
	const char *word;
} words[] = {
	{ FR_DROPPED_SENT, "sent" },
	{ FR_DROPPED_UNSENT, "unsent" },
	{ -1, "given-back" },
	{ FRM_LOSS_OVERWRITTEN, "overwritten" },
	{ FRM_LOSS_TORN, "torn" },
	{ FRM_LOSS_DAMAGED, "damaged" },
	{ FRM_LOSS_DISCARDED_FULL, "discarded-full" },
	{ FRM_LOSS_DISCARDED_BUSY, "discarded-busy" },
	{ FRM_LOSS_DISCARDED_SIZE, "discarded-size" },
	{ FRM_LOSS_DISCARDED_DESC, "discarded-descriptor" },
	{ FRM_LOSS_KERNEL_BUFFER, "kernel-buffer" },
	{ FRM_LOSS_KERNEL_LOG, "kernel-log" },
	{ FRM_LOSS_RETENTION, "retention" },
};

const char *fr_dropped_word(int cause)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (words[i].cause == cause)
			return words[i].word;
	return NULL;
}

int fr_dropped_cause(const char *word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(words[i].word, word))
			return words[i].cause;
	return INT_MIN;
}

/* ------------------------------------------------------------------ marks */

static int read_marks(struct fr_index *index, const uint8_t ring_id[16], uint32_t lane, enum fr_mark from, enum fr_mark to,
		      struct fr_ranges *set)
{
	FR_STMT find = NULL;
	int r = fr_db_prepare(index, "SELECT first, last FROM mark WHERE ring_id = ? AND lane = ? AND state BETWEEN ? AND ?", &find);

	if (r < 0)
		return r;
	sqlite3_bind_blob(find, 1, ring_id, 16, SQLITE_STATIC);
	sqlite3_bind_int64(find, 2, lane);
	sqlite3_bind_int64(find, 3, from);
	sqlite3_bind_int64(find, 4, to);
	while ((r = fr_db_step(find)) == 1) {
		r = fr_ranges_add(set, (uint64_t)sqlite3_column_int64(find, 0), (uint64_t)sqlite3_column_int64(find, 1));
		if (r < 0)
			return r;
	}
	fr_ranges_tidy(set);
	return r;
}

int fr_marks_of(struct fr_index *index, const uint8_t ring_id[16], uint32_t lane, enum fr_mark least, struct fr_ranges *set)
{
	return read_marks(index, ring_id, lane, least, least == FR_MARK_QUEUED ? FR_MARK_REFUSED : FR_MARK_ACKED, set);
}

static int write_marks(struct fr_index *index, const uint8_t ring_id[16], uint32_t lane, enum fr_mark state,
		       const struct fr_ranges *set)
{
	FR_STMT clear = NULL;
	FR_STMT put = NULL;
	int r = fr_db_prepare(index, "DELETE FROM mark WHERE ring_id = ? AND lane = ? AND state = ?", &clear);

	if (!r)
		r = fr_db_prepare(index, "INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?)", &put);
	if (r < 0)
		return r;
	sqlite3_bind_blob(clear, 1, ring_id, 16, SQLITE_STATIC);
	sqlite3_bind_int64(clear, 2, lane);
	sqlite3_bind_int64(clear, 3, state);
	r = fr_db_run(clear);
	for (size_t i = 0; i < set->count && !r; i++) {
		sqlite3_bind_blob(put, 1, ring_id, 16, SQLITE_STATIC);
		sqlite3_bind_int64(put, 2, lane);
		sqlite3_bind_int64(put, 3, (int64_t)set->run[i].first);
		sqlite3_bind_int64(put, 4, (int64_t)set->run[i].last);
		sqlite3_bind_int64(put, 5, state);
		r = fr_db_run(put);
	}
	return r;
}

/* Every number has one mark at most: the strongest it was given, so that rows never share a key. */
static int mark_range(struct fr_index *index, const struct fr_index_range *range, enum fr_mark mark)
{
	struct fr_ranges set[FR_MARK_REFUSED + 1] = { { 0 } };
	/* acknowledged beats refused beats queued */
	static const enum fr_mark order[] = { FR_MARK_ACKED, FR_MARK_REFUSED, FR_MARK_QUEUED };
	int r = range->first <= range->last && range->last <= FRM_SEQ_MASK ? 0 : -EINVAL;

	for (int i = 0; i < 3 && !r; i++)
		r = read_marks(index, range->ring_id, range->lane, order[i], order[i], &set[order[i]]);
	if (!r) {
		r = fr_ranges_add(&set[mark], range->first, range->last);
		fr_ranges_tidy(&set[mark]);
	}
	for (int i = 2; i >= 0 && !r; i--) {
		for (int j = 0; j < i && !r; j++)
			r = fr_ranges_subtract(&set[order[i]], &set[order[j]]);
		if (!r)
			r = write_marks(index, range->ring_id, range->lane, order[i], &set[order[i]]);
	}
	for (int i = 1; i <= FR_MARK_REFUSED; i++)
		fr_ranges_done(&set[i]);
	return r;
}

int fr_index_mark(struct fr_index *index, const struct fr_index_range *ranges, size_t count, enum fr_mark mark)
{
	int r;

	if (index->flags & FR_INDEX_READ)
		return -EACCES;
	if (mark < FR_MARK_QUEUED || mark > FR_MARK_REFUSED)
		return -EINVAL;
	r = fr_db_begin(index);
	for (size_t i = 0; i < count && !r; i++)
		r = mark_range(index, &ranges[i], mark);
	if (!r)
		r = fr_db_commit(index);
	fr_db_rollback(index);
	return r;
}

int fr_index_forget_queued(struct fr_index *index)
{
	return index->flags & FR_INDEX_READ ? -EACCES : fr_db_exec(index, "DELETE FROM mark WHERE state = 1");
}

/* ------------------------------------------------------------------ evidence */

struct reading {
	struct fr_index *index;
	bool afresh;	     /* another file than last time: the losses of all rings, in the end */
	bool any;	     /* a line of retention.log was taken; the last one's ring: */
	uint8_t ring_id[16]; /* its losses have to be worked out again */
};

static int take_ack(void *data, const char *word, const struct fr_index_range *range, uint64_t unix_time)
{
	struct reading *reading = data;

	(void)word;
	(void)unix_time;
	return range->lane == FRM_LANE_NONE ? 0 : mark_range(reading->index, range, FR_MARK_ACKED);
}

static int take_dropped(void *data, const char *word, const struct fr_index_range *range, uint64_t unix_time)
{
	struct reading *reading = data;
	int cause = fr_dropped_cause(word), r = 0;
	FR_STMT put = NULL;

	(void)unix_time;
	if (cause == INT_MIN)
		return 0; /* a later version's */
	if (reading->any && !reading->afresh && memcmp(reading->ring_id, range->ring_id, 16))
		r = fr_ledger_ring(reading->index, reading->ring_id);
	reading->any = true;
	memcpy(reading->ring_id, range->ring_id, 16);
	if (r < 0)
		return r;
	r = fr_db_prepare(reading->index,
			  "INSERT INTO dropped VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET"
			  " last = max(last, excluded.last), count = max(count, excluded.count)",
			  &put);
	if (r < 0)
		return r;
	sqlite3_bind_blob(put, 1, range->ring_id, 16, SQLITE_STATIC);
	sqlite3_bind_int64(put, 2, range->lane == FRM_LANE_NONE ? -1 : (int64_t)range->lane);
	sqlite3_bind_int64(put, 3, cause);
	sqlite3_bind_int64(put, 4, (int64_t)range->first);
	sqlite3_bind_int64(put, 5, (int64_t)range->last);
	sqlite3_bind_int64(put, 6, (int64_t)range->count);
	sqlite3_bind_blob(put, 7, range->boot_id, 16, SQLITE_STATIC);
	return fr_db_run(put);
}

/*
 * Before another file is read from its start: what the one before said of dropped records goes, all
 * of it is said again.
 */
static int begin_afresh(struct fr_index *index)
{
	return fr_db_exec(
		index,
		"CREATE TEMP TABLE IF NOT EXISTS afresh (ring_id BLOB PRIMARY KEY) WITHOUT ROWID;"
		"DELETE FROM afresh; INSERT INTO afresh SELECT DISTINCT ring_id FROM dropped; "
		"DELETE FROM dropped");
}

static int end_afresh(struct fr_index *index)
{
	FR_STMT find = NULL;
	uint8_t ring_id[16];
	int r = fr_db_exec(index, "INSERT OR IGNORE INTO afresh SELECT ring_id FROM dropped");

	if (!r)
		r = fr_db_prepare(index, "SELECT ring_id FROM afresh", &find);
	while (!r && (r = fr_db_step(find)) == 1) {
		fr_db_id(find, 0, ring_id);
		r = fr_ledger_ring(index, ring_id);
	}
	return r;
}

/* Acknowledgements only grow: those read before stay, whichever file they were in. */
static int read_file(struct reading *reading, const char *file, int fd, fr_evidence_line line)
{
	bool dropped = !strcmp(file, FR_EVIDENCE_RETENTION);
	struct fr_index *index = reading->index;
	uint64_t from, to = 0, known, generation;
	char key[64];
	int r = fr_evidence_generation(fd, &generation);

	snprintf(key, sizeof(key), "%s generation", file);
	if (!r)
		r = fr_db_progress(index, file, &from);
	if (!r)
		r = fr_db_progress(index, key, &known);
	if (r < 0)
		return r;
	if (known != generation) {
		from = 0;
		reading->afresh = dropped;
		r = fr_db_set_progress(index, key, generation);
		if (!r && reading->afresh)
			r = begin_afresh(index);
	}
	if (!r)
		r = fr_evidence_read_fd(fd, from, line, reading, &to);
	if (!r && reading->afresh)
		r = end_afresh(index);
	else if (!r && reading->any)
		r = fr_ledger_ring(index, reading->ring_id);
	if (r < 0 || (to == from && known == generation))
		return r;
	return fr_db_set_progress(index, file, to);
}

static int read_log(struct fr_index *index, const char *file, fr_evidence_line line)
{
	struct reading reading = { .index = index };
	int fd = fr_evidence_open(index->state, file), r;

	if (fd == -ENOENT) /* removed by somebody: the next one is read from its start */
		return fr_db_set_progress(index, file, 0);
	if (fd < 0)
		return fd;
	r = read_file(&reading, file, fd, line);
	close(fd);
	return r;
}

int fr_marks_read(struct fr_index *index)
{
	int r = fr_db_begin(index);

	if (!r)
		r = read_log(index, FR_EVIDENCE_ACKS, take_ack);
	if (!r)
		r = read_log(index, FR_EVIDENCE_RETENTION, take_dropped);
	if (!r)
		r = fr_db_commit(index);
	fr_db_rollback(index);
	return r;
}

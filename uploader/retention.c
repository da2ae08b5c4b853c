/* SPDX-License-Identifier: MIT */
/*
 * retention.c - see retention.h.
 *
 * PROTOCOL for one segment; a crash after any step, and the next run ends at the same place
 *	1. spool/retention.log says, durably, which records go, whether they were acknowledged, and what the segment said of others
 *	2. the segment is unlinked
 *	3. its rows go, and the log's new lines are read, in one transaction
 *	4. when all are through: the spool is synced, and then the marks go of rings of which nothing is left (forget.c)
 * After 1 alone the segment is dropped again, and the lines say the same twice. After 2 alone fr_index_update()
 * finds the file gone and does step 3. A power cut may bring the file back until 4: it is read
 * again, its events are marked as sent if they were, and it is dropped once more.
 *
 * OLDEST FIRST means by the time a segment was made. That is also the order of the parts of one ring, so what is
 * dropped of a ring is its beginning.
 */
#include "uploader/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/host.h"
#include "recorder/core/segment.h"
#include "recorder/core/testpoint.h"
#include "uploader/aside.h"
#include "uploader/compact.h"
#include "uploader/derive.h"
#include "uploader/evidence.h"
#include "uploader/index_files.h"
#include "uploader/ingest.h"
#include "uploader/marks.h"
#include "uploader/views.h"

#define LOG_BYTES_MOST (1u << 20)
#define LOG_SHARE      1024
#define LOG_SHARE_MOST 16 /* its rows in the index take as much again, and half of that */
#define ASIDE_SHARE    4

struct list {
	struct fr_index_range *range;
	size_t count, room;
};

struct dropping {
	struct fr_index *index;
	int64_t ring;
	uint8_t ring_id[16], boot_id[16];
	uint32_t part;
	struct list sent, unsent;
	uint64_t unsent_events;
};

static int list_add(struct dropping *dropping, struct list *list, uint32_t lane, uint64_t first, uint64_t last, uint64_t count)
{
	struct fr_index_range range = { .lane = lane, .first = first, .last = last, .count = count };

	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 16;
		struct fr_index_range *grown = realloc(list->range, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->range = grown;
		list->room = room;
	}
	memcpy(range.ring_id, dropping->ring_id, 16);
	memcpy(range.boot_id, dropping->boot_id, 16);
	list->range[list->count++] = range;
	return 0;
}

static int list_ranges(struct dropping *dropping, struct list *list, uint32_t lane, const struct fr_ranges *set)
{
	int r = 0;

	for (size_t i = 0; i < set->count && !r; i++)
		r = list_add(dropping, list, lane, set->run[i].first, set->run[i].last, set->run[i].last - set->run[i].first + 1);
	return r;
}

/* Numbers that only this segment holds: sent ones and the rest. */
static int sort_out(void *data, uint32_t lane, const struct fr_ranges *numbers)
{
	struct fr_ranges acked FR_RANGES = { 0 };
	struct fr_ranges sent FR_RANGES = { 0 };
	struct fr_ranges unsent FR_RANGES = { 0 };
	struct dropping *dropping = data;
	int r = fr_marks_of(dropping->index, dropping->ring_id, lane, FR_MARK_ACKED, &acked);

	if (!r)
		r = fr_ranges_merge(&sent, numbers);
	if (!r)
		r = fr_ranges_merge(&unsent, numbers);
	if (!r)
		r = fr_ranges_intersect(&sent, &acked);
	if (!r)
		r = fr_ranges_subtract(&unsent, &acked);
	if (!r)
		r = list_ranges(dropping, &dropping->sent, lane, &sent);
	if (!r)
		r = list_ranges(dropping, &dropping->unsent, lane, &unsent);
	dropping->unsent_events += fr_ranges_size(&unsent);
	return r;
}

static int write_list(struct dropping *dropping, const char *word, struct list *list)
{
	int r = list->count ? fr_evidence_append(dropping->index->state, FR_EVIDENCE_RETENTION, word, list->range, list->count) : 0;

	list->count = 0;
	return r;
}

/* What the segment said of records that it doesn't hold outlives it. */
static int write_claims(struct dropping *dropping, int64_t segment)
{
	FR_STMT find = NULL;
	struct list list = { 0 };
	int r = fr_db_prepare(dropping->index, "SELECT lane, first, count FROM claim WHERE segment = ? AND cause = ?", &find);

	for (int cause = -1; cause < FRM_LOSS_COUNT && !r; cause++) {
		sqlite3_bind_int64(find, 1, segment);
		sqlite3_bind_int64(find, 2, cause);
		while (!r && (r = fr_db_step(find)) == 1) {
			int64_t lane = sqlite3_column_int64(find, 0), first = sqlite3_column_int64(find, 1);
			uint64_t count = (uint64_t)sqlite3_column_int64(find, 2);
			uint64_t from = first < 0 || cause >= FRM_LOSS_DISCARDED_FULL || lane < 0 ? dropping->part : (uint64_t)first;

			/* damage without a place stays without: nobody knows the number */
			r = first < 0 && lane >= 0 ? 0 :
						     list_add(dropping, &list, lane < 0 ? FRM_LANE_NONE : (uint32_t)lane, from,
							      from + count - 1, count);
		}
		sqlite3_reset(find);
		if (!r)
			r = write_list(dropping, fr_dropped_word(cause), &list);
	}
	free(list.range);
	return r;
}

static int drop_rows(struct dropping *dropping, int64_t segment, uint64_t *ret_events)
{
	int r = fr_db_begin(dropping->index);

	if (!r)
		r = fr_ingest_forget(dropping->index, segment, ret_events);
	if (!r)
		r = fr_db_commit(dropping->index);
	fr_db_rollback(dropping->index);
	return r < 0 ? r : fr_marks_read(dropping->index);
}

static int write_down(struct dropping *dropping, int64_t segment)
{
	int r = fr_ingest_only_in(dropping->index, segment, sort_out, dropping);

	if (!r)
		r = write_list(dropping, fr_dropped_word(FR_DROPPED_SENT), &dropping->sent);
	if (!r)
		r = write_list(dropping, fr_dropped_word(FR_DROPPED_UNSENT), &dropping->unsent);
	return r < 0 ? r : write_claims(dropping, segment);
}

static int drop(struct fr_index *index, int64_t segment, struct fr_retention_stats *stats)
{
	struct dropping dropping = { .index = index };
	char path[FR_PATH_MAX + 64];
	FR_STMT find = NULL;
	uint64_t events = 0;
	struct stat st;
	int r = fr_db_prepare(index,
			      "SELECT s.name, s.part, r.id, r.ring_id, b.boot_id FROM segment s LEFT JOIN ring r ON r.id = s.ring"
			      " LEFT JOIN boot b ON b.id = r.boot WHERE s.id = ?",
			      &find);

	if (r < 0)
		return r;
	sqlite3_bind_int64(find, 1, segment);
	r = fr_db_step(find);
	if (r <= 0)
		return r;
	snprintf(path, sizeof(path), "%s/spool/%s", index->state, fr_db_text(find, 0));
	dropping.part = (uint32_t)sqlite3_column_int64(find, 1);
	dropping.ring = sqlite3_column_int64(find, 2);
	fr_db_id(find, 3, dropping.ring_id);
	fr_db_id(find, 4, dropping.boot_id);
	sqlite3_reset(find);
	r = dropping.ring ? write_down(&dropping, segment) : 0;
	FR_TESTPOINT("retention-written");
	if (!r && stat(path, &st) < 0) {
		r = errno == ENOENT ? 0 : -errno;
	} else if (!r) {
		stats->bytes += (uint64_t)st.st_size;
		if (unlink(path) < 0 && errno != ENOENT)
			r = -errno;
	}
	FR_TESTPOINT("retention-unlinked");
	if (!r)
		r = drop_rows(&dropping, segment, &events);
	stats->segments += !r;
	stats->events += events;
	stats->events_unsent += dropping.unsent_events;
	free(dropping.sent.range);
	free(dropping.unsent.range);
	return r;
}

/*
 * Bytes of the segments and logs in spool/, of what is set aside, and of the index: of the pages in
 * use, because a reader can keep the file and its journal from shrinking for a while, and that is
 * no reason to drop more.
 */
static int measure(struct fr_index *index, uint64_t *ret_bytes)
{
	static const char *const files[] = { FR_EVIDENCE_ACKS, FR_EVIDENCE_RETENTION };
	__attribute__((cleanup(fr_index_files_done))) struct fr_index_files list = { 0 };
	char path[FR_PATH_MAX + 32];
	uint64_t bytes = 0;
	int64_t used;
	struct stat st;
	int r = fr_db_int(index,
			  "SELECT (page_count - freelist_count) * page_size "
			  "FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
			  &used);

	if (r < 0)
		return r;
	r = fr_aside_measure(index->state, &bytes);
	if (r < 0)
		return r;
	bytes += (uint64_t)used;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", index->state, files[i]);
		if (stat(path, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
		else if (errno != ENOENT)
			return -errno;
	}
	r = fr_index_files_list(index->state, &list);
	for (size_t i = 0; i < list.count; i++)
		bytes += list.file[i].disk_bytes;
	*ret_bytes = bytes;
	return r;
}

/* Gives pages that events left back to the file system, as far as readers allow it now. */
static int shrink(struct fr_index *index)
{
	int r = fr_db_exec(index, "PRAGMA incremental_vacuum");

	sqlite3_busy_timeout(index->db, 100);
	if (!r)
		r = fr_db_exec(index, "PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_busy_timeout(index->db, FR_INDEX_BUSY_MS);
	return r;
}

static int drop_where(struct fr_index *index, const char *where, uint64_t value, struct fr_retention_stats *stats, bool *ret_any)
{
	char sql[256];
	int64_t segment;
	int r;

	snprintf(sql, sizeof(sql),
		 "SELECT id FROM segment WHERE %s %llu ORDER BY coalesce(salvaged_real_ns, mtime_ns), ring, part LIMIT 1", where,
		 (unsigned long long)value);
	r = fr_db_int(index, sql, &segment);
	*ret_any = !r;
	return r == -ENOENT ? 0 : r < 0 ? r : drop(index, segment, stats);
}

/*
 * A log may be as large as a thousandth of all, and a MiB; what can be left out of it then goes. Where so many rings come
 * and go in a day that it takes a sixteenth of all, what each of them lost is told apart for an hour, or a minute, only.
 */
static int shorten_logs(struct fr_index *index, uint64_t max_bytes)
{
	static const char *const files[] = { FR_EVIDENCE_ACKS, FR_EVIDENCE_RETENTION };
	static const uint64_t over_s[] = { 86400, 3600, 60 }; /* of which nothing was said for so long does not come back */
	struct fr_compact how = { .larger_than = LOG_BYTES_MOST };
	int r = 0;

	if (max_bytes && max_bytes / LOG_SHARE < how.larger_than)
		how.larger_than = max_bytes / LOG_SHARE;
	for (size_t round = 0; round < (max_bytes ? sizeof(over_s) / sizeof(*over_s) : 1) && !r; round++) {
		how.over_s = over_s[round];
		if (round)
			how.larger_than = max_bytes / LOG_SHARE_MOST;
		for (size_t i = 0; i < sizeof(files) / sizeof(*files) && !r; i++)
			r = fr_compact(index, files[i], &how);
	}
	return r;
}

int fr_retention_run(struct fr_index *index, const struct fr_retention *limits, struct fr_retention_stats *ret_stats)
{
	struct fr_retention_stats stats = { 0 };
	uint64_t now = fr_clock_real_ns(), age_ns = limits->max_age_s * 1000000000u;
	bool any = true;
	int r = index->flags & FR_INDEX_READ ? -EACCES : 0, shortened = 0;

	if (!r) /* a full disk may be why it fails: dropping comes first */
		shortened = shorten_logs(index, limits->max_bytes);
	if (!r && limits->max_bytes)
		r = fr_aside_drop(index->state, limits->max_bytes / ASIDE_SHARE, &stats.set_aside);
	while (!r && any && limits->max_age_s && age_ns / 1000000000u == limits->max_age_s && age_ns < now)
		r = drop_where(index, "coalesce(salvaged_real_ns, mtime_ns) <", now - age_ns, &stats, &any);
	if (!r)
		r = measure(index, &stats.bytes_after);
	if (!r && (stats.segments || (limits->max_bytes && stats.bytes_after > limits->max_bytes))) {
		r = shrink(index);
		if (!r)
			r = measure(index, &stats.bytes_after);
	}
	any = true;
	while (!r && any && limits->max_bytes && stats.bytes_after > limits->max_bytes) {
		/* half of what is too much at a time: what goes from the index shows only after it was shrunk */
		uint64_t step = stats.bytes + (stats.bytes_after - limits->max_bytes) / 2;

		do
			r = drop_where(index, "id >", 0, &stats, &any);
		while (!r && any && stats.bytes < step);
		if (!r)
			r = shrink(index);
		if (!r)
			r = measure(index, &stats.bytes_after);
	}
	if (!r && stats.segments) {
		r = fr_ingest_purge(index);
		if (!r)
			r = fr_derive_incidents(index);
		if (!r)
			r = fr_views_make(index);
	}
	if (!r)
		r = shortened;
	if (!r && ret_stats)
		*ret_stats = stats;
	return r;
}

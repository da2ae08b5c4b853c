/* SPDX-License-Identifier: MIT */
/* index_update.c - see index_update.h. */
#include "uploader/index_update.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "recorder/core/testpoint.h"
#include "uploader/derive.h"
#include "uploader/index_files.h"
#include "uploader/ingest.h"
#include "uploader/marks.h"
#include "uploader/trial.h"
#include "uploader/views.h"

/* Rows of segments that are gone from the spool, or are no longer the file that was read. */
static int find_gone(struct fr_index *index, const struct fr_index_files *files, int64_t **ret_ids,
		     size_t *ret_count)
{
	int64_t *ids = NULL;
	size_t count = 0, room = 0;
	FR_STMT find = NULL;
	int r = fr_db_prepare(index, "SELECT id, name, size, mtime_ns FROM segment ORDER BY id", &find);

	while (!r && (r = fr_db_step(find)) == 1) {
		const struct fr_index_file *file;

		r = 0;
		file = fr_index_files_find(files, fr_db_text(find, 1));
		if (file && file->size == (uint64_t)sqlite3_column_int64(find, 2) &&
		    file->mtime_ns == (uint64_t)sqlite3_column_int64(find, 3))
			continue;
		if (count == room) {
			int64_t *grown;

			room = room ? room * 2 : 16;
			grown = realloc(ids, room * sizeof(*grown));
			if (!grown) {
				r = -ENOMEM;
				break;
			}
			ids = grown;
		}
		ids[count++] = sqlite3_column_int64(find, 0);
	}
	*ret_ids = ids;
	*ret_count = count;
	return r;
}

static int forget_gone(struct fr_index *index, const struct fr_index_files *files)
{
	int64_t *ids;
	size_t count;
	uint64_t events;
	int r = find_gone(index, files, &ids, &count);

	for (size_t i = 0; i < count && !r; i++) {
		r = fr_db_begin(index);
		if (!r)
			r = fr_ingest_forget(index, ids[i], &events);
		if (!r)
			r = fr_db_commit(index);
	}
	fr_db_rollback(index);
	free(ids);
	return r;
}

static int is_known(sqlite3_stmt *known, const char *name)
{
	int r;

	sqlite3_bind_text(known, 1, name, -1, SQLITE_STATIC);
	r = fr_db_step(known);
	sqlite3_reset(known);
	return r;
}

static int ingest_one(struct fr_index *index, struct fr_ingest *ingest,
		      const struct fr_index_file *file, struct fr_index_stats *stats)
{
	int r = fr_trial_begin(index, file->name);

	if (r < 0)
		return r;
	FR_TESTPOINT("index-read");
	if (r) {
		r = fr_ingest_leave_out(ingest, file->name, file->size, file->mtime_ns, "left out: reading it ended the program", stats);
		snprintf(index->note, sizeof(index->note), "spool/%s is left out of the index: reading it ended the program", file->name);
	} else {
		r = fr_ingest_segment(ingest, file->name, file->size, file->mtime_ns, stats);
	}
	fr_trial_end(index, file->name); /* before the commit lets others in */
	return r;
}

struct round {
	struct fr_ingest *ingest;
	sqlite3_stmt *known;
	uint64_t done, total; /* bytes of new segments */
};

static int measure(struct round *round, const struct fr_index_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		int r = is_known(round->known, files->file[i].name);

		if (r < 0)
			return r;
		round->total += r ? 0 : files->file[i].size;
	}
	return 0;
}

/* The segments that are new. Those that were begun often and never finished come in a second round: `late`. */
static int ingest_round(struct fr_index *index, struct round *round,
			const struct fr_index_files *files, bool late, struct fr_index_stats *stats)
{
	int r = 0;

	for (size_t i = 0; i < files->count && !r; i++) {
		const struct fr_index_file *file = &files->file[i];

		r = is_known(round->known, file->name);
		if (r || (!late && fr_trial_put_off(index, file->name))) {
			r = r < 0 ? r : 0;
			continue;
		}
		if (!round->ingest)
			r = fr_ingest_new(index, &round->ingest);
		if (!r)
			r = fr_db_begin(index);
		if (!r)
			r = is_known(round->known, file->name); /* another process may have been faster */
		if (!r)
			r = ingest_one(index, round->ingest, file, stats);
		if (r == 1)
			r = 0;
		FR_TESTPOINT("index-before-commit");
		if (!r)
			r = fr_db_commit(index);
		FR_TESTPOINT("index-segment");
		round->done += file->size;
		if (index->at)
			index->at(index->at_ctx, round->done, round->total);
	}
	return r;
}

static int ingest_new(struct fr_index *index, const struct fr_index_files *files,
		      struct fr_index_stats *stats)
{
	struct round round = { 0 };
	FR_STMT known = NULL;
	int r = fr_db_prepare(index, "SELECT 1 FROM segment WHERE name = ?", &known);

	round.known = known;
	if (!r && index->at)
		r = measure(&round, files);
	if (!r)
		r = ingest_round(index, &round, files, false, stats);
	if (!r)
		r = ingest_round(index, &round, files, true, stats);
	fr_db_rollback(index);
	fr_ingest_free(round.ingest);
	return r;
}

/* The order of the events in time, if it was put off; while it is made, the disk can write what is there. */
static int put_order(struct fr_index *index)
{
	int fd;

	if (!index->order)
		return 0;
	fd = open(index->path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: whoever made it syncs it */
		close(fd); /* SQLite's locks go with it; nobody else knows the file */
	}
	return fr_db_exec(index, index->order);
}

int fr_index_run_update(struct fr_index *index, struct fr_index_stats *stats)
{
	__attribute__((cleanup(fr_index_files_done))) struct fr_index_files files = { 0 };
	int64_t incidents = 0;
	int r;

	*stats = (struct fr_index_stats){ 0 };
	r = fr_index_files_list(index->state, &files);
	if (!r)
		r = forget_gone(index, &files);
	if (!r)
		r = fr_marks_read(index); /* before ingest: what retention dropped is no gap */
	if (!r)
		r = ingest_new(index, &files, stats);
	if (!r)
		r = put_order(index);
	if (!r)
		/* after it: a ring of which a segment came back keeps its marks */
		r = fr_ingest_purge(index);
	if (!r)
		r = fr_derive_incidents(index);
	if (!r)
		r = fr_views_make(index);
	if (!r)
		r = fr_db_int(index, "SELECT count(*) FROM incident", &incidents);
	stats->incidents = (uint64_t)incidents;
	return r;
}

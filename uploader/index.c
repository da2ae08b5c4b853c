/* SPDX-License-Identifier: MIT */
/*
 * index.c - the life of index.db; see index.h.
 *
 * REBUILD makes index.db.new beside the old one, closes it (which leaves no journal behind), removes
 * the old one's journals (before them the old one, if they hold anything), syncs the directory and
 * renames; all under the lock. A crash leaves the old index, none, or the new one,
 * never a mixture. A reader keeps the file it opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/host.h"
#include "recorder/core/segment.h"
#include "recorder/core/testpoint.h"
#include "uploader/derive.h"
#include "uploader/evidence.h"
#include "uploader/index_files.h"
#include "uploader/ingest.h"
#include "uploader/marks.h"
#include "uploader/trial.h"
#include "uploader/views.h"

#define CACHE_WRITER_KIB 65536
#define CACHE_READER_KIB 8192

static const char damaged[] = "was damaged: made again from the spool, the old one is index.db.damaged";
static const char outdated[] = "was of an older version: made again from the spool, the old one is index.db.damaged";

const char *fr_index_strerror(int error)
{
	switch (error < 0 ? -error : error) {
	case EPROTONOSUPPORT:
		return "index.db was made by a newer flightrec: use that one, or remove index.db to make it again from the spool";
	case ENOENT:
		return "there is no index yet: run `flightrec index`";
	case EBUSY:
		return "another process is writing the index";
	case EUCLEAN:
		return "index.db is damaged or of an older version: run `flightrec index`";
	case EACCES:
		return "no permission to read or write index.db";
	case ENOSPC:
		return "no space left for index.db";
	default:
		return strerror(error < 0 ? -error : error);
	}
}

const char *fr_index_note(const struct fr_index *index)
{
	return index->note;
}

void fr_index_close(struct fr_index *index)
{
	if (!index)
		return;
	sqlite3_close_v2(index->db);
	if (index->lock >= 0)
		close(index->lock);
	free(index);
}

/* LOCK_SH or LOCK_EX, tried for FR_INDEX_BUSY_MS. Going from one to the other is not atomic. */
static int take_lock(struct fr_index *index, int how)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	char path[FR_PATH_MAX + 16];

	if (index->lock < 0) {
		snprintf(path, sizeof(path), "%s/index.lock", index->state);
		index->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
		if (index->lock < 0)
			return -errno;
		(void)!fchmod(index->lock, fr_path_file_mode(index->state)); /* by its owner, for the group */
	}
	for (int waited = 0; flock(index->lock, how | LOCK_NB) < 0; waited += 20) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited >= FR_INDEX_BUSY_MS)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int open_db(struct fr_index *index, const char *uri_tail, int flags)
{
	char uri[3 * FR_PATH_MAX + 64];
	size_t at = 0;

	/* as a URI, with what has a meaning there escaped */
	at += (size_t)snprintf(uri, sizeof(uri), "file:");
	for (const char *c = index->path; *c && at < sizeof(uri) - 32; c++)
		at += (size_t)snprintf(uri + at, sizeof(uri) - at, strchr("?#%", *c) ? "%%%02x" : "%c", (unsigned char)*c);
	snprintf(uri + at, sizeof(uri) - at, "%s", uri_tail);
	/* to count its memory costs SQLite a seventh of an ingest; without harm this is refused once it is in use */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	return fr_db_error(sqlite3_open_v2(uri, &index->db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL));
}

static void close_db(struct fr_index *index)
{
	sqlite3_close_v2(index->db);
	index->db = NULL;
}

/* 0 good, -ENODATA empty, -EUCLEAN older or damaged, -EPROTONOSUPPORT newer. */
static int check_version(struct fr_index *index)
{
	int64_t version = 0, tables = 0;
	int r = fr_db_int(index, "PRAGMA user_version", &version);

	if (!r)
		r = fr_db_int(index, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return r == -EINVAL ? -EUCLEAN : r;
	if (version > FR_INDEX_VERSION)
		return -EPROTONOSUPPORT;
	if (!tables)
		return -ENODATA;
	return version == FR_INDEX_VERSION ? 0 : -EUCLEAN;
}

static int open_reader(struct fr_index *index)
{
	char pragma[64], wal[FR_PATH_MAX + 16];
	struct stat st;
	int r;

	if (stat(index->path, &st) < 0)
		return -errno;
	r = open_db(index, "", SQLITE_OPEN_READONLY);
	if (!r) {
		sqlite3_busy_timeout(index->db, FR_INDEX_BUSY_MS);
		r = check_version(index);
	}
	snprintf(wal, sizeof(wal), "%s-wal", index->path);
	/* a directory that may not be written to */
	if ((r == -ENOENT || r == -EACCES || r == -EROFS) && access(wal, F_OK) < 0) {
		close_db(index);
		r = open_db(index, "?immutable=1", SQLITE_OPEN_READONLY);
		if (!r)
			r = check_version(index);
	}
	if (r == -ENOENT) /* it is there, and SQLite can't open it or what lies beside it */
		return -EACCES;
	if (r < 0)
		return r == -ENODATA ? -ENOENT : r;
	snprintf(pragma, sizeof(pragma), "PRAGMA cache_size=-%d; PRAGMA query_only=1", CACHE_READER_KIB);
	return fr_db_exec(index, pragma);
}

/* Opens for writing. -EUCLEAN: move it aside; -ENODATA: it has to be made, which needs the lock for oneself (`alone`). */
static int open_writer(struct fr_index *index, bool alone)
{
	char pragma[256];
	int64_t mode;
	int r = open_db(index, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	if (r < 0)
		return r;
	sqlite3_busy_timeout(index->db, FR_INDEX_BUSY_MS);
	r = check_version(index);
	if (r < 0 && (r != -ENODATA || !alone))
		return r;
	/* spool/ is the truth: NORMAL keeps the index whole over a power cut, if perhaps a little behind */
	snprintf(pragma, sizeof(pragma),
		 "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s; PRAGMA cache_size=-%d; PRAGMA secure_delete=0;"
		 "PRAGMA wal_autocheckpoint=1000; PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY",
		 index->flags & FR_INDEX_REBUILD ? "OFF" : "NORMAL", CACHE_WRITER_KIB);
	if (r == -ENODATA) {
		(void)!chmod(index->path, fr_path_file_mode(index->state)); /* its journals take after it */
		r = fr_db_exec(index, "PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL");
		if (!r)
			r = fr_db_exec(index, pragma);
		if (!r)
			r = fr_db_begin(index);
		if (!r)
			r = fr_db_exec(index, fr_index_schema);
		if (!r)
			r = fr_db_commit(index);
		fr_db_rollback(index);
		return r;
	}
	r = fr_db_exec(index, pragma);
	if (!r) /* damage shows where it is touched; this touches every table's root and the free list's start */
		r = fr_db_int(index, "SELECT count(*) FROM (SELECT 1 FROM event LIMIT 1), (SELECT count(*) FROM segment)", &mode);
	return r;
}

/* Beside a database; with something in it, SQLite plays it into whatever lies there under that name. */
static const char *const journals[] = { "-journal", "-wal" };
#define JOURNALS (sizeof(journals) / sizeof(*journals))

static void remove_beside(const char *path)
{
	char name[FR_PATH_MAX + 32];

	for (size_t i = 0; i < JOURNALS; i++) {
		snprintf(name, sizeof(name), "%s%s", path, journals[i]);
		unlink(name);
	}
	snprintf(name, sizeof(name), "%s-shm", path);
	unlink(name);
}

static void remove_db(const char *path)
{
	remove_beside(path);
	unlink(path);
}

/* Damaged: kept once for whoever wants to look. Its journal goes, or it would be taken for the new one's. */
static int set_aside(struct fr_index *index)
{
	char name[FR_PATH_MAX + 32];

	close_db(index);
	snprintf(name, sizeof(name), "%s.damaged", index->path);
	if (rename(index->path, name) < 0 && errno != ENOENT)
		return -errno;
	remove_db(index->path);
	/* a journal that came back would be taken for the new one's, too */
	return fr_path_sync(index->state);
}

int fr_index_open(const char *state_dir, unsigned flags, struct fr_index **ret_index)
{
	struct fr_index *index = calloc(1, sizeof(*index));
	int64_t version = 0;
	bool made = false;
	int r;

	if (!index)
		return -ENOMEM;
	index->lock = -1;
	index->flags = flags;
	if (snprintf(index->state, sizeof(index->state), "%s", state_dir) >= (int)sizeof(index->state) ||
	    snprintf(index->path, sizeof(index->path), "%s/index.db%s", state_dir, flags & FR_INDEX_REBUILD ? ".new" : "") >=
		    (int)sizeof(index->path)) {
		free(index);
		return -ENAMETOOLONG;
	}
	if (flags & FR_INDEX_READ) {
		r = open_reader(index);
		goto out;
	}
	r = fr_path_make(state_dir, 0750);
	if (!r)
		r = take_lock(index, flags & FR_INDEX_REBUILD ? LOCK_EX : LOCK_SH);
	if (r < 0)
		goto out;
	made = flags & FR_INDEX_REBUILD;
	if (made)
		remove_db(index->path);
	r = open_writer(index, flags & FR_INDEX_REBUILD);
	if (r == -ENOENT) /* SQLite could not make it, and does not say why */
		r = -EIO;
	if (r == -EUCLEAN || r == -ENODATA) {
		r = take_lock(index, LOCK_EX);
		close_db(index);
		if (!r)
			r = open_writer(index, true); /* perhaps another process has made it again while this one waited */
	}
	if (r == -EUCLEAN) {
		bool older = !fr_db_int(index, "PRAGMA user_version", &version) && version && version < FR_INDEX_VERSION;

		r = set_aside(index);
		if (!r)
			r = open_writer(index, true);
		snprintf(index->note, sizeof(index->note), "index.db %s", older ? outdated : damaged);
	}
	if (!r && !(flags & FR_INDEX_REBUILD))
		r = take_lock(index, LOCK_SH);
out:
	if (r < 0 && made) {
		close_db(index);
		remove_db(index->path);
	}
	if (r < 0) {
		fr_index_close(index);
		return r;
	}
	*ret_index = index;
	return 0;
}

/* ------------------------------------------------------------------ update */

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

void fr_index_tell(struct fr_index *index, fr_index_at *at, void *ctx)
{
	index->at = at;
	index->at_ctx = ctx;
}

static int update(struct fr_index *index, struct fr_index_stats *stats)
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

int fr_index_update(struct fr_index *index, struct fr_index_stats *ret_stats)
{
	struct fr_index_stats stats;
	uint64_t begun = fr_clock_mono_ns();
	int r;

	if (index->flags & FR_INDEX_READ)
		return -EACCES;
	r = update(index, &stats);
	if ((r == -EUCLEAN || r == -EINVAL) && !(index->flags & FR_INDEX_REBUILD)) { /* damage that opening it did not touch */
		close_db(index);
		r = take_lock(index, LOCK_EX);
		if (!r)
			r = set_aside(index);
		if (!r)
			r = open_writer(index, true);
		if (!r)
			r = update(index, &stats);
		if (!r)
			r = take_lock(index, LOCK_SH);
		snprintf(index->note, sizeof(index->note), "index.db %s", damaged);
	}
	if (r < 0)
		return r;
	stats.elapsed_ns = fr_clock_mono_ns() - begun;
	if (ret_stats)
		*ret_stats = stats;
	return 0;
}

static bool has_journal(const char *path)
{
	char name[FR_PATH_MAX + 32];
	struct stat st;

	for (size_t i = 0; i < JOURNALS; i++) {
		snprintf(name, sizeof(name), "%s%s", path, journals[i]);
		if (stat(name, &st) == 0 ? st.st_size > 0 : errno != ENOENT)
			return true;
	}
	return false;
}

/*
 * Without its journal the old file may be half of this and half of that: so if there is one, the
 * file goes first.
 */
static int clear_the_way(const char *state_dir, const char *path)
{
	int r = 0;

	if (has_journal(path))
		r = unlink(path) < 0 && errno != ENOENT ? -errno : fr_path_sync(state_dir);
	if (r < 0)
		return r;
	remove_beside(path);
	/* or a power cut might leave the old one's journal beside the new one */
	return fr_path_sync(state_dir);
}

int fr_index_rebuild(const char *state_dir, fr_index_at *at, void *ctx, struct fr_index_stats *ret_stats)
{
	char path[FR_PATH_MAX + 16];
	struct fr_index *index;
	int r = fr_index_open(state_dir, FR_INDEX_REBUILD, &index);

	if (r < 0)
		return r;
	fr_index_tell(index, at, ctx);
	r = fr_index_update(index, ret_stats);
	if (!r)
		r = fr_db_fold(index);
	close_db(index);
	if (!r)
		r = fr_path_sync(index->path);
	FR_TESTPOINT("rebuild-made");
	if (!r) {
		snprintf(path, sizeof(path), "%s/index.db", state_dir);
		r = clear_the_way(state_dir, path);
		FR_TESTPOINT("rebuild-unlinked");
		if (!r && rename(index->path, path) < 0)
			r = -errno;
		if (!r)
			r = fr_path_sync(state_dir);
	}
	remove_db(index->path); /* or what is left of it */
	fr_index_close(index);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * index.c - the life of index.db; see index.h.
 *
 * MADE ASIDE. An index that is made from nothing is made as index.db.new, under the lock, and takes the
 * place of index.db when it is whole (db_files.h). As nobody sees it before and a crash takes all of it, it
 * needs no journal; and where that is worth its memory, its events get their order in time at the end, at once:
 * together less than half of what they cost one by one. Where the lock can't be had, where there is so much
 * to read that others would give up waiting, and where the last attempt was killed (the next one must get further),
 * an index that is there and empty is filled where it is, segment by segment.
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
#include "uploader/db_files.h"
#include "uploader/index_files.h"
#include "uploader/index_update.h"

#define CACHE_WRITER_KIB 65536
#define CACHE_READER_KIB 8192
#define ASIDE		 ".new"

/* Bytes of segments that are taken in while others wait for the lock, and whose times are sorted in memory: seconds, and 40 bytes an event. */
#define AT_ONCE (128u << 20)

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
	const char *journal = index->aside ? "OFF" : "WAL", *sync = index->aside ? "OFF" : "NORMAL";
	char pragma[256];
	int64_t mode;
	int r = open_db(index, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	if (r < 0)
		return r == -ENOENT ? -EIO : r; /* SQLite could not make it, and does not say why */
	sqlite3_busy_timeout(index->db, FR_INDEX_BUSY_MS);
	r = check_version(index);
	if (r < 0 && (r != -ENODATA || !alone))
		return r;
	/* spool/ is the truth: NORMAL keeps the index whole over a power cut, if perhaps a little behind */
	snprintf(pragma, sizeof(pragma),
		 "PRAGMA journal_mode=%s; PRAGMA synchronous=%s; PRAGMA cache_size=-%d; PRAGMA secure_delete=0;"
		 "PRAGMA wal_autocheckpoint=1000; PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY",
		 journal, sync, CACHE_WRITER_KIB);
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

/* Damaged: kept once for whoever wants to look. Its journal goes, or it would be taken for the new one's. */
static int set_aside(struct fr_index *index)
{
	char name[FR_PATH_MAX + 32];

	close_db(index);
	snprintf(name, sizeof(name), "%s.damaged", index->path);
	if (rename(index->path, name) < 0 && errno != ENOENT)
		return -errno;
	fr_db_remove(index->path);
	/* a journal that came back would be taken for the new one's, too */
	return fr_path_sync(index->state);
}

static int new_handle(const char *state_dir, unsigned flags, struct fr_index **ret_index)
{
	struct fr_index *index = calloc(1, sizeof(*index));

	if (!index)
		return -ENOMEM;
	index->lock = -1;
	index->flags = flags;
	if (snprintf(index->state, sizeof(index->state), "%s", state_dir) >= (int)sizeof(index->state) ||
	    snprintf(index->path, sizeof(index->path), "%s/index.db", state_dir) >= (int)(sizeof(index->path) - strlen(ASIDE))) {
		free(index);
		return -ENAMETOOLONG;
	}
	*ret_index = index;
	return 0;
}

int fr_index_open(const char *state_dir, unsigned flags, struct fr_index **ret_index)
{
	struct fr_index *index;
	int64_t version = 0;
	int r = new_handle(state_dir, flags, &index);

	if (r < 0)
		return r;
	if (flags & FR_INDEX_READ) {
		r = open_reader(index);
		goto out;
	}
	r = fr_path_make(state_dir, 0750);
	if (!r)
		r = take_lock(index, LOCK_SH);
	if (r < 0)
		goto out;
	r = open_writer(index, false);
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
	if (!r)
		r = take_lock(index, LOCK_SH);
out:
	if (r < 0) {
		fr_index_close(index);
		return r;
	}
	*ret_index = index;
	return 0;
}

void fr_index_tell(struct fr_index *index, fr_index_at *at, void *ctx)
{
	index->at = at;
	index->at_ctx = ctx;
}

/* ------------------------------------------------------------------ made aside */

/* Bytes of all segments. */
static int measure_spool(struct fr_index *index, uint64_t *ret_bytes)
{
	__attribute__((cleanup(fr_index_files_done))) struct fr_index_files files = { 0 };
	int r = fr_index_files_list(index->state, &files);

	*ret_bytes = 0;
	for (size_t i = 0; i < files.count; i++)
		*ret_bytes += files.file[i].size;
	return r;
}

/* Takes the order of events in time out of a new database; an update puts it back when all events are there. */
static int put_off_order(struct fr_index *index)
{
	FR_STMT find = NULL;
	int r = fr_db_prepare(index, "SELECT sql FROM sqlite_schema WHERE name = 'by_time'", &find);

	if (!r)
		r = fr_db_step(find);
	if (r < 0)
		return r;
	index->order = strdup(fr_db_text(find, 0));
	sqlite3_reset(find);
	return index->order ? fr_db_exec(index, "DROP INDEX by_time") : -ENOMEM;
}

/* Makes the whole index anew; with the lock held alone, and the database closed before and after. */
static int make_aside(struct fr_index *index, struct fr_index_stats *stats)
{
	char place[sizeof(index->path)];
	uint64_t bytes;
	int r = measure_spool(index, &bytes);

	if (r < 0)
		return r;
	memcpy(place, index->path, sizeof(place));
	strcat(index->path, ASIDE);
	index->aside = true;
	fr_db_remove(index->path);
	r = open_writer(index, true);
	if (!r && bytes <= AT_ONCE)
		r = put_off_order(index);
	if (!r)
		r = fr_index_run_update(index, stats);
	if (!r) /* it is said in the file: so is it opened from now on */
		r = fr_db_exec(index, "PRAGMA journal_mode=WAL");
	close_db(index);
	if (!r)
		r = fr_path_sync(index->path);
	FR_TESTPOINT("index-made");
	if (!r)
		r = fr_db_replace(index->state, place, index->path);
	fr_db_remove(index->path); /* or what is left of it */
	free(index->order);
	index->order = NULL;
	index->aside = false;
	memcpy(index->path, place, sizeof(place));
	return r;
}

/* As above, and opens it. */
static int make_again(struct fr_index *index, struct fr_index_stats *stats)
{
	int r, opened;

	close_db(index);
	r = make_aside(index, stats);
	opened = open_writer(index, false);
	return r ? r : opened;
}

/* 1: nothing is in it, and what should be is soon made. */
static int is_to_be_filled(struct fr_index *index)
{
	uint64_t bytes;
	int64_t empty;
	int r = fr_db_int(index, "SELECT NOT EXISTS (SELECT 1 FROM segment)", &empty);

	if (r < 0 || !empty)
		return r;
	r = measure_spool(index, &bytes);
	return r < 0 ? r : bytes && bytes <= AT_ONCE;
}

/* With the lock held alone: whether what lies there was left by one who was killed while making it. */
static bool ended_aside(struct fr_index *index)
{
	char path[sizeof(index->path)];

	snprintf(path, sizeof(path), "%s", index->path);
	strcat(path, ASIDE);
	if (access(path, F_OK) < 0)
		return false;
	fr_db_remove(path);
	return true;
}

/* 1: was made aside; 0: is to be brought up to date where it is. */
static int fill(struct fr_index *index, struct fr_index_stats *stats)
{
	int r = is_to_be_filled(index), shared;

	if (r != 1)
		return r;
	r = 0;
	if (flock(index->lock, LOCK_EX | LOCK_NB) == 0 && !ended_aside(index)) {
		r = is_to_be_filled(index); /* another process may have been faster */
		if (r == 1) {
			r = make_again(index, stats);
			r = r ? r : 1;
		}
	}
	shared = take_lock(index, LOCK_SH); /* where it was refused, too: to ask gave up what was held */
	return shared < 0 ? shared : r;
}

int fr_index_update(struct fr_index *index, struct fr_index_stats *ret_stats)
{
	struct fr_index_stats stats;
	uint64_t begun = fr_clock_mono_ns();
	int r;

	if (index->flags & FR_INDEX_READ)
		return -EACCES;
	r = fill(index, &stats);
	if (!r)
		r = fr_index_run_update(index, &stats);
	if (r == -EUCLEAN || r == -EINVAL) { /* damage that opening it did not touch */
		r = take_lock(index, LOCK_EX);
		if (!r)
			r = set_aside(index);
		if (!r)
			r = make_again(index, &stats);
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

int fr_index_rebuild(const char *state_dir, fr_index_at *at, void *ctx, struct fr_index_stats *ret_stats)
{
	uint64_t begun = fr_clock_mono_ns();
	struct fr_index_stats stats;
	struct fr_index *index;
	int r = new_handle(state_dir, 0, &index);

	if (r < 0)
		return r;
	fr_index_tell(index, at, ctx);
	r = fr_path_make(state_dir, 0750);
	if (!r)
		r = take_lock(index, LOCK_EX);
	if (!r)
		r = make_aside(index, &stats);
	stats.elapsed_ns = fr_clock_mono_ns() - begun;
	if (!r && ret_stats)
		*ret_stats = stats;
	fr_index_close(index);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * index.c - the life of index.db; see index.h.
 *
 * REBUILD makes index.db.new, under the lock, and puts it in the place of index.db when it is whole
 * (db_files.h). As nobody sees it before and a crash takes all of it, it needs no journal; and as long as its
 * events are not too many to be sorted in memory, they get their order in time at the end, at once, which costs
 * half of keeping them sorted.
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

#define SORT_MAX	 (128u << 20) /* bytes of segments whose events are sorted in memory: some 50 bytes an event */

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
	case EPERM:
		return "index.db is another user's: only they and root can replace it";
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
	free(index->order);
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
	struct stat st;
	int64_t mode;
	int r = open_db(index, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	if (r < 0)
		return r == -ENOENT ? -EIO : r; /* SQLite could not make it, and does not say why */
	if (stat(index->path, &st) < 0)
		return -errno;
	index->dev = st.st_dev;
	index->ino = st.st_ino;
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
	int r = fr_db_may_remove(index->state, index->path);

	close_db(index);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%s.damaged", index->path);
	if (rename(index->path, name) < 0 && errno != ENOENT)
		return -errno;
	r = fr_db_remove(index->path);
	/* a journal that came back would be taken for the new one's, too */
	return r ? r : fr_path_sync(index->state);
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

static bool is_in_its_place(const struct fr_index *index)
{
	struct stat st;

	return index->db && stat(index->path, &st) == 0 && st.st_dev == index->dev && st.st_ino == index->ino;
}

/* Opens for writing, once; what has to be made is made. Ends with the lock shared. */
static int open_or_make(struct fr_index *index)
{
	int64_t version = 0;
	int r = take_lock(index, LOCK_SH);

	if (r < 0)
		return r;
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
	if (r < 0) { /* what is half open is none, and nobody has to wait for it */
		close_db(index);
		flock(index->lock, LOCK_UN);
	}
	return r;
}

/*
 * What a writer holds while it has the index open: the lock, and the file that is in its place. Whoever waited for the lock may
 * find another one there, and goes on with that.
 */
static int hold(struct fr_index *index)
{
	int r = take_lock(index, LOCK_SH);

	for (int tries = 0; !r && !is_in_its_place(index); tries++) {
		close_db(index);
		r = tries < 10 ? open_or_make(index) : -EBUSY;
	}
	return r;
}

/* Half an index of a rebuild that was killed; with the lock held there is none under way. */
static void sweep(const struct fr_index *index)
{
	char path[sizeof(index->path) + sizeof(ASIDE)];

	snprintf(path, sizeof(path), "%s" ASIDE, index->path);
	if (access(path, F_OK) == 0)
		(void)fr_db_remove(path);
}

int fr_index_open(const char *state_dir, unsigned flags, struct fr_index **ret_index)
{
	struct fr_index *index;
	int r = new_handle(state_dir, flags, &index);

	if (r < 0)
		return r;
	if (flags & FR_INDEX_READ) {
		r = open_reader(index);
	} else {
		r = fr_path_make(state_dir, 0750);
		if (!r)
			r = hold(index);
		if (!r)
			sweep(index);
	}
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

int fr_index_update(struct fr_index *index, struct fr_index_stats *ret_stats)
{
	struct fr_index_stats stats;
	uint64_t begun = fr_clock_mono_ns();
	int r, held;

	if (index->flags & FR_INDEX_READ)
		return -EACCES;
	r = hold(index);
	if (!r)
		r = fr_index_run_update(index, &stats);
	if (r == -EUCLEAN || r == -EINVAL) { /* damage that opening it did not touch */
		bool first;

		r = take_lock(index, LOCK_EX);
		first = !r && is_in_its_place(index); /* or another process met it, too, and has made it again */
		if (first)
			r = set_aside(index);
		close_db(index);
		if (!r)
			r = open_writer(index, true);
		if (!r)
			r = fr_index_run_update(index, &stats);
		if (!r && first)
			snprintf(index->note, sizeof(index->note), "index.db %s", damaged);
		held = hold(index);
		r = r ? r : held;
	}
	if (r < 0)
		return r;
	stats.elapsed_ns = fr_clock_mono_ns() - begun;
	if (ret_stats)
		*ret_stats = stats;
	return 0;
}

/* ------------------------------------------------------------------ rebuild */

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
	if (r != 1)
		return r < 0 ? r : -EUCLEAN;
	index->order = strdup(fr_db_text(find, 0));
	sqlite3_reset(find);
	return index->order ? fr_db_exec(index, "DROP INDEX by_time") : -ENOMEM;
}

/* Makes the database at index->path, whole and on the disk, from nothing. */
static int make(struct fr_index *index, struct fr_index_stats *stats)
{
	uint64_t bytes;
	int r = fr_db_remove(index->path);

	if (!r)
		r = measure_spool(index, &bytes);
	if (!r)
		r = open_writer(index, true);
	if (!r && bytes <= SORT_MAX)
		r = put_off_order(index);
	if (!r)
		r = fr_index_run_update(index, stats);
	if (!r) /* it is said in the file: so is it opened from now on */
		r = fr_db_exec(index, "PRAGMA journal_mode=WAL");
	close_db(index);
	return r ? r : fr_path_sync(index->path);
}

int fr_index_rebuild(const char *state_dir, fr_index_at *at, void *ctx, struct fr_index_stats *ret_stats)
{
	uint64_t begun = fr_clock_mono_ns();
	struct fr_index_stats stats = { 0 };
	char place[FR_PATH_MAX];
	struct fr_index *index;
	int r = new_handle(state_dir, 0, &index);

	if (r < 0)
		return r;
	fr_index_tell(index, at, ctx);
	memcpy(place, index->path, sizeof(place));
	strcat(index->path, ASIDE);
	index->aside = true;
	r = fr_path_make(state_dir, 0750);
	if (!r)
		r = take_lock(index, LOCK_EX);
	if (!r)
		r = fr_db_may_remove(state_dir, place);
	if (!r) {
		r = make(index, &stats);
		FR_TESTPOINT("index-made");
		if (!r)
			r = fr_db_replace(state_dir, place, index->path);
		(void)fr_db_remove(index->path); /* or what is left of it */
	}
	stats.elapsed_ns = fr_clock_mono_ns() - begun;
	if (!r && ret_stats)
		*ret_stats = stats;
	fr_index_close(index);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* syncer.c - the process that writes rings to the disk: see sync.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "recorder/core/ringfile.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/log.h"
#include "recorder/daemon/sync.h"

#define INTERVAL_MIN_MS 20  /* above the grain of files' dates */
#define NAMES_MS	100 /* names, at least so often: a critical event relies on it */

struct ring {
	char name[FR_RING_NAME_MAX];
	int fd;		      /* a look by descriptor costs a third of one by name; -1: not open */
	uint64_t inode;	      /* as the directory says */
	struct timespec date; /* at the last look */
	bool here;	      /* still in the directory */
	bool begun;	      /* the disk was given what is new in it, and is waited for */
	bool again; /* changed at the last look: its date may hide a store that came right after */
	bool written;		/* once as a whole */
	uint64_t covered_ns;	/* what was stored before this (CLOCK_MONOTONIC) is on the disk */
	int64_t credit;		/* bytes it may write; negative: it has to wait */
	struct frm_super super; /* lane_count 0: not known */
	uint64_t *pos;		/* of its lanes at the last sync */
};

struct syncer {
	int dir;
	const char *path;
	struct sync_page *page;
	struct ring *ring; /* sorted by name */
	size_t count, room;
	struct timespec date; /* of the directory */
	bool again, unnamed;
	uint64_t before_ns; /* when the look before this one began */
	uint64_t rings_ns;  /* and the last one at what is in the rings */
};

static bool same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ring *)a)->name, ((const struct ring *)b)->name);
}

static bool is_ring_name(const char *name)
{
	size_t length = strlen(name), suffix = strlen(FR_RING_SUFFIX);

	return name[0] != '.' && length > suffix && length < FR_RING_NAME_MAX &&
	       strcmp(name + length - suffix, FR_RING_SUFFIX) == 0;
}

static void add(struct syncer *syncer, const struct dirent *entry)
{
	if (syncer->count == syncer->room) {
		size_t room = syncer->room ? 2 * syncer->room : 64;
		struct ring *more = realloc(syncer->ring, room * sizeof(*more));

		if (!more) {
			syncer->again = true;
			return;
		}
		syncer->ring = more;
		syncer->room = room;
	}
	syncer->ring[syncer->count] = (struct ring){
		.fd = -1, .inode = entry->d_ino, .here = true, .covered_ns = syncer->before_ns
	};
	strcpy(syncer->ring[syncer->count++].name, entry->d_name);
	syncer->unnamed = true;
}

/* Which rings there are: looked up only when the directory has changed. */
static void look_for_rings(struct syncer *syncer)
{
	size_t known = syncer->count, kept = 0;
	struct dirent *entry;
	struct ring key;
	struct stat st;
	bool changed;
	DIR *stream;
	int fd;

	if (fstat(syncer->dir, &st) < 0)
		return;
	changed = !same(&st.st_mtim, &syncer->date);
	if (!changed && !syncer->again)
		return;
	syncer->date = st.st_mtim;
	syncer->again = changed;
	fd = openat(syncer->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		if (fd >= 0)
			close(fd);
		syncer->again = true; /* too many open files, say */
		return;
	}
	for (size_t i = 0; i < known; i++)
		syncer->ring[i].here = false;
	while ((entry = readdir(stream))) {
		struct ring *found;

		if (!is_ring_name(entry->d_name))
			continue;
		strcpy(key.name, entry->d_name);
		found = known ? bsearch(&key, syncer->ring, known, sizeof(key), by_name) : NULL;
		if (found && found->inode == entry->d_ino)
			found->here = true;
		else
			add(syncer, entry);
	}
	closedir(stream);
	for (size_t i = 0; i < syncer->count; i++) {
		struct ring *ring = &syncer->ring[i];

		if (ring->here) {
			syncer->ring[kept++] = *ring;
			continue;
		}
		if (ring->fd >= 0)
			close(ring->fd);
		free(ring->pos);
	}
	syncer->count = kept;
	if (kept)
		qsort(syncer->ring, kept, sizeof(*syncer->ring), by_name);
	fr_store_relaxed(&syncer->page->rings, kept);
}

/* About what the disk has to write for it: the pages that its lanes took since the last time. */
static uint64_t cost_of(struct ring *ring, uint64_t size)
{
	uint64_t cost = 2 * FRM_PAGE; /* what is not a record */

	if (!ring->super.lane_count) {
		struct frm_super super;

		if (pread(ring->fd, &super, sizeof(super), 0) != (ssize_t)sizeof(super) ||
		    fr_super_check(&super) < 0)
			return size; /* who has spoiled its own is judged by its size */
		ring->pos = calloc(super.lane_count, sizeof(*ring->pos));
		if (!ring->pos)
			return size;
		ring->super = super;
	}
	for (uint32_t i = 0; i < ring->super.lane_count; i++) {
		off_t at = (off_t)(fr_super_lane_offset(&ring->super, i) +
				   offsetof(struct frm_lane, next_pos));
		uint64_t pos, pages;

		if (pread(ring->fd, &pos, sizeof(pos), at) != (ssize_t)sizeof(pos) ||
		    pos == ring->pos[i])
			continue;
		pages = pos / FRM_PAGE - ring->pos[i] / FRM_PAGE + 2; /* and the head's */
		cost += pages < ring->super.lane_size / FRM_PAGE ? pages * FRM_PAGE
								 : ring->super.lane_size;
		ring->pos[i] = pos;
	}
	if (!ring->written)
		cost = size;
	return cost < size ? cost : size;
}

static void failed(struct syncer *syncer, const struct ring *ring, int error)
{
	if (fr_load_relaxed(&syncer->page->last_error) != (uint64_t)error)
		log_line(
			LOG_PRIO_ERROR,
			"ring %s can't be written to the disk: %s; a power cut would take what is new in it",
			ring->name, strerror(error));
	fr_store_relaxed(&syncer->page->last_error, (uint64_t)error);
	fr_add(&syncer->page->errors, 1);
}

static void synced(struct syncer *syncer, struct ring *ring, uint64_t look_ns)
{
	struct sync_page *page = syncer->page;
	uint64_t window = fr_clock_mono_ns() - ring->covered_ns;

	ring->covered_ns = look_ns;
	ring->written = true;
	fr_add(&page->syncs, 1);
	fr_store_relaxed(&page->last_error, 0);
	fr_store_relaxed(&page->window_ns, window);
	if (window > fr_load_relaxed(&page->worst_ns))
		fr_store_relaxed(&page->worst_ns, window);
	FR_TESTPOINT("synced");
}

/* Opened as what it may be: something that another process has put there. */
static bool look_at(struct syncer *syncer, struct ring *ring, struct stat *ret_st)
{
	if (ring->fd < 0) {
		ring->fd = openat(syncer->dir, ring->name,
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (ring->fd < 0 && (errno == EMFILE || errno == ENFILE))
			failed(syncer, ring, errno);
	}
	return ring->fd >= 0 && fstat(ring->fd, ret_st) == 0 && S_ISREG(ret_st->st_mode);
}

/* True when there is something to write. */
static bool is_dirty(struct ring *ring, const struct stat *st, uint64_t look_ns)
{
	bool changed = !same(&st->st_mtim, &ring->date), dirty = changed || ring->again;

	ring->date = st->st_mtim;
	ring->again = changed;
	if (!dirty)
		ring->covered_ns = look_ns;
	return dirty;
}

static bool must_wait(struct syncer *syncer, struct ring *ring, uint64_t passed_ns)
{
	uint64_t rate = fr_load_relaxed(&syncer->page->rate);
	double credit;

	if (!rate) {
		ring->credit = 0;
		return false;
	}
	credit = (double)ring->credit + (double)rate * 1e-9 * (double)passed_ns;
	ring->credit = credit < (double)rate ? (int64_t)credit : (int64_t)rate;
	return ring->credit < 0;
}

static void begin(struct syncer *syncer, struct ring *ring, uint64_t size)
{
	uint64_t cost = cost_of(ring, size);

	if (ring->written)
		ring->credit -= (int64_t)cost;
	fr_add(&syncer->page->bytes, cost);
	/* where that isn't to be had, fdatasync begins as well as waits */
	sync_file_range(ring->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	ring->begun = true;
}

/* All are begun before the first is waited for: the disk has work for all of them at a time. */
static void write_rings(struct syncer *syncer, uint64_t look_ns)
{
	for (size_t i = 0; i < syncer->count; i++) {
		struct ring *ring = &syncer->ring[i];
		bool wait = must_wait(syncer, ring, look_ns - syncer->rings_ns);
		struct stat st;

		if (!look_at(syncer, ring, &st) || !is_dirty(ring, &st, look_ns))
			continue;
		if (wait) {
			ring->again = true;
			fr_add(&syncer->page->held, 1);
		} else {
			begin(syncer, ring, (uint64_t)st.st_size);
		}
	}
	for (size_t i = 0; i < syncer->count; i++) {
		struct ring *ring = &syncer->ring[i];

		if (!ring->begun)
			continue;
		ring->begun = false;
		if (fdatasync(ring->fd) == 0) {
			synced(syncer, ring, look_ns);
		} else {
			failed(syncer, ring, errno);
			ring->again = true; /* not on the disk: neither clean nor covered */
		}
	}
}

/* A ring that nobody finds after the cut was in vain. */
static void sync_names(struct syncer *syncer)
{
	char path[FR_PATH_MAX + 2];

	if (!syncer->unnamed)
		return;
	strcpy(path, syncer->path);
	strcat(path, "/");
	if (fr_ringfile_sync_names(path) == 0)
		syncer->unnamed = false;
}

/* 0: rings are left to the kernel. */
static uint64_t interval_of(const struct sync_page *page)
{
	uint64_t ms = fr_load_relaxed(&page->interval_ms);

	return (ms && ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : ms) * 1000000;
}

/* When the next look is due, after one that began at look_ns. */
static uint64_t next_look(const struct syncer *syncer, uint64_t look_ns, uint64_t interval_ns)
{
	uint64_t names_ns = look_ns + NAMES_MS * 1000000ull;
	uint64_t rings_ns = syncer->rings_ns + interval_ns;

	return interval_ns && rings_ns < names_ns ? rings_ns : names_ns;
}

static void sleep_until(uint64_t mono_ns)
{
	const struct timespec until = { .tv_sec = (time_t)(mono_ns / 1000000000),
					.tv_nsec = (long)(mono_ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

void syncer_run(int dir, const char *path, struct sync_page *page)
{
	struct syncer syncer = { .dir = dir,
				 .path = path,
				 .page = page,
				 .before_ns = fr_clock_mono_ns(),
				 .again = true };
	struct timespec used;
	unsigned turns = 0;

	for (;;) {
		uint64_t look_ns = fr_clock_mono_ns(), interval_ns = interval_of(page);

		look_for_rings(&syncer);
		if (interval_ns && look_ns - syncer.rings_ns >= interval_ns) {
			write_rings(&syncer, look_ns);
			syncer.rings_ns = look_ns;
		}
		sync_names(&syncer);
		syncer.before_ns = look_ns;
		if (turns++ % 32 == 0 && clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
			fr_store_relaxed(&page->cpu_ns, (uint64_t)used.tv_sec * 1000000000 +
								(uint64_t)used.tv_nsec);
		sleep_until(next_look(&syncer, look_ns, interval_ns));
	}
}

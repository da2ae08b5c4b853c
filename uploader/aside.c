/* SPDX-License-Identifier: MIT */
/* aside.c - see aside.h. */
#include "uploader/aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"
#include "uploader/evidence.h"

#define NAME_BYTES   256
#define REASON	     ".why"
#define WORD	     "quarantine/"
#define LONE_SECONDS 86400 /* a reason alone: its source was dropped, or is about to come */

struct source {
	char name[NAME_BYTES];
	uint64_t bytes; /* on disk, with its reason */
	struct timespec since;
};

struct sources {
	struct source *source;
	size_t count, room;
	uint64_t bytes;
};

static void sources_done(struct sources *sources)
{
	free(sources->source);
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), of_end = strlen(end);

	return length > of_end && !strcmp(name + length - of_end, end);
}

static int add(struct sources *sources, const char *name, uint64_t bytes, struct timespec since)
{
	struct source *source;

	if (sources->count == sources->room) {
		size_t room = sources->room ? sources->room * 2 : 16;

		source = realloc(sources->source, room * sizeof(*source));
		if (!source)
			return -ENOMEM;
		sources->source = source;
		sources->room = room;
	}
	source = &sources->source[sources->count++];
	*source = (struct source){ .bytes = bytes, .since = since };
	snprintf(source->name, sizeof(source->name), "%s", name);
	sources->bytes += bytes;
	return 0;
}

/* A reason whose source is gone. */
static void drop_lone(int dir, const char *reason)
{
	char name[NAME_BYTES];
	struct stat st;

	snprintf(name, sizeof(name), "%.*s", (int)(strlen(reason) - strlen(REASON)), reason);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT &&
	    fstatat(dir, reason, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtim.tv_sec + LONE_SECONDS < time(NULL))
		unlinkat(dir, reason, 0);
}

static int list(DIR *dir, struct sources *sources)
{
	struct dirent *entry;
	int r = 0;

	while (!r && (errno = 0, entry = readdir(dir))) {
		char reason[NAME_BYTES + sizeof(REASON)];
		struct stat st, why;

		if (ends_in(entry->d_name, REASON)) {
			drop_lone(dirfd(dir), entry->d_name);
			continue;
		}
		if (entry->d_name[0] == '.' ||
		    ends_in(entry->d_name, ".tmp")) /* salvage's, which sweeps it */
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = errno == ENOENT ? 0 : -errno;
			continue;
		}
		if (!S_ISREG(st.st_mode))
			continue;
		snprintf(reason, sizeof(reason), "%s" REASON, entry->d_name);
		if (fstatat(dirfd(dir), reason, &why, AT_SYMLINK_NOFOLLOW) < 0)
			why = (struct stat){ .st_mtim = st.st_mtim };
		r = add(sources, entry->d_name, (uint64_t)(st.st_blocks + why.st_blocks) * 512,
			why.st_mtim);
	}
	return r ? r : -errno;
}

static int open_and_list(const char *state_dir, DIR **ret_dir, struct sources *sources)
{
	char path[FR_PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/spool/quarantine", state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	*ret_dir = opendir(path);
	if (!*ret_dir)
		return errno == ENOENT ? 0 : -errno;
	return list(*ret_dir, sources);
}

static int by_age(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	if (x->since.tv_sec != y->since.tv_sec)
		return x->since.tv_sec < y->since.tv_sec ? -1 : 1;
	if (x->since.tv_nsec != y->since.tv_nsec)
		return x->since.tv_nsec < y->since.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int name_it(const char *state_dir, const struct source *source)
{
	struct fr_index_range range = { .lane = FRM_LANE_NONE,
					.count = source->bytes ? source->bytes : 1 };
	uint32_t crc = fr_crc32c(0, source->name, strlen(source->name));
	char word[FR_EVIDENCE_WORD_MAX + 1];
	int length = snprintf(word, sizeof(word), WORD "%.*s", (int)(sizeof(word) - sizeof(WORD)),
			      source->name);

	for (int i = 0; i < length; i++)
		if (word[i] <= ' ' || word[i] > '~')
			word[i] = '_';
	/* no ring's; but each source is forgotten by itself (compact.h) */
	memset(range.ring_id, 0xff, 16);
	memcpy(range.ring_id, &crc, sizeof(crc));
	range.last = range.count - 1;
	return fr_evidence_append(state_dir, FR_EVIDENCE_RETENTION, word, &range, 1);
}

static int unlink_if_there(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int sync_names(const char *state_dir)
{
	char path[FR_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/spool/quarantine", state_dir);
	return fr_path_sync(path);
}

/* Reasons go when their sources are gone for good: nothing ever lies there unexplained. */
static int drop(const char *state_dir, int dir, const struct source *source, size_t count)
{
	char reason[NAME_BYTES + sizeof(REASON)];
	int r = 0;

	for (size_t i = 0; i < count && !r; i++) {
		r = name_it(state_dir, &source[i]);
		FR_TESTPOINT("aside-named");
		if (!r)
			r = unlink_if_there(dir, source[i].name);
		FR_TESTPOINT("aside-unlinked");
	}
	if (!r)
		r = sync_names(state_dir);
	for (size_t i = 0; i < count && !r; i++) {
		snprintf(reason, sizeof(reason), "%s" REASON, source[i].name);
		r = unlink_if_there(dir, reason);
		FR_TESTPOINT("aside-dropped");
	}
	return r ? r : sync_names(state_dir);
}

int fr_aside_measure(const char *state_dir, uint64_t *ret_bytes)
{
	__attribute__((cleanup(sources_done))) struct sources sources = { 0 };
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	int r = open_and_list(state_dir, &dir, &sources);

	if (!r)
		*ret_bytes = sources.bytes;
	return r;
}

int fr_aside_drop(const char *state_dir, uint64_t max_bytes, uint64_t *ret_count)
{
	__attribute__((cleanup(sources_done))) struct sources sources = { 0 };
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	int r = open_and_list(state_dir, &dir, &sources);
	size_t count = 0;

	if (r < 0)
		return r;
	if (sources.count)
		qsort(sources.source, sources.count, sizeof(*sources.source), by_age);
	while (count < sources.count && sources.bytes > max_bytes)
		sources.bytes -= sources.source[count++].bytes;
	r = count ? drop(state_dir, dirfd(dir), sources.source, count) : 0;
	if (!r)
		*ret_count = count;
	return r;
}

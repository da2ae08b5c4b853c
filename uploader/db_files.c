/* SPDX-License-Identifier: MIT */
/* db_files.c - see db_files.h. */
#include "uploader/db_files.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"

/* With something in it, SQLite plays it into whatever lies beside it. */
static const char *const journals[] = { "-journal", "-wal" };
#define JOURNALS (sizeof(journals) / sizeof(*journals))

/* `before`: what went wrong already. */
static int remove_file(const char *path, const char *tail, int before)
{
	char name[FR_PATH_MAX + 32];
	int r;

	snprintf(name, sizeof(name), "%s%s", path, tail);
	r = unlink(name) < 0 && errno != ENOENT ? -errno : 0;
	return before ? before : r;
}

static int remove_beside(const char *path)
{
	int r = 0;

	for (size_t i = 0; i < JOURNALS; i++)
		r = remove_file(path, journals[i], r);
	return remove_file(path, "-shm", r);
}

int fr_db_remove(const char *path)
{
	return remove_file(path, "", remove_beside(path));
}

int fr_db_may_remove(const char *dir, const char *path)
{
	static const char *const tails[] = { "", "-journal", "-wal", "-shm" };
	char name[FR_PATH_MAX + 32];
	struct stat st;

	if (stat(dir, &st) < 0)
		return -errno;
	if (!(st.st_mode & S_ISVTX) || geteuid() == 0 || st.st_uid == geteuid())
		return 0;
	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		snprintf(name, sizeof(name), "%s%s", path, tails[i]);
		if (stat(name, &st) == 0 && st.st_uid != geteuid())
			return -EPERM;
	}
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

static int sync_dir(const char *dir)
{
	int r = fr_path_sync(dir);

	return r == -EINVAL ? 0 : r; /* not a thing of this file system */
}

/*
 * Without its journal the old file may be half of this and half of that: so if there is one, the
 * file goes first. A journal that stays would be played into the new one.
 */
static int clear_the_way(const char *dir, const char *place)
{
	int r = 0;

	if (has_journal(place)) {
		r = remove_file(place, "", 0);
		if (!r)
			r = sync_dir(dir);
	}
	if (!r)
		r = remove_beside(place);
	/* or a power cut might leave the old one's journal beside the new one */
	return r ? r : sync_dir(dir);
}

int fr_db_replace(const char *dir, const char *place, const char *made)
{
	int r = clear_the_way(dir, place);

	FR_TESTPOINT("index-cleared");
	if (!r && rename(made, place) < 0)
		r = -errno;
	return r ? r : sync_dir(dir);
}

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

void fr_db_remove(const char *path)
{
	remove_beside(path);
	unlink(path);
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
static int clear_the_way(const char *dir, const char *place)
{
	int r = 0;

	if (has_journal(place))
		r = unlink(place) < 0 && errno != ENOENT ? -errno : fr_path_sync(dir);
	if (r < 0)
		return r;
	remove_beside(place);
	/* or a power cut might leave the old one's journal beside the new one */
	return fr_path_sync(dir);
}

int fr_db_replace(const char *dir, const char *place, const char *made)
{
	int r = clear_the_way(dir, place);

	FR_TESTPOINT("index-cleared");
	if (!r && rename(made, place) < 0)
		r = -errno;
	return r ? r : fr_path_sync(dir);
}

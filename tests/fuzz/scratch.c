/* SPDX-License-Identifier: MIT */
/* scratch.c - see scratch.h. */
#include "tests/fuzz/scratch.h"

#include <ftw.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static char folder[64];

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void drop_folder(void)
{
	nftw(folder, drop, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_folder(void)
{
	if (!*folder) {
		snprintf(folder, sizeof(folder), "%s/fuzz.XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		HOLDS(mkdtemp(folder));
		atexit(drop_folder);
	}
	return folder;
}

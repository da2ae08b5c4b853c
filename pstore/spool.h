/* SPDX-License-Identifier: MIT */
/*
 * spool.h - STATE/spool, where evidence goes: its directories, its lock, small files that appear whole.
 *
 *	spool/<ring id>-<part>.frs	segments (recorder/core/segment.h)
 *	spool/attempts/<source>		begun to parse, not yet finished (attempt.h)
 *	spool/cursors/<ring id>		how far a ring was copied (cursor.h)
 *	spool/harvested/<ring id>	content of foreign evidence that is in a segment (harvest.h)
 *	spool/quarantine/<source>	what could not be read, as it was, with a .why beside it (quarantine.h)
 *	spool/.lock			held by whoever salvages
 *
 * WHAT OUTLIVES A POWER CUT. A file system owes us what was synced, and of a name what was synced
 * in its directory; the rest may be there, or not, or in part, in any order. So a folder's name is
 * synced when the folder is made, a file before it is renamed, and the directory after that; only
 * then may what it was made of go. Of these files, segments, notes in harvested/, the quarantine
 * and marks are durable when the call that makes them returns, and a mark is cleared as durably. A
 * cursor is durable where segments that say the same may have been dropped meanwhile: when its ring
 * lives on, or has lived on. tests/torture/power_cut/ holds all of it to this.
 */
#ifndef PSTORE_SPOOL_H
#define PSTORE_SPOOL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "recorder/core/paths.h"

struct fr_spool {
	char state[FR_PATH_MAX];
	int dir, attempts, cursors, harvested, quarantine; /* descriptors of the directories */
	int lock;
	unsigned locked; /* how often; the lock is recursive within one fr_spool */
};

/* Opens STATE/spool, making what is missing. Errors: what mkdir and open say. *ret_spool is untouched on failure. */
int fr_spool_open(const char *state_dir, struct fr_spool **ret_spool);
void fr_spool_close(struct fr_spool *spool); /* NULL is fine; gives the lock back */

/*
 * Keeps daemon and `flightrec recover` from each other's sources. Blocks unless `wait` is false: then -EWOULDBLOCK.
 * Who gets it fresh also sweeps away what a killed predecessor left half written. Inherited by fork.
 */
int fr_spool_lock(struct fr_spool *spool, bool wait);
void fr_spool_unlock(struct fr_spool *spool);

/* Writes a small file so that it is there whole or not at all; `durable`: also after a power cut. */
int fr_spool_put(int dir, const char *name, const void *bytes, size_t size, bool durable);
/* Reads up to `size` bytes of a regular file; returns the count, -EFBIG when there are more, or what open says. */
ssize_t fr_spool_get(int dir, const char *name, void *bytes, size_t size);
/* Removes a name; gone already is fine. `durable`: returns when the directory is synced. */
int fr_spool_drop(int dir, const char *name, bool durable);

/* A file name made of a source's name: what is not a letter, digit, '.', '_' or '-' becomes '_'; cut to 200. */
#define FR_SPOOL_NAME 208
void fr_spool_name(char name[FR_SPOOL_NAME], const char *source);

/* Opens a regular file for reading, never a link, a device or a FIFO: -EINVAL for these. */
int fr_spool_open_file(int dir, const char *name);
/* Opens a directory for reading by a descriptor of its own. NULL and errno on failure. */
DIR *fr_spool_list(int dir);

static inline void fr_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fr_close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static inline void fr_free(void *pointer)
{
	free(*(void **)pointer);
}

#define FR_CLOSE __attribute__((cleanup(fr_close_fd)))
#define FR_CLOSEDIR __attribute__((cleanup(fr_close_dir)))
#define FR_FREE __attribute__((cleanup(fr_free)))

#endif

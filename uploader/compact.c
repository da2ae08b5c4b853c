/* SPDX-License-Identifier: MIT */
/*
 * compact.c - see compact.h.
 *
 * PROTOCOL; a crash after any step leaves a log that says everything
 *	1. the log is locked: nobody appends to it, and it is the file of that name
 *	2. the spool's directory is synced (what is gone from it is gone for good), and the index
 *	   reads the log to its end
 *	3. FILE.new is made, locked, written and synced. A leftover is removed the next time
 *	4. it is renamed over FILE. Either may be there after a power cut; both say the same
 *	5. the directory is synced, then both locks go. Who appends after a crash in between syncs
 *	   it first (evidence.c)
 *	6. the index reads the new file: it finds another generation, now or at its next update
 */
#include "uploader/compact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/testpoint.h"
#include "recorder/core/write.h"
#include "uploader/compact_lines.h"
#include "uploader/db.h"
#include "uploader/evidence.h"
#include "uploader/marks.h"

static int lock_alone(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Steps 3 to 5. */
static int replace(const char *path, const char *fresh, const struct stat *old, const char *text,
		   size_t size)
{
	__attribute__((cleanup(close_fd))) int fd =
		open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = lock_alone(fd);
	if (!r) {
		(void)!fchown(fd, old->st_uid, old->st_gid);
		r = fchmod(fd, old->st_mode & 0777) < 0 ? -errno : fr_write_all(fd, text, size);
	}
	if (!r && fsync(fd) < 0)
		r = -errno;
	FR_TESTPOINT("compact-written");
	if (!r && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(fresh);
		return r;
	}
	FR_TESTPOINT("compact-renamed");
	r = fr_path_sync_parent(path);
	FR_TESTPOINT("compact-synced");
	return r;
}

static int compact_locked(struct fr_index *index, const char *file, int fd,
			  const struct fr_compact *how)
{
	char path[FR_PATH_MAX + 32], fresh[FR_PATH_MAX + 64], *text = NULL;
	struct stat st, named;
	size_t size = 0;
	int r;

	snprintf(path, sizeof(path), "%s/%s", index->state, file);
	snprintf(fresh, sizeof(fresh), "%s/%s.new", index->state, file);
	if (fstat(fd, &st) < 0 || stat(path, &named) < 0)
		return -errno;
	if (st.st_ino != named.st_ino || st.st_dev != named.st_dev)
		return 0; /* somebody else was faster */
	unlink(fresh); /* of one that was killed */
	if ((uint64_t)st.st_size <= how->larger_than)
		return 0;
	r = fr_path_sync_parent(path);
	if (!r)
		r = fr_marks_read(index);
	if (!r)
		r = fr_compact_lines(index, file, fd, how, &text, &size);
	if (!r && (uint64_t)st.st_size / 2 >= size) {
		r = replace(path, fresh, &st, text, size);
		if (!r)
			r = fr_marks_read(index);
	}
	free(text);
	return r;
}

int fr_compact(struct fr_index *index, const char *file, const struct fr_compact *how)
{
	__attribute__((cleanup(close_fd))) int fd = -1;

	if (index->flags & FR_INDEX_READ)
		return -EACCES;
	fd = fr_evidence_open(index->state, file);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	/* not while it is in use; on a file system without locks it grows */
	return lock_alone(fd) < 0 ? 0 : compact_locked(index, file, fd, how);
}

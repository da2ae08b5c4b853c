/* SPDX-License-Identifier: MIT */
/* vouch.c - see vouch.h. */
#include "pstore/vouch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pstore/spool.h"
#include "recorder/core/check.h"
#include "recorder/core/testpoint.h"

static int path_of(const char *state_dir, const char *name, char path[FR_PATH_MAX])
{
	return snprintf(path, FR_PATH_MAX, "%s/vouched/%s", state_dir, name) >= FR_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* A regular file that we made: in a folder where others make files as well, they could give us anything to read or write. */
static int open_own(const char *path, int flags)
{
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid())
		return fd;
	close(fd);
	return -EPERM;
}

int fr_vouch_store(const char *state_dir, const char *name, const struct frm_super *super)
{
	char path[FR_PATH_MAX];
	int error = path_of(state_dir, name, path), fd;

	if (error < 0)
		return error;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	errno = 0;
	if (write(fd, super, sizeof(*super)) != (ssize_t)sizeof(*super))
		error = errno ? -errno : -ENOSPC;
	close(fd);
	if (error < 0)
		unlink(path);
	FR_TESTPOINT("vouched");
	return error;
}

int fr_vouch_read(const char *state_dir, const char *name, struct frm_super *ret_super)
{
	struct frm_super super;
	char path[FR_PATH_MAX];
	int error = path_of(state_dir, name, path), fd FR_CLOSE = -1;

	if (error < 0)
		return error;
	fd = open_own(path, O_RDONLY);
	if (fd < 0)
		return fd;
	if (read(fd, &super, sizeof(super)) != (ssize_t)sizeof(super) || fr_super_check(&super) < 0)
		return -EBADMSG;
	*ret_super = super;
	return 0;
}

void fr_vouch_drop(const char *state_dir, const char *name)
{
	char path[FR_PATH_MAX];

	if (path_of(state_dir, name, path) == 0)
		unlink(path);
}

int fr_vouch_restore(const char *state_dir, const char *ring_dir, const char *name)
{
	struct frm_super super, found;
	char path[FR_PATH_MAX];
	int error = fr_vouch_read(state_dir, name, &super), fd FR_CLOSE = -1, changed = 0;

	if (error < 0)
		return error;
	if (snprintf(path, sizeof(path), "%s/%s", ring_dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open_own(path, O_RDWR);
	if (fd < 0)
		return fd;
	for (int copy = 0; copy < 2; copy++) {
		off_t at = (off_t)copy * super.meta_size;

		if (pread(fd, &found, sizeof(found), at) == (ssize_t)sizeof(found) && memcmp(&found, &super, sizeof(super)) == 0)
			continue;
		changed = 1;
		errno = 0;
		if (pwrite(fd, &super, sizeof(super), at) != (ssize_t)sizeof(super))
			return errno ? -errno : -EIO;
	}
	return changed;
}

void fr_vouch_sweep(const char *state_dir, const char *ring_dir)
{
	char path[FR_PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (path_of(state_dir, "", path) < 0 || !(dir = opendir(path)))
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", ring_dir, entry->d_name) < (int)sizeof(path) &&
		    lstat(path, &st) < 0 && errno == ENOENT)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

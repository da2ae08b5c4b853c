/* SPDX-License-Identifier: MIT */
/* vouch.c - see vouch.h. */
#include "recorder/daemon/vouch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"

static int path_of(struct daemon *daemon, const char *name, char path[FR_PATH_MAX])
{
	return snprintf(path, FR_PATH_MAX, "%s/vouched/%s", daemon->state, name) >= FR_PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

int vouch_store(struct daemon *daemon, const char *name, const struct frm_super *super)
{
	char path[FR_PATH_MAX];
	int error = path_of(daemon, name, path), fd;

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

int vouch_read(struct daemon *daemon, const char *name, struct frm_super *ret_super)
{
	struct frm_super super;
	char path[FR_PATH_MAX];
	int error = path_of(daemon, name, path), fd;

	if (error < 0)
		return error;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (read(fd, &super, sizeof(super)) != (ssize_t)sizeof(super) || fr_super_check(&super) < 0)
		error = -EBADMSG;
	close(fd);
	if (error == 0)
		*ret_super = super;
	return error;
}

void vouch_drop(struct daemon *daemon, const char *name)
{
	char path[FR_PATH_MAX];

	if (path_of(daemon, name, path) == 0)
		unlink(path);
}

int vouch_restore(struct daemon *daemon, const char *name)
{
	struct frm_super super, found;
	char path[FR_PATH_MAX];
	int error = vouch_read(daemon, name, &super), fd, changed = 0;

	if (error < 0)
		return error;
	if (snprintf(path, sizeof(path), "%s/%s", daemon->ring_dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (int copy = 0; copy < 2 && error == 0; copy++) {
		off_t at = (off_t)copy * super.meta_size;

		if (pread(fd, &found, sizeof(found), at) == (ssize_t)sizeof(found) &&
		    memcmp(&found, &super, sizeof(super)) == 0)
			continue;
		changed = 1;
		errno = 0;
		if (pwrite(fd, &super, sizeof(super), at) != (ssize_t)sizeof(super))
			error = errno ? -errno : -EIO;
	}
	close(fd);
	return error < 0 ? error : changed;
}

void vouch_sweep(struct daemon *daemon)
{
	char path[FR_PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (path_of(daemon, "", path) < 0 || !(dir = opendir(path)))
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", daemon->ring_dir, entry->d_name) <
			    (int)sizeof(path) &&
		    lstat(path, &st) < 0 && errno == ENOENT)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

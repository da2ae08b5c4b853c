/* SPDX-License-Identifier: MIT */
/* spool.c - see spool.h. */
#include "pstore/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "recorder/core/testpoint.h"

#define TEMPORARY ".tmp"

/* What is moved into a folder is as durable as the folder's own name. */
static int open_below(int dir, const char *name, int *ret_fd)
{
	int fd;

	if (mkdirat(dir, name, 0770) == 0 ? fsync(dir) < 0 : errno != EEXIST)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int open_all(struct fr_spool *spool)
{
	char path[FR_PATH_MAX + 8];
	int error;

	snprintf(path, sizeof(path), "%s/spool", spool->state);
	error = fr_path_make(path, 0770);
	if (error < 0)
		return error;
	spool->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->dir < 0)
		return -errno;
	if ((error = open_below(spool->dir, "attempts", &spool->attempts)) < 0 ||
	    (error = open_below(spool->dir, "cursors", &spool->cursors)) < 0 ||
	    (error = open_below(spool->dir, "harvested", &spool->harvested)) < 0 ||
	    (error = open_below(spool->dir, "quarantine", &spool->quarantine)) < 0)
		return error;
	spool->lock = openat(spool->dir, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0660);
	return spool->lock < 0 ? -errno : 0;
}

int fr_spool_open(const char *state_dir, struct fr_spool **ret_spool)
{
	struct fr_spool *spool;
	int error;

	if (strlen(state_dir) >= sizeof(spool->state))
		return -ENAMETOOLONG;
	spool = calloc(1, sizeof(*spool));
	if (!spool)
		return -ENOMEM;
	strcpy(spool->state, state_dir);
	spool->dir = spool->attempts = spool->cursors = spool->harvested = spool->quarantine = spool->lock = -1;
	error = open_all(spool);
	if (error < 0) {
		fr_spool_close(spool);
		return error;
	}
	*ret_spool = spool;
	return 0;
}

void fr_spool_close(struct fr_spool *spool)
{
	if (!spool)
		return;
	fr_close_fd(&spool->lock);
	fr_close_fd(&spool->quarantine);
	fr_close_fd(&spool->harvested);
	fr_close_fd(&spool->cursors);
	fr_close_fd(&spool->attempts);
	fr_close_fd(&spool->dir);
	free(spool);
}

/* Half-written files of a predecessor: nobody else writes while we hold the lock. */
static void sweep(int fd)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length > 4 && !strcmp(entry->d_name + length - 4, TEMPORARY))
			unlinkat(fd, entry->d_name, 0);
	}
}

int fr_spool_lock(struct fr_spool *spool, bool wait)
{
	if (spool->locked++)
		return 0;
	while (flock(spool->lock, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
		if (errno == EINTR)
			continue;
		spool->locked = 0;
		return -errno;
	}
	sweep(spool->dir);
	sweep(spool->cursors);
	sweep(spool->attempts);
	sweep(spool->harvested);
	sweep(spool->quarantine);
	return 0;
}

void fr_spool_unlock(struct fr_spool *spool)
{
	if (spool->locked && !--spool->locked)
		flock(spool->lock, LOCK_UN);
}

static int write_fully(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int fr_spool_put(int dir, const char *name, const void *bytes, size_t size, bool durable)
{
	char temporary[FR_SPOOL_NAME + 64];
	int fd FR_CLOSE = -1;
	int error;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name) >= sizeof(temporary))
		return -ENAMETOOLONG;
	if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660);
	if (fd < 0)
		return -errno;
	error = write_fully(fd, bytes, size);
	if (!error && durable && fsync(fd) < 0)
		error = -errno;
	FR_TESTPOINT("put-written");
	if (!error && renameat(dir, temporary, dir, name) < 0)
		error = -errno;
	if (error) {
		unlinkat(dir, temporary, 0);
		return error;
	}
	FR_TESTPOINT("put-renamed");
	return durable && fsync(dir) < 0 ? -errno : 0;
}

ssize_t fr_spool_get(int dir, const char *name, void *bytes, size_t size)
{
	int fd FR_CLOSE = fr_spool_open_file(dir, name);
	size_t got = 0;
	char more;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n = got < size ? read(fd, (char *)bytes + got, size - got) : read(fd, &more, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)got;
		if (got == size)
			return -EFBIG;
		got += (size_t)n;
	}
}

int fr_spool_drop(int dir, const char *name, bool durable)
{
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	/* a pseudo file system (pstore) has nothing to sync: EINVAL */
	return durable && fsync(dir) < 0 && errno != EINVAL ? -errno : 0;
}

void fr_spool_name(char name[FR_SPOOL_NAME], const char *source)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = 0;

	for (; *source && n < 200; source++, n++)
		name[n] = strchr(fine, *source) && (n || *source != '.') ? *source : '_';
	name[n] = '\0';
}

int fr_spool_open_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? -EINVAL : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

DIR *fr_spool_list(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list;

	if (fd < 0)
		return NULL;
	list = fdopendir(fd);
	if (!list)
		close(fd);
	return list;
}

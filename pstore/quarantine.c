/* SPDX-License-Identifier: MIT */
/* quarantine.c - see quarantine.h. */
#include "pstore/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "recorder/core/testpoint.h"
#include "schemas/fr_format.h"

#define COPY_MAX (FRM_RING_MAX + (1ull << 20)) /* no ring is larger, and nothing else is even near */

/* True when both files hold the same bytes. */
static bool same_content(int a, int b)
{
	char left[16384], right[16384];
	struct stat one, other;
	off_t at = 0;

	/*
	 * What a pseudo file system says of sizes may be 0: compare what can be read. Not a
	 * terabyte of nothing: that takes longer than a worker may, and every other ring waits.
	 */
	if (fstat(a, &one) < 0 || fstat(b, &other) < 0 ||
	    (one.st_size && other.st_size && one.st_size != other.st_size) ||
	    (uint64_t)one.st_size > COPY_MAX)
		return false;
	for (;;) {
		ssize_t n = pread(a, left, sizeof(left), at), m = pread(b, right, sizeof(right), at);

		if (n < 0 || n != m || memcmp(left, right, (size_t)n))
			return false;
		if (n == 0)
			return true;
		at += n;
	}
}

/* A free name in the quarantine; true in *ret_there when the same content lies there already. */
static int choose_name(const struct fr_spool *spool, int fd, const char *source, char *name, bool *ret_there)
{
	char base[FR_SPOOL_NAME];

	fr_spool_name(base, source);
	for (unsigned i = 0; i < 1000; i++) {
		int other FR_CLOSE = -1;

		if (i)
			snprintf(name, FR_SPOOL_NAME, "%.190s.%u", base, i);
		else
			strcpy(name, base);
		other = fr_spool_open_file(spool->quarantine, name);
		*ret_there = other >= 0 && same_content(fd, other);
		if (other == -ENOENT || *ret_there)
			return 0;
	}
	return -EEXIST;
}

static int copy(const struct fr_spool *spool, int from, const char *name)
{
	char temporary[FR_SPOOL_NAME + 8], buf[65536];
	int fd FR_CLOSE = -1;
	int error = 0;
	off_t at = 0;
	ssize_t n;

	snprintf(temporary, sizeof(temporary), "%s.tmp", name);
	unlinkat(spool->quarantine, temporary, 0);
	fd = openat(spool->quarantine, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660);
	if (fd < 0)
		return -errno;
	while (!error && (n = pread(from, buf, sizeof(buf), at)) != 0) {
		if (n < 0)
			error = -errno;
		else if ((uint64_t)(at += n) > COPY_MAX)
			error = -EFBIG;
		else if (write(fd, buf, (size_t)n) != n)
			error = errno ? -errno : -EIO;
	}
	if (!error && fsync(fd) < 0)
		error = -errno;
	if (!error && renameat(spool->quarantine, temporary, spool->quarantine, name) < 0)
		error = -errno;
	if (error)
		unlinkat(spool->quarantine, temporary, 0);
	return error;
}

int fr_quarantine(const struct fr_spool *spool, int dir, const char *name, const char *source, const char *why, bool keep,
		  char *ret_name)
{
	int fd FR_CLOSE = fr_spool_open_file(dir, name);
	char target[FR_SPOOL_NAME], why_name[FR_SPOOL_NAME + 8], text[1024];
	bool there;
	int n, error;

	if (fd < 0)
		return fd;
	error = choose_name(spool, fd, source, target, &there);
	if (error < 0)
		return error;
	/* the reason first: evidence in the quarantine never lies there unexplained */
	snprintf(why_name, sizeof(why_name), "%s.why", target);
	n = snprintf(text, sizeof(text), "%s: %s\n", source, why);
	error = fr_spool_put(spool->quarantine, why_name, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, true);
	if (error < 0)
		return error;
	FR_TESTPOINT("quarantine-explained");
	if (!there && !keep && renameat(dir, name, spool->quarantine, target) == 0) {
		FR_TESTPOINT("quarantine-moved");
		error = fsync(spool->quarantine) < 0 || (fsync(dir) < 0 && errno != EINVAL) ? -errno : 0;
	} else {
		if (!there)
			error = copy(spool, fd, target);
		if (!error && fsync(spool->quarantine) < 0)
			error = -errno;
		FR_TESTPOINT("quarantine-copied");
		if (!error && !keep)
			error = fr_spool_drop(dir, name, true);
	}
	FR_TESTPOINT("quarantine-done");
	if (!error && ret_name)
		strcpy(ret_name, target);
	return error;
}


/* SPDX-License-Identifier: MIT */
/* write.h - writes all of it, as write(2) alone need not. */
#ifndef RECORDER_CORE_WRITE_H
#define RECORDER_CORE_WRITE_H

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* 0, or the negative errno of the write that failed; some of it may be written then. Blocks. */
static inline int fr_write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

#endif

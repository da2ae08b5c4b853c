/* SPDX-License-Identifier: MIT */
/* attempt.c - see attempt.h. */
#include "pstore/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/testpoint.h"

void fr_attempt_read(const struct fr_spool *spool, const char *source, struct fr_attempt *ret_attempt)
{
	char name[FR_SPOOL_NAME], text[64];
	ssize_t n;

	memset(ret_attempt, 0, sizeof(*ret_attempt));
	fr_spool_name(name, source);
	n = fr_spool_get(spool->attempts, name, text, sizeof(text) - 1);
	if (n == -ENOENT)
		return;
	text[n > 0 ? n : 0] = '\0';
	/* a mark that says nothing readable is still a mark */
	if (sscanf(text, "unfinished %u", &ret_attempt->unfinished) != 1 || !ret_attempt->unfinished)
		ret_attempt->unfinished = 1;
	if (sscanf(text, "crashed %d", &ret_attempt->signal) != 1 || ret_attempt->signal < 0)
		ret_attempt->signal = 0;
}

bool fr_attempt_is_poison(const struct fr_attempt *attempt)
{
	return attempt->signal || attempt->unfinished >= FR_ATTEMPTS_MAX;
}

void fr_attempt_why(const struct fr_attempt *attempt, char *why, size_t size)
{
	if (attempt->signal)
		snprintf(why, size, "the reader crashed in it (signal %d: %s)", attempt->signal, strsignal(attempt->signal));
	else
		snprintf(why, size, "%u attempts to read it did not finish", attempt->unfinished);
}

int fr_attempt_begin(const struct fr_spool *spool, const char *source, const struct fr_attempt *earlier)
{
	char name[FR_SPOOL_NAME], text[64];
	int n, error;

	fr_spool_name(name, source);
	n = snprintf(text, sizeof(text), "unfinished %u by %d\n", earlier->unfinished + 1, (int)getpid());
	/* of the first mark it is enough that there is one, whatever a power cut leaves in it */
	error = fr_spool_put(spool->attempts, name, text, (size_t)n, earlier->unfinished > 0);
	if (!error && !earlier->unfinished && fsync(spool->attempts) < 0)
		error = -errno;
	FR_TESTPOINT("attempt-marked");
	return error;
}

void fr_attempt_end(const struct fr_spool *spool, const char *source)
{
	char name[FR_SPOOL_NAME];

	/*
	 * durable: two marks that come back after two power cuts, each while the copy was being
	 * written, would look like poison
	 */
	fr_spool_name(name, source);
	fr_spool_drop(spool->attempts, name, true);
	FR_TESTPOINT("attempt-cleared");
}

void fr_attempt_sweep(const struct fr_spool *spool, const char *prefix)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->attempts);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)))
			fr_spool_drop(spool->attempts, entry->d_name, false);
}

/*
 * Over the mark, which is longer: a file of another name could be swept away as half-written by whoever gets the lock that the one who
 * crashed held.
 */
static bool accuse(const struct fr_spool *spool, const char *name, int signal)
{
	int fd FR_CLOSE = openat(spool->attempts, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof(text), "crashed %d\n", signal);

	return fd >= 0 && pwrite(fd, text, (size_t)n, 0) == n && fsync(fd) == 0;
}

unsigned fr_attempt_blame(const struct fr_spool *spool, pid_t pid, int signal)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->attempts);
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir))) {
		char text[64];
		unsigned unfinished;
		int by;
		ssize_t n = fr_spool_get(spool->attempts, entry->d_name, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		if (sscanf(text, "unfinished %u by %d", &unfinished, &by) == 2 && by == pid)
			count += accuse(spool, entry->d_name, signal);
	}
	return count;
}

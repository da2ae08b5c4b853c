/* SPDX-License-Identifier: MIT */
/*
 * log.h - lines for people, on standard error.
 *
 * Owns: how a line looks (a priority in front when the journal reads it) and how many there may be: what clients can
 * cause goes through a limit, so that a flood of lies costs a line each, then a count.
 */
#ifndef RECORDER_DAEMON_LOG_H
#define RECORDER_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LOG_PRIO_ERROR = 3,   /* something asked for does not work */
	LOG_PRIO_WARNING = 4, /* it goes on with less */
	LOG_PRIO_NOTICE = 5,
	LOG_PRIO_INFO = 6,
};

void log_open(void);
/* One line: what was tried, on what, why it failed, what to do. Control characters are replaced. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct log_limit {
	const char *about; /* "requests refused" */
	uint64_t window_ns;
	unsigned lines, held;
};
/* True when a line may be written now: LOG_LIMIT_LINES in LOG_LIMIT_MS, then they are only counted. */
bool log_allowed(struct log_limit *limit);

#define LOG_LIMIT_LINES 5
#define LOG_LIMIT_MS	10000

#endif

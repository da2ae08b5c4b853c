/* SPDX-License-Identifier: MIT */
/*
 * when.h - points in time: as people write them, and as they read them.
 *
 * Owns: what --since and --until understand:
 *	2026-11-20 07:14:02.5   2026-11-20T07:14   2026-11-20   07:14   today   yesterday   now     (local time, or UTC with Z)
 *	5 min ago   90s   -2h   1h30m   3 days ago                                                  (back from now)
 *	+12.5                                                                                       (seconds since boot)
 *	@1763622842.5                                                                               (seconds since 1970)
 */
#ifndef RECORDER_CLI_WHEN_H
#define RECORDER_CLI_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_when {
	bool since_boot; /* ns is CLOCK_BOOTTIME, else CLOCK_REALTIME */
	uint64_t ns;
};

/* `now_ns` is the wall clock that relative times count from; `end`: a date or a minute means its end. -EINVAL. */
int fr_when_parse(const char *text, uint64_t now_ns, bool end, struct fr_when *ret_when);
/* A length of time: "30", "30s", "1h30m", "500 ms"; a bare number is seconds. -EINVAL. */
int fr_when_parse_length(const char *text, uint64_t *ret_ns);

/* Writes date and time of day of a wall clock instant; either buffer may be NULL. */
void fr_when_format(uint64_t real_ns, bool utc, char date[16], char time[20]);
/* 2026-11-20T07:14:02.123456789Z */
void fr_when_iso(uint64_t real_ns, char iso[32]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * torture.h - how a torture program knows its count, and says what it has done; torture.sh is the
 * same for scripts.
 *
 * `make check` runs each with a sample, `make torture` (FR_TORTURE=full) with the count that
 * README's table promises. A program fails by exiting with anything but 0; what it reports here is
 * what held.
 */
#ifndef TESTS_LIB_TORTURE_H
#define TESTS_LIB_TORTURE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool torture_full(void)
{
	const char *how = getenv("FR_TORTURE");

	return how && !strcmp(how, "full");
}

static inline unsigned long torture_count(unsigned long sample, unsigned long full)
{
	return torture_full() ? full : sample;
}

/*
 * One row's result, as a JSON line on standard output and in the file FR_REPORT: `row` is what
 * README's table calls it, `count` so many `unit`s ("runs", "images") were tried and all held, the
 * rest is what was seen meanwhile, in words without quotes.
 */
static inline __attribute__((format(printf, 4, 5))) void
torture_row(const char *row, unsigned long long count, const char *unit, const char *format, ...)
{
	const char *path = getenv("FR_REPORT");
	FILE *report = path ? fopen(path, "a") : NULL;
	char seen[512];
	va_list args;

	va_start(args, format);
	vsnprintf(seen, sizeof(seen), format, args);
	va_end(args);
	for (int i = 0; i < (report ? 2 : 1); i++)
		fprintf(i ? report : stdout,
			"{\"row\":\"%s\",\"count\":%llu,\"unit\":\"%s\",\"full\":%s,\"seen\":\"%s\"}\n",
			row, count, unit, torture_full() ? "true" : "false", seen);
	if (report)
		fclose(report);
}

#endif

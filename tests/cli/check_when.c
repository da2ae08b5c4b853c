/* SPDX-License-Identifier: MIT */
/*
 * check_when.c - what --since and --until understand, in UTC and five hours west of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder/cli/when.h"

#define SECOND 1000000000ull
#define NOW    (1795158842ull * SECOND + 500000000) /* 2026-11-20 07:14:02.5 UTC */

static int failed;

static void expect(const char *zone, const char *text, bool end, bool since_boot, uint64_t ns)
{
	struct fr_when when = { 0 };
	int result;

	setenv("TZ", zone, 1);
	tzset();
	result = fr_when_parse(text, NOW, end, &when);
	if (!ns ? result == 0 : result != 0 || when.ns != ns || when.since_boot != since_boot) {
		printf("%s in %s: %d, %llu, want %llu\n", text, zone, result, (unsigned long long)when.ns, (unsigned long long)ns);
		failed = 1;
	}
}

int main(void)
{
	const uint64_t day = 1795132800ull * SECOND, hour = 3600 * SECOND; /* 2026-11-20 00:00 UTC */

	expect("UTC", "now", false, false, NOW);
	expect("UTC", "5 min ago", false, false, NOW - 300 * SECOND);
	expect("UTC", " 1h30m ", false, false, NOW - 5400 * SECOND);
	expect("UTC", "-90", false, false, NOW - 90 * SECOND);
	expect("UTC", "1.5 s", false, false, NOW - 1500000000);
	expect("UTC", "250ms", false, false, NOW - 250000000);
	expect("UTC", "30 ago", false, false, NOW - 30 * SECOND);
	expect("UTC", "+12.5", false, true, 12500000000);
	expect("UTC", "+0", false, true, 1);
	expect("UTC", "@1795158842.25", false, false, 1795158842250000000);
	expect("UTC", "today", false, false, day);
	expect("UTC", "today", true, false, day + 24 * hour - 1);
	expect("UTC", "yesterday 18:00", false, false, day - 6 * hour);
	expect("UTC", "2026-11-20", false, false, day);
	expect("UTC", "2026-11-20 07:14", false, false, day + 7 * hour + 14 * 60 * SECOND);
	expect("UTC", "2026-11-20T07:14:02.5", false, false, NOW);
	expect("UTC", "07:14:02", true, false, NOW + 499999999);
	expect("UTC", "07:14:02.500000000", true, false, NOW);
	expect("EST5", "2026-11-20 07:14:02.5", false, false, NOW + 5 * hour);
	expect("EST5", "2026-11-20 07:14:02.5Z", false, false, NOW);
	expect("EST5", "2026-11-20Z", false, false, day);
	expect("UTC", "", false, false, 0);
	expect("UTC", "30", false, false, 0);
	expect("UTC", "soon", false, false, 0);
	expect("UTC", "25:00", false, false, 0);
	expect("UTC", "2026-13-01", false, false, 0);
	expect("UTC", "2026-11-20 07", false, false, 0);
	expect("UTC", "5 parsecs ago", false, false, 0);
	expect("UTC", "99999999999999999999 s", false, false, 0);
	expect("UTC", "+", false, false, 0);
	expect("UTC", "07:14 tomorrow", false, false, 0);
	if (!failed)
		puts("times are understood");
	return failed;
}

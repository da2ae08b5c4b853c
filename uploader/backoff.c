/* SPDX-License-Identifier: MIT */
/* backoff.c - the waits between tries. Owns: the draw, and the forms of Retry-After. */
#include "uploader/backoff.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

void fr_backoff_init(struct fr_backoff *backoff, uint64_t base_ms, uint64_t cap_ms)
{
	*backoff = (struct fr_backoff){ .base_ms = base_ms ? base_ms : 1, .cap_ms = cap_ms };
	if (getrandom(&backoff->seed, sizeof backoff->seed, GRND_NONBLOCK) != sizeof backoff->seed) {
		struct timespec now; /* early in a boot: any spread is better than none */

		clock_gettime(CLOCK_MONOTONIC, &now);
		backoff->seed = (uint64_t)now.tv_nsec << 20 ^ (uint64_t)now.tv_sec;
	}
}

void fr_backoff_reset(struct fr_backoff *backoff)
{
	backoff->tries = 0;
}

uint64_t fr_backoff_bound_ms(const struct fr_backoff *backoff)
{
	uint64_t bound = backoff->base_ms;

	for (unsigned i = 0; i < backoff->tries && bound < backoff->cap_ms; i++)
		bound *= 2;
	return bound < backoff->cap_ms ? bound : backoff->cap_ms;
}

static uint64_t draw(struct fr_backoff *backoff)
{
	uint64_t z = backoff->seed += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t fr_backoff_next_ms(struct fr_backoff *backoff, uint64_t retry_after_ms)
{
	uint64_t wait = draw(backoff) % (fr_backoff_bound_ms(backoff) + 1);

	if (backoff->tries < 63)
		backoff->tries++;
	if (retry_after_ms > FR_RETRY_AFTER_MAX_MS)
		retry_after_ms = FR_RETRY_AFTER_MAX_MS;
	return retry_after_ms + wait;
}

static int month_of(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (strncasecmp(name, months + 3 * i, 3) == 0)
			return i;
	return -1;
}

/* By hand, because strptime() reads names of the locale. */
static bool date_parse(const char *value, int64_t *ret_seconds)
{
	struct tm tm = { 0 };
	char month[4] = "", zone[4] = "";
	int year, end = 0;

	if (sscanf(value, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3s%n", &tm.tm_mday, month, &year, &tm.tm_hour,
		   &tm.tm_min, &tm.tm_sec, zone, &end) == 7) {
		/* Sun, 06 Nov 1994 08:49:37 GMT */
	} else if (sscanf(value, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d %3s%n", &tm.tm_mday, month, &year,
			  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone, &end) == 7) {
		year += year < 70 ? 2000 : 1900; /* Sunday, 06-Nov-94 08:49:37 GMT */
	} else if (sscanf(value, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday, &tm.tm_hour,
			  &tm.tm_min, &tm.tm_sec, &year, &end) == 6) {
		memcpy(zone, "GMT", 4); /* Sun Nov  6 08:49:37 1994 */
	} else {
		return false;
	}
	tm.tm_mon = month_of(month);
	tm.tm_year = year - 1900;
	if (value[end] || strcmp(zone, "GMT") != 0 || tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0)
		return false;
	*ret_seconds = timegm(&tm);
	return true;
}

bool fr_retry_after_parse(const char *value, int64_t now, uint64_t *ret_ms)
{
	int64_t date;

	while (*value == ' ' || *value == '\t')
		value++;
	if (isdigit((unsigned char)*value)) {
		uint64_t seconds = 0;

		for (; isdigit((unsigned char)*value); value++)
			if (seconds < FR_RETRY_AFTER_MAX_MS)
				seconds = seconds * 10 + (uint64_t)(*value - '0');
		if (*value)
			return false;
		*ret_ms = seconds < FR_RETRY_AFTER_MAX_MS / 1000 ? seconds * 1000 : FR_RETRY_AFTER_MAX_MS;
		return true;
	}
	if (!date_parse(value, &date))
		return false;
	*ret_ms = date <= now ? 0
		: (uint64_t)(date - now) < FR_RETRY_AFTER_MAX_MS / 1000 ? (uint64_t)(date - now) * 1000
									: FR_RETRY_AFTER_MAX_MS;
	return true;
}

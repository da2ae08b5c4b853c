/* SPDX-License-Identifier: MIT */
#include "recorder/cli/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SECOND 1000000000ull

static const char *skip_space(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* Digits with a fraction, as nanoseconds of `unit_ns`. */
static const char *number(const char *p, uint64_t unit_ns, uint64_t *ret_ns)
{
	uint64_t value = 0, step = unit_ns;

	if (!isdigit((unsigned char)*p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return NULL;
	if (__builtin_mul_overflow(value, unit_ns, &value) || value > INT64_MAX)
		return NULL;
	if (*p == '.' && isdigit((unsigned char)p[1]))
		for (p++; isdigit((unsigned char)*p); p++)
			value += (uint64_t)(*p - '0') * (step /= 10);
	*ret_ns = value;
	return p;
}

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "ns", 1 },		   { "us", 1000 },	    { "ms", 1000000 },	       { "s", SECOND },
	{ "sec", SECOND },	   { "second", SECOND },    { "seconds", SECOND },     { "m", 60 * SECOND },
	{ "min", 60 * SECOND },	   { "mins", 60 * SECOND }, { "minute", 60 * SECOND }, { "minutes", 60 * SECOND },
	{ "h", 3600 * SECOND },	   { "hour", 3600 * SECOND }, { "hours", 3600 * SECOND }, { "d", 86400 * SECOND },
	{ "day", 86400 * SECOND }, { "days", 86400 * SECOND }, { "w", 7 * 86400 * SECOND }, { "week", 7 * 86400 * SECOND },
	{ "weeks", 7 * 86400 * SECOND },
};

static const char *unit(const char *p, uint64_t *ret_ns)
{
	size_t size = 0;

	while (isalpha((unsigned char)p[size]))
		size++;
	for (size_t i = 0; size && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == size && strncmp(units[i].name, p, size) == 0) {
			*ret_ns = units[i].ns;
			return p + size;
		}
	}
	return NULL;
}

/* "1h30m", "90s", "5 min": stops before "ago" or at the end. *ret_units counts the units that were named. */
static const char *length(const char *p, uint64_t *ret_ns, unsigned *ret_units)
{
	uint64_t total = 0;

	*ret_units = 0;
	for (p = skip_space(p); isdigit((unsigned char)*p); p = skip_space(p)) {
		uint64_t ns = SECOND, part;
		const char *after = p, *name;

		while (isdigit((unsigned char)*after) || *after == '.')
			after++;
		name = unit(skip_space(after), &ns);
		if (!number(p, ns, &part) || __builtin_add_overflow(total, part, &total) || total > INT64_MAX)
			return NULL;
		*ret_units += name != NULL;
		p = name ? name : after;
	}
	*ret_ns = total;
	return p;
}

int fr_when_parse_length(const char *text, uint64_t *ret_ns)
{
	const char *start = skip_space(text), *p;
	unsigned named;
	uint64_t ns;

	p = length(start, &ns, &named);
	if (!p || p == start || *p)
		return -EINVAL;
	*ret_ns = ns;
	return 0;
}

static int relative(const char *text, uint64_t now_ns, struct fr_when *ret)
{
	const char *p = skip_space(text);
	bool minus = *p == '-';
	unsigned named;
	uint64_t ns;

	p = length(p + minus, &ns, &named);
	if (!p || p == skip_space(text))
		return -EINVAL;
	if (strncmp(p, "ago", 3) == 0)
		p = skip_space(p + 3);
	else if (!named && !minus)
		return -EINVAL; /* "30" alone could be anything; "30s", "-30" and "30 ago" could not */
	if (*p)
		return -EINVAL;
	ret->since_boot = false;
	ret->ns = ns < now_ns ? now_ns - ns : 1;
	return 0;
}

static const char *two_digits(const char *p, int max, int *ret)
{
	if (!isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1]))
		return NULL;
	*ret = (p[0] - '0') * 10 + p[1] - '0';
	return *ret <= max ? p + 2 : NULL;
}

/* HH:MM[:SS[.fraction]]; *ret_grain_ns is how exact it was. */
static const char *clock_time(const char *p, struct tm *tm, uint64_t *ret_ns, uint64_t *ret_grain_ns)
{
	p = two_digits(p, 23, &tm->tm_hour);
	if (!p || *p != ':')
		return NULL;
	p = two_digits(p + 1, 59, &tm->tm_min);
	*ret_grain_ns = 60 * SECOND;
	if (!p || *p != ':')
		return p;
	p = two_digits(p + 1, 60, &tm->tm_sec);
	*ret_grain_ns = SECOND;
	if (p && *p == '.') {
		uint64_t step = SECOND;

		if (!isdigit((unsigned char)p[1]))
			return NULL;
		for (p++; isdigit((unsigned char)*p); p++)
			*ret_ns += (uint64_t)(*p - '0') * (step /= 10);
		*ret_grain_ns = step ? step : 1;
	}
	return p;
}

static const char *date(const char *p, struct tm *tm)
{
	int century, year;

	p = two_digits(p, 99, &century);
	p = p ? two_digits(p, 99, &year) : NULL;
	if (!p || *p != '-')
		return NULL;
	tm->tm_year = century * 100 + year - 1900;
	p = two_digits(p + 1, 12, &tm->tm_mon);
	if (!p || *p != '-' || !tm->tm_mon--)
		return NULL;
	p = two_digits(p + 1, 31, &tm->tm_mday);
	return p && tm->tm_mday ? p : NULL;
}

static int absolute(const char *text, uint64_t now_ns, bool end, struct fr_when *ret)
{
	const char *p = skip_space(text), *after;
	time_t now = (time_t)(now_ns / SECOND), seconds;
	uint64_t ns = 0, grain_ns = 86400 * SECOND;
	bool utc = false;
	struct tm tm;

	for (after = p + strlen(p); after > p && isspace((unsigned char)after[-1]);)
		after--;
	if (after > p && after[-1] == 'Z')
		utc = true;
	if (utc)
		gmtime_r(&now, &tm);
	else
		localtime_r(&now, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;

	after = NULL;
	if (strncmp(p, "today", 5) == 0)
		after = p + 5;
	else if (strncmp(p, "yesterday", 9) == 0) {
		tm.tm_mday--;
		after = p + 9;
	} else
		after = date(p, &tm);
	if (after) {
		p = *after == 'T' ? after + 1 : skip_space(after);
		if (*p && *p != 'Z')
			p = clock_time(p, &tm, &ns, &grain_ns);
	} else {
		p = clock_time(p, &tm, &ns, &grain_ns);
	}
	if (!p || *skip_space(p + utc))
		return -EINVAL;
	seconds = utc ? timegm(&tm) : mktime(&tm);
	if (seconds <= 0)
		return -EINVAL;
	ret->since_boot = false;
	ret->ns = (uint64_t)seconds * SECOND + ns + (end ? grain_ns - 1 : 0);
	return 0;
}

int fr_when_parse(const char *text, uint64_t now_ns, bool end, struct fr_when *ret_when)
{
	const char *p = skip_space(text);
	struct fr_when when = { 0 };

	if (strcmp(p, "now") == 0) {
		when.ns = now_ns;
	} else if (*p == '+' || *p == '@') {
		when.since_boot = *p == '+';
		p = number(p + 1, SECOND, &when.ns);
		if (p && *p == 's')
			p++;
		if (!p || *skip_space(p))
			return -EINVAL;
		when.ns += when.ns == 0; /* 0 means "open" to those who filter */
	} else if (relative(p, now_ns, &when) < 0 && absolute(p, now_ns, end, &when) < 0) {
		return -EINVAL;
	}
	*ret_when = when;
	return 0;
}

/* Breaking down a second is costly next to printing an event: the last one is kept. */
static const struct tm *broken_down(time_t seconds, bool utc)
{
	static time_t kept = -1;
	static bool kept_utc;
	static struct tm tm;

	if (seconds != kept || utc != kept_utc) {
		if (utc)
			gmtime_r(&seconds, &tm);
		else
			localtime_r(&seconds, &tm);
		kept = seconds;
		kept_utc = utc;
	}
	return &tm;
}

static char *digits(char *to, unsigned value, unsigned count)
{
	for (unsigned i = count; i--; value /= 10)
		to[i] = (char)('0' + value % 10);
	return to + count;
}

static char *day(char *to, const struct tm *tm)
{
	to = digits(to, (unsigned)(tm->tm_year + 1900), 4);
	*to++ = '-';
	to = digits(to, (unsigned)(tm->tm_mon + 1), 2);
	*to++ = '-';
	return digits(to, (unsigned)tm->tm_mday, 2);
}

static char *hour(char *to, const struct tm *tm)
{
	to = digits(to, (unsigned)tm->tm_hour, 2);
	*to++ = ':';
	to = digits(to, (unsigned)tm->tm_min, 2);
	*to++ = ':';
	return digits(to, (unsigned)tm->tm_sec, 2);
}

void fr_when_format(uint64_t real_ns, bool utc, char date[16], char time[20])
{
	const struct tm *tm = broken_down((time_t)(real_ns / SECOND), utc);

	if (date)
		*day(date, tm) = '\0';
	if (time) {
		char *to = hour(time, tm);

		*to++ = '.';
		*digits(to, (unsigned)(real_ns % SECOND / 1000), 6) = '\0';
	}
}

void fr_when_iso(uint64_t real_ns, char iso[32])
{
	const struct tm *tm = broken_down((time_t)(real_ns / SECOND), true);
	char *to = day(iso, tm);

	*to++ = 'T';
	to = hour(to, tm);
	*to++ = '.';
	to = digits(to, (unsigned)(real_ns % SECOND), 9);
	*to++ = 'Z';
	*to = '\0';
}

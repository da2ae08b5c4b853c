/* SPDX-License-Identifier: MIT */
/*
 * ini_value.c - values of configuration entries: what they may look like, and what to say when they don't.
 */
#include "recorder/core/ini.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{ "", 1 }, { "B", 1 }, { "K", 1 << 10 }, { "KiB", 1 << 10 }, { "M", 1 << 20 }, { "MiB", 1 << 20 },
	{ "G", 1 << 30 }, { "GiB", 1 << 30 }, { NULL, 0 },
};
static const struct unit durations[] = {
	{ "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};
static const struct unit bare[] = { { "", 1 }, { NULL, 0 } };

static int quantity(const char *value, const struct unit *units, const char *shape, const char *base, uint64_t min,
		    uint64_t max, uint64_t *ret, char *why, size_t why_size)
{
	uint64_t number, result;
	char *end;

	errno = 0;
	number = isdigit((unsigned char)*value) ? strtoull(value, &end, 10) : (errno = EINVAL, 0);
	if (errno == EINVAL) {
		snprintf(why, why_size, "want %s", shape);
		return -EINVAL;
	}
	while (*end == ' ')
		end++;
	while (units->name && strcasecmp(units->name, end) != 0)
		units++;
	if (!units->name) {
		snprintf(why, why_size, "want %s", shape);
		return -EINVAL;
	}
	if (errno == ERANGE || __builtin_mul_overflow(number, units->factor, &result) || result < min || result > max) {
		snprintf(why, why_size, "out of range; want %" PRIu64 " to %" PRIu64 "%s", min, max, base);
		return -ERANGE;
	}
	*ret = result;
	return 0;
}

int fr_ini_number(const char *value, uint64_t min, uint64_t max, uint64_t *ret, char *why, size_t why_size)
{
	return quantity(value, bare, "a whole number", "", min, max, ret, why, why_size);
}

int fr_ini_size(const char *value, uint64_t min, uint64_t max, uint64_t *ret_bytes, char *why, size_t why_size)
{
	return quantity(value, sizes, "a size such as 4096, 64K, 10M or 1G", " bytes", min, max, ret_bytes, why, why_size);
}

int fr_ini_duration(const char *value, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms, char *why, size_t why_size)
{
	return quantity(value, durations, "a time with its unit, such as 500ms, 30s, 5min, 2h or 7d", " ms",
			min_ms, max_ms, ret_ms, why, why_size);
}

int fr_ini_bool(const char *value, bool *ret, char *why, size_t why_size)
{
	static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
			*ret = strcasecmp(value, yes[i]) == 0;
			return 0;
		}
	}
	snprintf(why, why_size, "want yes or no");
	return -EINVAL;
}

int fr_ini_string(const char *value, char *buf, size_t size, char *why, size_t why_size)
{
	size_t length = strlen(value);

	if (length >= size) {
		snprintf(why, why_size, "too long; want at most %zu bytes", size - 1);
		return -ENAMETOOLONG;
	}
	memcpy(buf, value, length + 1);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "recorder/cli/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* Past a value; nesting is counted, not followed. */
static const char *skip(const char *p)
{
	unsigned depth = 0;

	do {
		p = skip_space(p);
		if (*p == '"') {
			p = skip_string(p);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else if (*p == ',' || *p == ':') {
			p++;
		} else {
			p += strcspn(p, ",:]} \t\n\r");
		}
	} while (depth && *p);
	return p;
}

const char *fr_look(const char *object, const char *key)
{
	size_t size = strlen(key);
	const char *p;

	if (!object || *object != '{')
		return NULL;
	for (p = skip_space(object + 1); *p == '"'; p = skip_space(p + 1)) {
		const char *name = p + 1, *after = skip_string(p);

		p = skip_space(after);
		if (*p != ':')
			return NULL;
		p = skip_space(p + 1);
		if ((size_t)(after - 1 - name) == size && memcmp(name, key, size) == 0)
			return p;
		p = skip_space(skip(p));
		if (*p != ',')
			return NULL;
	}
	return NULL;
}

const char *fr_look_first(const char *array)
{
	if (!array || *array != '[')
		return NULL;
	array = skip_space(array + 1);
	return *array == ']' ? NULL : array;
}

const char *fr_look_next(const char *value)
{
	value = skip_space(skip(value));
	return *value == ',' ? skip_space(value + 1) : NULL;
}

uint64_t fr_look_number(const char *value)
{
	return value ? strtoull(value, NULL, 10) : 0;
}

bool fr_look_true(const char *value)
{
	return value && *value == 't';
}

const char *fr_look_string(const char *value, char *buf, size_t size)
{
	size_t used = 0;

	if (value && *value == '"') {
		for (value++; *value && *value != '"' && used + 1 < size; value++) {
			unsigned code;

			if (*value != '\\') {
				buf[used++] = *value;
			} else if (*++value == 'u') { /* control characters and such: nothing that is to be seen */
				code = sscanf(value + 1, "%4x", &code) == 1 ? code : '?';
				buf[used++] = code >= 0x20 && code < 0x7f ? (char)code : '?';
				value += strnlen(value + 1, 4);
			} else {
				buf[used++] = strchr("bfnrt", *value) ? ' ' : *value;
			}
		}
	}
	buf[used] = '\0';
	return buf;
}

/* SPDX-License-Identifier: MIT */
#include "recorder/cli/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/core/json.h"

void *fr_cli_realloc(void *old, size_t size)
{
	void *fresh = realloc(old, size ? size : 1);

	if (!fresh) {
		fr_error("out of memory (%zu bytes)", size);
		exit(FR_EXIT_FAILED);
	}
	return fresh;
}

void *fr_cli_alloc(size_t size)
{
	void *fresh = fr_cli_realloc(NULL, size);

	memset(fresh, 0, size);
	return fresh;
}

void fr_out_done(struct fr_out *out)
{
	free(out->data);
	*out = (struct fr_out){ 0 };
}

char *fr_out_reserve(struct fr_out *out, size_t more)
{
	if (out->room - out->size <= more || !out->data) {
		size_t room = out->room ? out->room * 2 : 256;

		while (room - out->size <= more)
			room *= 2;
		out->data = fr_cli_realloc(out->data, room);
		out->room = room;
	}
	return out->data + out->size;
}

void fr_out_add(struct fr_out *out, const char *bytes, size_t size)
{
	char *to = fr_out_reserve(out, size);

	if (size)
		memcpy(to, bytes, size);
	to[size] = '\0';
	out->size += size;
}

void fr_out_put(struct fr_out *out, const char *string)
{
	fr_out_add(out, string, strlen(string));
}

void fr_out_char(struct fr_out *out, char c)
{
	fr_out_add(out, &c, 1);
}

void fr_out_printf(struct fr_out *out, const char *format, ...)
{
	va_list args, again;
	int size;

	va_start(args, format);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size > 0) {
		vsnprintf(fr_out_reserve(out, (size_t)size), (size_t)size + 1, format, again);
		out->size += (size_t)size;
	}
	va_end(again);
}

void fr_out_pad(struct fr_out *out, size_t count)
{
	char *to = fr_out_reserve(out, count);

	memset(to, ' ', count);
	to[count] = '\0';
	out->size += count;
}

/* C1 controls are two bytes in UTF-8, and terminals obey them as they obey ESC. */
static bool is_c1(const unsigned char *p, unsigned length)
{
	return length == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

void fr_out_escaped(struct fr_out *out, const char *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)bytes;
	char *start = fr_out_reserve(out, size * 4), *to = start;

	while (size) {
		unsigned length = fr_utf8_length((const char *)p, size);

		if (length > 1 && !is_c1(p, length)) {
			memcpy(to, p, length);
			to += length;
		} else if (length == 1 && *p >= 0x20 && *p != 0x7f) {
			*to++ = (char)*p;
		} else {
			length = 1;
			*to++ = '\\';
			*to++ = 'x';
			*to++ = digits[*p >> 4];
			*to++ = digits[*p & 15];
		}
		p += length;
		size -= length;
	}
	*to = '\0';
	out->size += (size_t)(to - start);
}

void fr_out_json_sized(struct fr_out *out, const char *bytes, size_t size)
{
	size_t need;

	fr_out_char(out, '"');
	fr_out_reserve(out, size * 6 + 1);
	need = fr_json_escape(out->data + out->size, size * 6 + 1, bytes, size);
	out->size += need;
	fr_out_char(out, '"');
}

void fr_out_json(struct fr_out *out, const char *string)
{
	if (string)
		fr_out_json_sized(out, string, strlen(string));
	else
		fr_out_put(out, "null");
}

size_t fr_out_columns(const char *bytes, size_t size)
{
	size_t columns = 0;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\033') {
			while (i < size && bytes[i] != 'm')
				i++;
			continue;
		}
		columns += ((unsigned char)bytes[i] & 0xc0) != 0x80;
	}
	return columns;
}

const char *fr_count_text(char buf[32], uint64_t count)
{
	char digits[24];
	int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	char *to = buf;

	for (int i = 0; i < size; i++) {
		if (i && (size - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buf;
}

const char *fr_size_text(char buf[32], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned unit = 0;
	double value = (double)bytes;

	for (; value >= 1024 && unit < 6; unit++)
		value /= 1024;
	if (value < 10 && unit && value != (double)(unsigned)value)
		snprintf(buf, 32, "%.1f %s", value, units[unit]);
	else
		snprintf(buf, 32, "%.0f %s", value, units[unit]);
	return buf;
}

const char *fr_duration_text(char buf[32], uint64_t ns)
{
	unsigned long long s = ns / 1000000000;

	if (ns < 1000)
		snprintf(buf, 32, "%llu ns", (unsigned long long)ns);
	else if (ns < 1000000)
		snprintf(buf, 32, "%llu us", (unsigned long long)ns / 1000);
	else if (s < 1)
		snprintf(buf, 32, "%llu ms", (unsigned long long)ns / 1000000);
	else if (s < 120)
		snprintf(buf, 32, s < 10 ? "%.1f s" : "%.0f s", (double)ns / 1e9);
	else if (s < 7200)
		snprintf(buf, 32, "%llu min %llu s", s / 60, s % 60);
	else if (s < 2 * 86400)
		snprintf(buf, 32, "%llu h %llu min", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, 32, "%llu d %llu h", s / 86400, s % 86400 / 3600);
	return buf;
}

const char *fr_duration_short(char buf[32], uint64_t ns)
{
	unsigned long long s = ns / 1000000000;

	if (s < 120)
		return fr_duration_text(buf, ns);
	if (s < 7200)
		snprintf(buf, 32, "%llu min", s / 60);
	else if (s < 2 * 86400)
		snprintf(buf, 32, "%llu h", s / 3600);
	else
		snprintf(buf, 32, "%llu d", s / 86400);
	return buf;
}

/* SPDX-License-Identifier: MIT */
/*
 * decode_text.c - an event's fields as text and as JSON: see decode.h. What a record says may come from a program that
 * went mad, so nothing of it reaches a terminal or a parser unescaped.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "recorder/core/decode.h"
#include "recorder/core/encode.h"
#include "recorder/core/json.h"

/* Text that grows in a buffer of fixed size and knows how long it would be. */
struct out {
	char *buf;
	size_t size, length;
};

static void put_bytes(struct out *out, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++, out->length++)
		if (out->length + 1 < out->size)
			out->buf[out->length] = bytes[i];
}

static void put(struct out *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct out *out, const char *format, ...)
{
	char buf[64];
	va_list args;

	va_start(args, format);
	vsnprintf(buf, sizeof(buf), format, args);
	va_end(args);
	put(out, buf);
}

static size_t finish(struct out *out)
{
	if (out->size)
		out->buf[out->length < out->size ? out->length : out->size - 1] = '\0';
	return out->length;
}

static void put_hex(struct out *out, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_format(out, "%02x", (unsigned char)bytes[i]);
}

/* A string as people read it: quoted if it has blanks or is empty, control and non-UTF-8 bytes as \xNN. */
static void put_text(struct out *out, const char *text, size_t size)
{
	bool quote = size == 0 || memchr(text, ' ', size) || memchr(text, '"', size) || memchr(text, '=', size);

	if (quote)
		put(out, "\"");
	for (size_t i = 0; i < size;) {
		unsigned length = fr_utf8_length(text + i, size - i);
		unsigned char c = (unsigned char)text[i];

		if (length == 1 && (c == '"' || c == '\\') && quote) {
			char escaped[2] = { '\\', (char)c };

			put_bytes(out, escaped, 2);
		} else if (length == 1 && c == '\n') {
			put(out, "\\n");
		} else if (length == 0 || c < 0x20 || c == 0x7f || (length == 2 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0)) {
			for (unsigned k = 0; k < (length ? length : 1); k++)
				put_format(out, "\\x%02x", (unsigned char)text[i + k]);
		} else {
			put_bytes(out, text + i, length);
		}
		i += length ? length : 1;
	}
	if (quote)
		put(out, "\"");
}

static void put_bytes_size(struct out *out, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	for (; value >= 1024 && unit < 6; unit++)
		value /= 1024;
	if (unit)
		put_format(out, "%.1f%s", value, units[unit]);
	else
		put_format(out, "%" PRIu64 "B", bytes);
}

static void put_duration(struct out *out, uint64_t ns)
{
	if (ns < 1000)
		put_format(out, "%" PRIu64 "ns", ns);
	else if (ns < 1000000)
		put_format(out, "%.1fus", (double)ns / 1e3);
	else if (ns < 1000000000)
		put_format(out, "%.1fms", (double)ns / 1e6);
	else
		put_format(out, "%.3fs", (double)ns / 1e9);
}

static const char *errno_name(int number)
{
#ifdef __GLIBC__
	return strerrorname_np(number);
#else
	(void)number;
	return NULL; /* the number then */
#endif
}

/* Addresses, le64 each. */
static void put_addresses(struct out *out, const char *bytes, size_t count)
{
	for (size_t at = 0; at + 8 <= count; at += 8) {
		uint64_t address;

		memcpy(&address, bytes + at, 8);
		put_format(out, "%s0x%" PRIx64, at ? "," : "", address);
	}
}

/* A descriptor's words are no more to be trusted than a record's. */
static void put_unit(struct out *out, const char *unit)
{
	if (*unit)
		put_text(out, unit, strlen(unit));
}

static void put_number(struct out *out, const struct fr_value *field)
{
	bool is_signed = field->type >= FRM_I8 && field->type <= FRM_I64;
	int64_t value = is_signed ? field->i : (int64_t)field->u;
	const char *name = NULL;

	if (field->type == FRM_F64) {
		put_format(out, "%g", field->f);
		put_unit(out, field->unit);
		return;
	}
	if (!strcmp(field->unit, "hex")) {
		put_format(out, "0x%" PRIx64, field->u);
		return;
	}
	if (!strcmp(field->unit, "B") && value >= 0) {
		put_bytes_size(out, field->u);
		return;
	}
	if (!strcmp(field->unit, "ns") && value >= 0) {
		put_duration(out, field->u);
		return;
	}
	if (!strcmp(field->unit, "signal") && value > 0 && value < 65)
		name = fr_signal_name((int)value);
	else if (!strcmp(field->unit, "errno") && value > -4096 && value < 4096 && value)
		name = errno_name((int)(value < 0 ? -value : value));
	if (name)
		put(out, name);
	else if (is_signed)
		put_format(out, "%" PRId64, field->i);
	else
		put_format(out, "%" PRIu64, field->u);
	if (!name && strcmp(field->unit, "signal") && strcmp(field->unit, "errno"))
		put_unit(out, field->unit);
}

const char *fr_signal_name(int number)
{
	static const char *const names[] = {
		[1] = "SIGHUP",	  [2] = "SIGINT",   [3] = "SIGQUIT",   [4] = "SIGILL",	 [5] = "SIGTRAP",  [6] = "SIGABRT",
		[7] = "SIGBUS",	  [8] = "SIGFPE",   [9] = "SIGKILL",   [10] = "SIGUSR1", [11] = "SIGSEGV", [12] = "SIGUSR2",
		[13] = "SIGPIPE", [14] = "SIGALRM", [15] = "SIGTERM",  [16] = "SIGSTKFLT", [17] = "SIGCHLD", [18] = "SIGCONT",
		[19] = "SIGSTOP", [20] = "SIGTSTP", [21] = "SIGTTIN",  [22] = "SIGTTOU", [23] = "SIGURG",  [24] = "SIGXCPU",
		[25] = "SIGXFSZ", [26] = "SIGVTALRM", [27] = "SIGPROF", [28] = "SIGWINCH", [29] = "SIGIO", [30] = "SIGPWR",
		[31] = "SIGSYS",
	};

	return number > 0 && number < (int)(sizeof(names) / sizeof(*names)) ? names[number] : NULL;
}

size_t fr_event_text(const struct fr_event *event, char *buf, size_t size)
{
	struct out out = { .buf = buf, .size = size };

	for (unsigned i = 0; i < event->field_count; i++) {
		const struct fr_value *field = &event->field[i];

		if (i)
			put(&out, " ");
		put_text(&out, field->name, strlen(field->name));
		put(&out, "=");
		if (field->type == FRM_BYTES && !strcmp(field->unit, "addresses"))
			put_addresses(&out, field->s.data, field->s.size);
		else if (field->type == FRM_BYTES)
			put_hex(&out, field->s.data, field->s.size);
		else if (fr_type_is_variable(field->type))
			put_text(&out, field->s.data, field->s.size);
		else
			put_number(&out, field);
		if (field->truncated)
			put(&out, "(cut)");
	}
	return finish(&out);
}

static void put_json_string(struct out *out, const char *text, size_t size)
{
	put(out, "\"");
	while (size) {
		char escaped[6 * 64 + 1];
		size_t part = size < 64 ? size : 64, length;

		/* not in the middle of a character */
		while (part < size && part > 60 && ((unsigned char)text[part] & 0xc0) == 0x80)
			part--;
		length = fr_json_escape(escaped, sizeof(escaped), text, part);
		put_bytes(out, escaped, length);
		text += part;
		size -= part;
	}
	put(out, "\"");
}

/*
 * Valid JSON as it stands, but for what could steer a terminal: white space becomes blanks, the
 * rest stands in strings and is escaped.
 */
static void put_json_value(struct out *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n' || c == '\r' || c == '\t')
			put(out, " ");
		else if (c == 0x7f)
			put(out, "\\u007f");
		else if (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0) /* C1, in two bytes */
			put_format(out, "\\u%04x", (unsigned char)text[++i]);
		else
			put_bytes(out, text + i, 1);
	}
}

size_t fr_event_json_fields(const struct fr_event *event, char *buf, size_t size)
{
	struct out out = { .buf = buf, .size = size };

	put(&out, "{");
	for (unsigned i = 0; i < event->field_count; i++) {
		const struct fr_value *field = &event->field[i];

		if (i)
			put(&out, ",");
		put_json_string(&out, field->name, strlen(field->name));
		put(&out, ":");
		if (field->type == FRM_BYTES) {
			put(&out, "\"");
			put_hex(&out, field->s.data, field->s.size);
			put(&out, "\"");
		} else if (field->type == FRM_JSON && !field->truncated && fr_json_valid(field->s.data, field->s.size)) {
			put_json_value(&out, field->s.data, field->s.size);
		} else if (fr_type_is_variable(field->type)) {
			put_json_string(&out, field->s.data, field->s.size);
		} else if (field->type == FRM_F64) {
			put_format(&out, isfinite(field->f) ? "%.17g" : "null", field->f);
		} else if (field->type >= FRM_I8 && field->type <= FRM_I64) {
			put_format(&out, "%" PRId64, field->i);
		} else {
			put_format(&out, "%" PRIu64, field->u);
		}
	}
	put(&out, "}");
	return finish(&out);
}

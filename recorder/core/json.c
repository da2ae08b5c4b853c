/* SPDX-License-Identifier: MIT */
/*
 * json.c - the JSON checker and the writer of JSON strings.
 *
 * Owns: what counts as JSON in a record, and how text of unknown origin is put between quotes. The checker is a
 * loop with one bit a level (array or object) instead of recursion, so that its stack is known beforehand: it runs
 * in threads with small stacks and on signal stacks.
 */
#include "recorder/core/json.h"

#include <stdint.h>
#include <string.h>

struct cursor {
	const unsigned char *at, *end;
};

unsigned fr_utf8_length(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte: no overlong form, no surrogate */
	unsigned count;

	if (!size)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		count = 2;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		count = 3;
		if (p[0] == 0xe0)
			low = 0xa0;
		else if (p[0] == 0xed)
			high = 0x9f;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		count = 4;
		if (p[0] == 0xf0)
			low = 0x90;
		else if (p[0] == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}
	if (size < count || p[1] < low || p[1] > high)
		return 0;
	for (unsigned i = 2; i < count; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return count;
}

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

static bool take(struct cursor *c, char wanted)
{
	if (c->at == c->end || *c->at != (unsigned char)wanted)
		return false;
	c->at++;
	return true;
}

static bool take_word(struct cursor *c, const char *word, size_t size)
{
	if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
		return false;
	c->at += size;
	return true;
}

static bool take_digits(struct cursor *c)
{
	const unsigned char *start = c->at;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		c->at++;
	return c->at > start;
}

static bool take_number(struct cursor *c)
{
	take(c, '-');
	if (!take(c, '0') && !take_digits(c))
		return false;
	if (take(c, '.') && !take_digits(c))
		return false;
	if (take(c, 'e') || take(c, 'E')) {
		if (!take(c, '+'))
			take(c, '-');
		if (!take_digits(c))
			return false;
	}
	return true;
}

static bool take_hex4(struct cursor *c, unsigned *ret_value)
{
	unsigned value = 0;

	if (c->end - c->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		unsigned char b = *c->at++;

		value <<= 4;
		if (b >= '0' && b <= '9')
			value |= b - '0';
		else if (b >= 'a' && b <= 'f')
			value |= b - 'a' + 10;
		else if (b >= 'A' && b <= 'F')
			value |= b - 'A' + 10;
		else
			return false;
	}
	*ret_value = value;
	return true;
}

/* After the backslash. */
static bool take_escape(struct cursor *c)
{
	unsigned value;

	if (c->at == c->end)
		return false;
	switch (*c->at++) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		return true;
	case 'u':
		if (!take_hex4(c, &value) || (value >= 0xdc00 && value <= 0xdfff))
			return false;
		if (value < 0xd800 || value > 0xdbff)
			return true;
		return take(c, '\\') && take(c, 'u') && take_hex4(c, &value) && value >= 0xdc00 && value <= 0xdfff;
	default:
		return false;
	}
}

static bool take_string(struct cursor *c)
{
	if (!take(c, '"'))
		return false;
	while (c->at < c->end) {
		unsigned length;

		if (take(c, '"'))
			return true;
		if (take(c, '\\')) {
			if (!take_escape(c))
				return false;
			continue;
		}
		if (*c->at < 0x20)
			return false;
		length = fr_utf8_length((const char *)c->at, c->end - c->at);
		if (!length)
			return false;
		c->at += length;
	}
	return false;
}

static bool take_scalar(struct cursor *c)
{
	if (c->at == c->end)
		return false;
	switch (*c->at) {
	case '"':
		return take_string(c);
	case 't':
		return take_word(c, "true", 4);
	case 'f':
		return take_word(c, "false", 5);
	case 'n':
		return take_word(c, "null", 4);
	default:
		return take_number(c);
	}
}

static bool take_key(struct cursor *c)
{
	skip_space(c);
	if (!take_string(c))
		return false;
	skip_space(c);
	return take(c, ':');
}

bool fr_json_valid(const char *text, size_t size)
{
	return fr_json_valid_within(text, size, FR_JSON_DEPTH_MAX);
}

bool fr_json_valid_within(const char *text, size_t size, unsigned depth_max)
{
	struct cursor c = { (const unsigned char *)text, (const unsigned char *)text + size };
	uint64_t object[FR_JSON_DEPTH_OVER / 64] = { 0 }; /* bit d: level d is an object, else an array */
	unsigned depth = 0;

	for (;;) {
		bool opened = false;

		/* a value is due */
		skip_space(&c);
		if (c.at < c.end && (*c.at == '{' || *c.at == '[')) {
			bool is_object = *c.at++ == '{';

			if (depth == depth_max || depth == FR_JSON_DEPTH_OVER)
				return false;
			object[depth / 64] &= ~(1ull << (depth % 64));
			object[depth / 64] |= (uint64_t)is_object << (depth % 64);
			depth++;
			skip_space(&c);
			opened = !take(&c, is_object ? '}' : ']');
			if (opened) {
				if (is_object && !take_key(&c))
					return false;
				continue;
			}
			depth--;
		} else if (!take_scalar(&c)) {
			return false;
		}
		/* a value has ended: what closes with it, and is there a next one? */
		for (;;) {
			bool is_object;

			skip_space(&c);
			if (!depth)
				return c.at == c.end;
			is_object = object[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
			if (take(&c, ',')) {
				if (is_object && !take_key(&c))
					return false;
				break;
			}
			if (!take(&c, is_object ? '}' : ']'))
				return false;
			depth--;
		}
	}
}

/* Writes one character's escape to `out` (6 bytes or fewer) and says how many bytes of text it stands for. */
static unsigned escape_one(const unsigned char *p, size_t size, char out[6], unsigned *ret_consumed)
{
	static const char hex[] = "0123456789abcdef";
	unsigned length = fr_utf8_length((const char *)p, size);
	unsigned code;

	*ret_consumed = length ? length : 1;
	if (!length) {
		memcpy(out, "\\ufffd", 6);
		return 6;
	}
	if (length == 1 && (p[0] == '"' || p[0] == '\\')) {
		out[0] = '\\';
		out[1] = (char)p[0];
		return 2;
	}
	if (length == 1 && (p[0] == '\n' || p[0] == '\t' || p[0] == '\r')) {
		out[0] = '\\';
		out[1] = p[0] == '\n' ? 'n' : p[0] == '\t' ? 't' : 'r';
		return 2;
	}
	if (length == 1 && p[0] >= 0x20 && p[0] != 0x7f) {
		out[0] = (char)p[0];
		return 1;
	}
	if (length == 1 || (length == 2 && p[0] == 0xc2 && p[1] < 0xa0)) {
		code = length == 1 ? p[0] : p[1];
		memcpy(out, "\\u00", 4);
		out[4] = hex[code >> 4];
		out[5] = hex[code & 15];
		return 6;
	}
	memcpy(out, p, length);
	return length;
}

size_t fr_json_escape(char *buf, size_t size, const char *text, size_t text_size)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t need = 0, used = 0;
	bool full = false;

	while (text_size) {
		char out[6];
		unsigned consumed, length = escape_one(p, text_size, out, &consumed);

		full = full || used + length >= size;
		if (!full) {
			memcpy(buf + used, out, length);
			used += length;
		}
		need += length;
		p += consumed;
		text_size -= consumed;
	}
	if (size)
		buf[used] = '\0';
	return need;
}

/* SPDX-License-Identifier: MIT */
/* dmesg.c - see dmesg.h. */
#include "pstore/dmesg.h"

#include <string.h>

#include "pstore/sha256.h"
#include "schemas/fr_format.h"

/* Reads digits; false when there are none, or more than fit into what a number here can be. */
static bool number(const char **p, const char *end, uint64_t most, uint64_t *ret_value)
{
	const char *start = *p;
	uint64_t value = 0;

	while (*p < end && **p >= '0' && **p <= '9') {
		value = value * 10 + (uint64_t)(**p - '0');
		if (value > most)
			return false;
		++*p;
	}
	*ret_value = value;
	return *p > start;
}

static bool literal(const char **p, const char *end, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(end - *p) < length || memcmp(*p, text, length))
		return false;
	*p += length;
	return true;
}

/* "Panic#2 Part1" alone on a line. */
static bool part_line(const char *line, const char *end, struct fr_dmesg_part *part)
{
	const char *p = line;
	uint64_t dump, which;
	size_t length;

	while (p < end && ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')))
		p++;
	length = (size_t)(p - line);
	if (length < 3 || length >= sizeof(part->why) || !literal(&p, end, "#") || !number(&p, end, UINT32_MAX, &dump) ||
	    !literal(&p, end, " Part") || !number(&p, end, UINT32_MAX, &which) || p != end)
		return false;
	memcpy(part->why, line, length);
	part->why[length] = '\0';
	part->dump = (uint32_t)dump;
	part->number = (uint32_t)which;
	return true;
}

static const char *line_end(const char *p, const char *end)
{
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	return newline ? newline : end;
}

bool fr_dmesg_next_part(const char *text, size_t size, size_t *at, struct fr_dmesg_part *ret_part)
{
	const char *end = text + size, *p, *stop;
	struct fr_dmesg_part part = { 0 }, next = { 0 };
	struct fr_sha256 sha;

	while (*at < size && (text[*at] == '\n' || text[*at] == '\0'))
		++*at;
	if (*at >= size)
		return false;
	part.head = p = text + *at;
	stop = line_end(p, end);
	part.text = part_line(p, stop, &part) ? stop + (stop < end) : p;
	/* a part ends where the next one's first line stands */
	for (p = stop + (stop < end); p < end; p = stop + (stop < end)) {
		stop = line_end(p, end);
		if (part_line(p, stop, &next))
			break;
	}
	*at = (size_t)(p - text);
	part.raw_size = (size_t)(p - part.head);
	while (p > part.text && (p[-1] == '\n' || p[-1] == '\0'))
		p--;
	part.head_size = (size_t)(p - part.head);
	part.text_size = (size_t)(p - part.text);
	fr_sha256_init(&sha);
	fr_sha256_add(&sha, part.head, part.head_size);
	fr_sha256_done(&sha, part.id);
	*ret_part = part;
	return true;
}

/* "<6>[   61.337421]" and "[    T1]" or "[  C0]"; moves *p behind them and one blank. False leaves *p alone. */
static bool stamp(const char **p, const char *end, struct fr_dmesg_line *line)
{
	const char *q = *p, *r;
	uint64_t level, seconds, fraction;
	size_t digits;

	if (!literal(&q, end, "<") || !number(&q, end, 2047, &level) || !literal(&q, end, ">") || !literal(&q, end, "["))
		return false;
	while (q < end && *q == ' ')
		q++;
	/* 300 years: with more the nanoseconds would not fit */
	if (!number(&q, end, 9000000000ull, &seconds) || !literal(&q, end, "."))
		return false;
	r = q;
	if (!number(&q, end, 999999999, &fraction) || !literal(&q, end, "]"))
		return false;
	for (digits = (size_t)(q - 1 - r); digits < 9; digits++)
		fraction *= 10;
	line->severity = (uint8_t)(level & 7);
	line->facility = (uint8_t)(level >> 3);
	line->time_ns = seconds * 1000000000u + fraction;
	line->stamped = true;
	r = q;
	if (literal(&r, end, "[")) {
		uint64_t caller;
		char kind;

		while (r < end && *r == ' ')
			r++;
		kind = r < end ? *r++ : '\0';
		if ((kind == 'T' || kind == 'C') && number(&r, end, UINT32_MAX, &caller) && literal(&r, end, "]")) {
			if (kind == 'T')
				line->tid = (uint32_t)caller;
			else if (caller < FRM_CPU_NONE)
				line->cpu = (uint16_t)caller;
			q = r;
		}
	}
	literal(&q, end, " ");
	*p = q;
	return true;
}

/* The time that the next stamped line shows, 0 when there is none near. */
static uint64_t time_after(const char *p, const char *end)
{
	for (int i = 0; i < 8 && p < end; i++) {
		const char *stop = line_end(p, end), *q = p;
		struct fr_dmesg_line line = { 0 };

		if (stamp(&q, stop, &line))
			return line.time_ns;
		p = stop + (stop < end);
	}
	return 0;
}

#define NEAR_NS 1000000000u /* lines of several CPUs may be out of order, but not by that much */

/* A flipped bit in a digit sends a line years away: its neighbours know better. */
static bool time_is_damaged(const struct fr_dmesg_state *state, uint64_t time_ns, const char *rest, const char *end)
{
	uint64_t after;

	if (state->any && time_ns + NEAR_NS < state->time_ns) {
		/* back in time: damaged, unless those that follow agree with it */
		after = time_after(rest, end);
		return after == 0 || after + NEAR_NS >= state->time_ns;
	}
	after = time_after(rest, end);
	return after && after + NEAR_NS < time_ns && (!state->any || after + NEAR_NS >= state->time_ns);
}

bool fr_dmesg_next_line(struct fr_dmesg_state *state, const char *text, size_t size, size_t *at, struct fr_dmesg_line *ret_line)
{
	const char *end = text + size, *p, *stop, *rest;
	struct fr_dmesg_line line = { .cpu = FRM_CPU_NONE };

	while (*at < size && (text[*at] == '\n' || text[*at] == '\0'))
		++*at;
	if (*at >= size)
		return false;
	p = text + *at;
	stop = line_end(p, end);
	if ((size_t)(stop - p) > FR_DMESG_LINE_MAX)
		stop = p + FR_DMESG_LINE_MAX;
	rest = stop < end && *stop == '\n' ? stop + 1 : stop;
	*at = (size_t)(rest - text);
	if (stamp(&p, stop, &line) && !time_is_damaged(state, line.time_ns, rest, end)) {
		state->time_ns = line.time_ns;
		state->severity = line.severity;
		state->any = true;
	} else if (line.stamped) { /* all but its time */
		line.time_ns = state->time_ns;
	} else {
		line.time_ns = state->time_ns;
		line.severity = state->any ? state->severity : 6; /* facility stays 0: the kernel stamps each line of others' */
	}
	while (stop > p && stop[-1] == '\0')
		stop--;
	line.text = p;
	line.size = (size_t)(stop - p);
	*ret_line = line;
	return true;
}

/* Where `words` stand in the text with at most one bit in eight wrong; NULL: nowhere. */
static const char *find(const char *text, size_t size, const char *words)
{
	size_t length = strlen(words);
	const char *best = NULL;
	unsigned fewest = (unsigned)length + 1; /* 8 bits a character, an eighth of them */

	for (size_t i = 0; size >= length && i <= size - length; i++) {
		unsigned wrong = 0;

		for (size_t k = 0; k < length && wrong < fewest; k++)
			wrong += (unsigned)__builtin_popcount((unsigned char)(text[i + k] ^ words[k]));
		if (wrong < fewest) {
			fewest = wrong;
			best = text + i;
		}
	}
	return best;
}

/* Without tolerance, for words too short to be told from others with wrong bits; not as the end of a longer word. */
static bool says(const struct fr_dmesg_line *line, const char *words)
{
	const char *p = line->text, *end = p + line->size;

	while (p < end && (p = memmem(p, (size_t)(end - p), words, strlen(words)))) {
		if (p == line->text || p[-1] == ' ')
			return true;
		p++;
	}
	return false;
}

int fr_dmesg_verdict(const struct fr_dmesg_line *line, const char **ret_text, size_t *ret_size)
{
	static const char panic[] = "Kernel panic - not syncing";
	const char *found, *end = line->text + line->size;

	*ret_text = line->text;
	*ret_size = line->size;
	if (line->facility) /* anybody may write into the kernel's log, but not under its name */
		return 0;
	found = find(line->text, line->size, panic);
	if (found) {
		found += sizeof(panic) - 1;
		if (found < end)
			found++; /* ':', or what became of it */
		while (found < end && *found == ' ')
			found++;
		*ret_text = found;
		*ret_size = (size_t)(end - found);
		return 3;
	}
	if (says(line, "Oops:") || says(line, "Internal error:"))
		return 2;
	return says(line, "BUG:") || says(line, "BUG at") ? 1 : 0;
}

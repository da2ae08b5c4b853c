/* SPDX-License-Identifier: MIT */
/*
 * batch_split.c - cuts a batch in two between two event lines.
 *
 * Owns: reading back the part of a body that a cut changes: the ranges, and the time that has passed where a range is
 * cut. Lines and tables are carried over as they are. What it reads was written by batch.c and lay on a disk since, so it
 * is checked like anything else: a body that does not look as batch.c writes it is -EBADMSG.
 */
#include "uploader/batch_body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_ranges(struct fr_body_range **ranges)
{
	free(*ranges);
}

static bool take(const char **at, const char *word)
{
	size_t size = strlen(word);

	if (strncmp(*at, word, size) != 0)
		return false;
	*at += size;
	return true;
}

static bool take_u64(const char **at, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*ret = strtoull(*at, &end, 10);
	*at = end;
	return true;
}

static bool take_i64(const char **at, int64_t *ret)
{
	bool negative = take(at, "-");
	uint64_t value;

	if (!take_u64(at, &value))
		return false;
	*ret = negative ? (int64_t)-value : (int64_t)value;
	return true;
}

static bool take_range(const char **at, struct fr_body_range *range)
{
	uint64_t g;

	if (!take(at, "{\"g\":") || !take_u64(at, &g) || !take(at, ",\"first\":") || !take_u64(at, &range->first) ||
	    !take(at, ",\"last\":") || !take_u64(at, &range->last) || !take(at, ",\"t\":") ||
	    !take_i64(at, &range->base_ns) || !take(at, "}"))
		return false;
	range->g = (uint32_t)g;
	return true;
}

/* What a batch says of its ranges twice - beside its body and in it - must agree. */
static int read_ranges(const char *header, const struct fr_batch *batch, struct fr_body_range *range)
{
	const char *at = strstr(header, ",\"ranges\":[");

	if (!at)
		return -EBADMSG;
	at += strlen(",\"ranges\":[");
	for (size_t i = 0; i < batch->range_count; i++)
		if ((i && !take(&at, ",")) || !take_range(&at, &range[i]) || range[i].first != batch->range[i].first ||
		    range[i].last != batch->range[i].last)
			return -EBADMSG;
	return *at == ']' ? 0 : -EBADMSG;
}

/*
 * Finds the line with which the second half begins, and the time its range has reached there. `cut_range` is the range
 * it lies in, `before` how many events of that range stay in the first half.
 */
static int find_cut(const char *lines, const struct fr_batch *batch, uint64_t first_half, const struct fr_body_range *range,
		    const char **ret_line, size_t *ret_range, uint64_t *ret_before, int64_t *ret_time)
{
	int64_t delta, time = range[0].base_ns;
	uint64_t before = 0;
	size_t r = 0;

	for (uint64_t i = 0; i < first_half; i++) {
		const char *end = strchr(lines, '\n');

		if (!end || !take(&lines, "{\"t\":") || !take_i64(&lines, &delta))
			return -EBADMSG;
		time = (int64_t)((uint64_t)time + (uint64_t)delta);
		lines = end + 1;
		if (++before == batch->range[r].count) {
			before = 0;
			if (++r == batch->range_count)
				return -EBADMSG;
			time = range[r].base_ns;
		}
	}
	*ret_line = lines;
	*ret_range = r;
	*ret_before = before;
	*ret_time = time;
	return 0;
}

static int make_half(const struct fr_batch *batch, unsigned half, const struct fr_index_range *ranges,
		     const struct fr_body_range *body_ranges, size_t count, const char *fixed, size_t fixed_size,
		     const char *lines, size_t lines_size, int level, struct fr_batch *ret)
{
	__attribute__((cleanup(fr_text_done))) struct fr_text header = { 0 };
	int r = fr_batch_id_random(ret->id);

	if (r < 0)
		return r;
	memcpy(ret->database, batch->database, 16);
	memcpy(ret->machine, batch->machine, 16);
	memcpy(ret->boot, batch->boot, 16);
	memcpy(ret->parent, batch->id, 16);
	ret->half = half;
	ret->created_ns = batch->created_ns;
	ret->range = malloc(count * sizeof *ret->range);
	if (!ret->range)
		return -ENOMEM;
	memcpy(ret->range, ranges, count * sizeof *ranges);
	ret->range_count = count;
	for (size_t i = 0; i < count; i++)
		ret->events += ranges[i].count;
	fr_body_header(&header, ret, body_ranges);
	fr_text_add(&header, fixed, fixed_size);
	return fr_body_seal(ret, &header, lines, lines_size, level);
}

int fr_batch_split(const struct fr_batch *batch, int level, struct fr_batch ret_half[2])
{
	__attribute__((cleanup(fr_text_done))) struct fr_text text = { 0 };
	__attribute__((cleanup(free_ranges))) struct fr_body_range *body = NULL;
	struct fr_batch half[2] = { 0 };
	uint64_t first_half = batch->events / 2, before;
	struct fr_index_range whole;
	const char *lines, *fixed, *cut;
	size_t fixed_size, at;
	int64_t time;
	int r;

	if (batch->events < 2 || !batch->range_count)
		return -EINVAL;
	r = fr_batch_raw(batch->body, batch->body_size, &text);
	if (r < 0)
		return r;
	lines = text.data ? memchr(text.data, '\n', text.size) : NULL;
	fixed = lines ? strstr(text.data, FR_BODY_FIXED) : NULL;
	if (!fixed || fixed > lines || strlen(text.data) != text.size)
		return -EBADMSG;
	lines++;
	fixed_size = (size_t)(lines - fixed);
	body = malloc(batch->range_count * sizeof *body);
	if (!body)
		return -ENOMEM;
	r = read_ranges(text.data, batch, body);
	if (r == 0)
		r = find_cut(lines, batch, first_half, body, &cut, &at, &before, &time);
	if (r < 0)
		return r;

	whole = batch->range[at];
	if (before) { /* range `at` ends in the first half and goes on in the second */
		batch->range[at].last = body[at].last = whole.first + before - 1;
		batch->range[at].count = before;
	}
	r = make_half(batch, 0, batch->range, body, at + (before > 0), fixed, fixed_size, lines, (size_t)(cut - lines),
		      level, &half[0]);
	if (before) {
		batch->range[at] = (struct fr_index_range){ .lane = whole.lane, .first = whole.first + before,
							    .last = whole.last, .count = whole.count - before };
		memcpy(batch->range[at].ring_id, whole.ring_id, 16);
		memcpy(batch->range[at].boot_id, whole.boot_id, 16);
		body[at] = (struct fr_body_range){ body[at].g, whole.first + before, whole.last, time };
	}
	if (r == 0)
		r = make_half(batch, 1, batch->range + at, body + at, batch->range_count - at, fixed, fixed_size, cut,
			      text.size - (size_t)(cut - text.data), level, &half[1]);
	batch->range[at] = whole;
	if (r < 0) {
		fr_batch_done(&half[0]);
		fr_batch_done(&half[1]);
		return r;
	}
	ret_half[0] = half[0];
	ret_half[1] = half[1];
	return 0;
}


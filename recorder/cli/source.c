/* SPDX-License-Identifier: MIT */
#include "recorder/cli/source.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/made.h"
#include "recorder/cli/out.h"
#include "recorder/cli/render.h"

/* An event that is not on the medium, between those that are. */
struct extra {
	uint64_t time_ns;
	bool after; /* it comes after the records of that time */
	const struct fr_loss *loss; /* NULL: the writer is gone */
	uint64_t first_seq;	    /* of the loss, as far as it was not shown before */
	const struct fr_record *near; /* a record whose identity it shares */
};

struct image_source {
	struct fr_source source;
	struct fr_image *image;
	struct fr_match *match;
	struct fr_window window;
	uint64_t *next_seq; /* the window's */
	const uint32_t *order;
	size_t count, at;
	struct extra *extra;
	size_t extra_count, extra_at;
};

static uint64_t first_new(const struct image_source *s, uint32_t lane)
{
	return lane < s->window.lanes ? s->next_seq[lane] : 0;
}

/* Not shown: given back or covered by its writer, shown before, or too young. */
static bool skipped(const struct image_source *s, const struct fr_record *record)
{
	if (record->flags & ((FRM_RECORD_DISCARDED | FRM_RECORD_TORN) >> 24))
		return true;
	return record->seq < first_new(s, record->lane) || (s->window.until_ns && record->time_ns > s->window.until_ns);
}

static void decode_extra(const struct image_source *s, const struct extra *extra, struct fr_event *event)
{
	fr_decode(s->image, extra->near, event);
	event->time_ns = extra->time_ns;
	event->real_ns = fr_image_real_ns(s->image, extra->time_ns);
	if (!extra->loss) {
		fr_made_ours(event, FR_GONE_EVENT, FRM_LEVEL_ERROR);
		event->tid = event->pid;
		event->thread = "";
		event->lane = FRM_LANE_NONE;
		event->seq = event->pid;
		fr_made_string(event, "how", "its ring was left open; nothing here says why");
		return;
	}
	fr_made_loss(event, extra->loss, extra->first_seq);
}

static int image_next(struct fr_source *source, struct fr_event *ret_event)
{
	struct image_source *s = (struct image_source *)source;

	for (;;) {
		const struct fr_record *record = s->at < s->count ? fr_image_record(s->image, s->order[s->at]) : NULL;
		const struct extra *extra = s->extra_at < s->extra_count ? &s->extra[s->extra_at] : NULL;

		if (extra && record && (extra->after ? extra->time_ns >= record->time_ns : extra->time_ns > record->time_ns))
			extra = NULL;
		if (extra) {
			s->extra_at++;
			decode_extra(s, extra, ret_event);
		} else if (record) {
			s->at++;
			if (skipped(s, record))
				continue;
			fr_decode(s->image, record, ret_event);
		} else {
			return 0;
		}
		if (fr_match_event(s->match, ret_event))
			return 1;
	}
}

static void image_close(struct fr_source *source)
{
	struct image_source *s = (struct image_source *)source;

	fr_image_close(s->image);
	free(s->next_seq);
	free(s->extra);
	free(s);
}

/* The first record of the lane with a number above `seq`, NULL: none; *ret_last is the last one before it. */
static const struct fr_record *after_seq(const struct fr_image *image, uint32_t lane, uint64_t seq, const struct fr_record **ret_last)
{
	size_t low = 0, high = fr_image_record_count(image);

	while (low < high) { /* records are sorted by lane, then by position, and numbers grow with positions */
		size_t middle = low + (high - low) / 2;
		const struct fr_record *record = fr_image_record(image, middle);

		if (record->lane < lane || (record->lane == lane && record->seq <= seq))
			low = middle + 1;
		else
			high = middle;
	}
	*ret_last = low ? fr_image_record(image, low - 1) : NULL;
	if (*ret_last && (*ret_last)->lane != lane)
		*ret_last = NULL;
	if (low == fr_image_record_count(image) || fr_image_record(image, low)->lane != lane)
		return NULL;
	return fr_image_record(image, low);
}

static int compare_extra(const void *a, const void *b)
{
	const struct extra *x = a, *y = b;

	return x->time_ns != y->time_ns ? (x->time_ns < y->time_ns ? -1 : 1) : (int)x->after - (int)y->after;
}

static void collect_extras(struct image_source *s, unsigned flags)
{
	size_t losses = fr_image_loss_count(s->image);

	s->extra = fr_cli_alloc((losses + 1) * sizeof(*s->extra));
	for (size_t i = 0; i < losses && (flags & (FR_SOURCE_GAPS | FR_SOURCE_OVERWRITTEN)); i++) {
		const struct fr_loss *loss = fr_image_loss(s->image, i);
		const struct fr_record *before, *next;
		struct extra *extra = &s->extra[s->extra_count];
		unsigned wanted = loss->cause == FRM_LOSS_OVERWRITTEN ? FR_SOURCE_OVERWRITTEN : FR_SOURCE_GAPS;
		uint64_t new = first_new(s, loss->lane);

		if (loss->lane == FRM_LANE_NONE || !(flags & wanted) || loss->first_seq + loss->count <= new)
			continue;
		next = after_seq(s->image, loss->lane, loss->first_seq + loss->count - 1, &before);
		if (!next && !before)
			continue; /* nothing is left in that lane to place it by: the sum at the end has it */
		*extra = (struct extra){ .loss = loss, .near = before ? before : next, .after = before != NULL };
		extra->time_ns = extra->near->time_ns;
		extra->first_seq = new > loss->first_seq ? new : loss->first_seq;
		if (s->window.until_ns && extra->time_ns > s->window.until_ns)
			continue;
		s->extra_count++;
	}
	if ((flags & FR_SOURCE_GONE) && s->count) {
		struct extra *extra = &s->extra[s->extra_count++];

		*extra = (struct extra){ .after = true, .near = fr_image_record(s->image, s->order[s->count - 1]) };
		extra->time_ns = extra->near->time_ns;
	}
	if (s->extra_count)
		qsort(s->extra, s->extra_count, sizeof(*s->extra), compare_extra);
}

struct fr_source *fr_source_image(struct fr_image *image, struct fr_match *match, unsigned flags, const struct fr_window *window)
{
	struct image_source *s = fr_cli_alloc(sizeof(*s));

	s->source.next = image_next;
	s->source.close = image_close;
	s->image = image;
	s->match = match;
	if (window)
		s->window = *window;
	if (window && window->lanes) {
		s->next_seq = fr_cli_alloc(window->lanes * sizeof(*s->next_seq));
		memcpy(s->next_seq, window->next_seq, window->lanes * sizeof(*s->next_seq));
	}
	s->order = fr_image_timeline(image);
	s->count = fr_image_record_count(image);
	if (!s->order) {
		fr_error("out of memory (for %zu events)", s->count);
		exit(FR_EXIT_FAILED);
	}
	collect_extras(s, flags);
	return &s->source;
}

size_t fr_source_image_newest(struct fr_source *source, uint64_t *times, size_t want)
{
	struct image_source *s = (struct image_source *)source;
	struct fr_event *event = fr_cli_alloc(sizeof(*event));
	size_t found = 0;

	for (size_t i = s->count; i-- && found < want;) {
		const struct fr_record *record = fr_image_record(s->image, s->order[i]);

		if (skipped(s, record))
			continue;
		fr_decode(s->image, record, event);
		if (fr_match_event(s->match, event))
			times[found++] = event->time_ns;
	}
	free(event);
	return found;
}

void fr_source_image_from(struct fr_source *source, uint64_t time_ns)
{
	struct image_source *s = (struct image_source *)source;

	s->at = s->count;
	while (s->at && fr_image_record(s->image, s->order[s->at - 1])->time_ns >= time_ns)
		s->at--;
	while (s->extra_at < s->extra_count && s->extra[s->extra_at].time_ns < time_ns)
		s->extra_at++;
}

const struct fr_image *fr_source_image_of(const struct fr_source *source)
{
	return source->next == image_next ? ((const struct image_source *)source)->image : NULL;
}

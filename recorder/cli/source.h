/* SPDX-License-Identifier: MIT */
/*
 * source.h - where events come from, one after the other in time: an image (ring or segment), or the index.
 *
 * Owns: the order within one image, and the events that show makes of what is not there: a gap (FR_LOSS_EVENT, placed where the
 * lane goes on) and a writer that ended without a word (FR_GONE_EVENT, after its last record).
 */
#ifndef RECORDER_CLI_SOURCE_H
#define RECORDER_CLI_SOURCE_H

#include "recorder/cli/match.h"
#include "recorder/core/image.h"
#include "uploader/incident.h"
#include "uploader/query.h"

struct fr_source {
	/* 1 an event, 0 no more, or a negative errno; it stays good until the next call, which gets the same struct again */
	int (*next)(struct fr_source *source, struct fr_event *ret_event);
	void (*close)(struct fr_source *source);
};

enum fr_source_flags {
	FR_SOURCE_GAPS = 1,	   /* show what is lost, but not what was overwritten */
	FR_SOURCE_OVERWRITTEN = 2, /* that, too */
	FR_SOURCE_GONE = 4,	   /* the writer is dead */
};

/* What of an image was shown before: records below next_seq[lane] (lanes beyond `lanes`: none), and how far to go now. */
struct fr_window {
	const uint64_t *next_seq;
	size_t lanes;
	uint64_t until_ns; /* CLOCK_BOOTTIME, 0: to the end */
};

/* Takes the image over, and copies the window (NULL: all of it). `match` must outlive the source. */
struct fr_source *fr_source_image(struct fr_image *image, struct fr_match *match, unsigned flags, const struct fr_window *window);

/*
 * Of an image: times of the newest `want` events that match, newest first, into times[]; returns how many there are. A source
 * that was asked starts again at its first event; fr_source_image_from() then makes it start at the first event not
 * before that time.
 */
size_t fr_source_image_newest(struct fr_source *source, uint64_t *times, size_t want);
void fr_source_image_from(struct fr_source *source, uint64_t time_ns);
const struct fr_image *fr_source_image_of(const struct fr_source *source);

/* A gap that the index knows of; it has no time, so it is shown after the event before it. */
struct fr_indexed_loss {
	uint8_t ring_id[16];
	struct fr_loss loss;
	bool shown;
};

/* Takes the cursor and the losses (from malloc, may be NULL) over. */
struct fr_source *fr_source_index(struct fr_cursor *cursor, struct fr_match *match, struct fr_indexed_loss *losses, size_t count);
/* Deaths that left no event: FR_GONE_EVENTs. Reads the list to its end. */
struct fr_source *fr_source_incidents(struct fr_incidents *list, struct fr_match *match);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * render.h - one event as one readable line, or as one JSON object.
 *
 * Owns: how an event looks. A line:
 *
 *	07:14:02.123456 order-srv[4711/worker-2] ERROR acme.shop order_failed order_id=4711 reason=EIO
 *	time            process[pid/thread]      level provider  event        fields
 *
 * The level column says DEATH, PANIC or LOST where that is what the event means. Providers of the catalogue ("kernel",
 * "flightrec") are left out, their events are called proc.exit and fr.start; so is the name of a line of text.
 * On a terminal, dates stand on lines of their own and long lines continue indented; in a pipe each line has its date. Nothing is ever cut.
 */
#ifndef RECORDER_CLI_RENDER_H
#define RECORDER_CLI_RENDER_H

#include "recorder/cli/out.h"
#include "recorder/cli/term.h"
#include "recorder/core/decode.h"

struct fr_renderer {
	struct fr_term term;
	bool json;
	bool boot_time; /* seconds since boot instead of the wall clock */
	bool utc;
	/* what was printed last */
	bool started;
	uint8_t boot_id[16];
	char day[16];
	unsigned process_columns;
	struct fr_out scratch;
};

#define FR_LOSS_EVENT "fr.lost" /* name of the event that show makes of a gap; never on the medium */
#define FR_GONE_EVENT "fr.gone" /* likewise, of a ring whose writer ended without a word */

/* Appends the line (with a separator before it where boot or day change) and its newline. */
void fr_render_event(struct fr_renderer *renderer, const struct fr_event *event, struct fr_out *out);
void fr_render_done(struct fr_renderer *renderer);

/* The parts that fr_render_event() is made of: what goes before an event, its line (or JSON) with the newline, its JSON without. */
void fr_render_separator(struct fr_renderer *renderer, const uint8_t boot_id[16], uint64_t boot_seq, uint64_t real_ns,
			 struct fr_out *out);
void fr_render_line(struct fr_renderer *renderer, const struct fr_event *event, struct fr_out *out);
void fr_render_json(const struct fr_event *event, struct fr_out *out);

enum fr_sight {
	FR_SIGHT_PLAIN = 0,
	FR_SIGHT_DEATH, /* of a process, by a signal or unexplained */
	FR_SIGHT_PANIC, /* of a kernel */
	FR_SIGHT_LOST,
};
enum fr_sight fr_render_sight(const struct fr_event *event);

#endif

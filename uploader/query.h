/* SPDX-License-Identifier: MIT */
/*
 * query.h - events out of the index, on one timeline: boot by boot, by time, never against the order of their lane.
 *
 * Owns: filters and the order. Filters are cheap first: boot, time and identity are settled in SQL, names once a
 * query, text last. Memory is bounded by `last` (24 bytes each) and by one event.
 */
#ifndef UPLOADER_QUERY_H
#define UPLOADER_QUERY_H

#include "recorder/core/decode.h"
#include "uploader/index.h"

/* All zero: every event. Filters are joined by "and". Globs are those of fnmatch(3). */
struct fr_query {
	/*
	 * NULL all; "current" or "0"; "previous" or "-1", "-2" ...: so many boots before the current one that the index
	 * holds; "7": the boot with that number; else a prefix (4 digits or more) of a boot id.
	 */
	const char *boot;
	uint64_t since_boot_ns, until_boot_ns; /* CLOCK_BOOTTIME, inclusive; 0: open */
	uint64_t since_real_ns, until_real_ns; /* CLOCK_REALTIME by each boot's anchors, inclusive; 0: open */
	uint32_t pid;			       /* 0: any */
	const char *comm;		       /* glob over the process's or the thread's name */
	const char *provider;		       /* glob over the name, or a GUID */
	const char *event;		       /* glob over the event's name */
	unsigned level;			       /* this one and graver ones; 0: any */
	const char *text;		       /* must occur in fr_event_text(), case ignored */
	const char *session;		       /* glob over the session's name */
	const uint8_t *ring_id;		       /* 16 bytes; NULL: any */
	const char *incident;		       /* id or a prefix of it: only the window around it */
	uint64_t before_ns, after_ns;	       /* that window; both 0: 30 s and 1 s */
	uint64_t last;			       /* only the newest so many of what matches; 0: all */
};

struct fr_cursor;

/*
 * -ENOENT: no such boot or incident; -ENOTUNIQ: the prefix means several; -EINVAL: not a boot. The query's strings
 * are not kept.
 */
int fr_query_open(struct fr_index *index, const struct fr_query *query, struct fr_cursor **ret_cursor);
/* 1 an event, 0 no more, or a negative errno. The event and what it points to stay good until the next call. */
int fr_query_next(struct fr_cursor *cursor, struct fr_event *ret_event);
void fr_query_close(struct fr_cursor *cursor);

#endif

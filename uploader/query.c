/* SPDX-License-Identifier: MIT */
/*
 * query.c - see query.h.
 *
 * The events of each boot are read in the order of the index by_time, which has its rows in order of (boot, time, id).
 * With `last` they are read backwards, newest boot first, until enough of them match; what matched is remembered by its
 * id and fetched again in the right order. Names of events are matched once for each descriptor, not for each event.
 */
#include "uploader/query.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "uploader/index_boots.h"
#include "uploader/incident.h"
#include "uploader/resolve.h"

#define BEFORE_NS 30000000000u
#define AFTER_NS  1000000000u
#define VERDICTS  1024
#define TEXT_SIZE 65536

/* What the filters said of a row of descriptor, by its id. */
struct verdict {
	int64_t id;
	bool good;
};

struct span {
	int64_t boot;
	uint64_t from_ns, to_ns;
};

struct fr_cursor {
	struct fr_index *index;
	struct fr_resolver *resolver;
	sqlite3_stmt *events; /* of one span */
	sqlite3_stmt *by_id;
	struct span *span;    /* one for each boot that is wanted, oldest first */
	size_t span_count, span_at;
	bool in_span;
	struct fr_query query; /* with strings of its own */
	char *strings[6];
	uint8_t ring_id[16];
	uint8_t guid[16];
	bool has_guid;
	struct verdict descriptor[VERDICTS];
	char *text;	       /* for the filter on text */
	int64_t *hit;	       /* of `last`: ids, newest first */
	size_t hit_count, hit_room, hit_at;
	bool in_hits;
};

void fr_query_close(struct fr_cursor *cursor)
{
	if (!cursor)
		return;
	sqlite3_finalize(cursor->events);
	sqlite3_finalize(cursor->by_id);
	fr_resolver_free(cursor->resolver);
	for (size_t i = 0; i < sizeof(cursor->strings) / sizeof(*cursor->strings); i++)
		free(cursor->strings[i]);
	free(cursor->span);
	free(cursor->text);
	free(cursor->hit);
	free(cursor);
}

/* ------------------------------------------------------------------ filters */

static bool matches_text(struct fr_cursor *cursor, const struct fr_event *event)
{
	size_t size;

	if (!cursor->query.text)
		return true;
	size = fr_event_text(event, cursor->text, TEXT_SIZE);
	if (size >= TEXT_SIZE) { /* an event of up to 1 MiB, escaped */
		char *text = malloc(size + 1);
		bool found;

		if (!text)
			return strcasestr(cursor->text, cursor->query.text);
		fr_event_text(event, text, size + 1);
		found = strcasestr(text, cursor->query.text);
		free(text);
		return found;
	}
	return strcasestr(cursor->text, cursor->query.text);
}

static bool matches_descriptor(const struct fr_cursor *cursor, const struct fr_event *event)
{
	const struct fr_query *query = &cursor->query;

	if (query->level && (!event->level || event->level > query->level))
		return false;
	if (query->event && fnmatch(query->event, event->name, 0))
		return false;
	if (cursor->has_guid)
		return !memcmp(event->provider_guid, cursor->guid, 16);
	return !query->provider || !fnmatch(query->provider, event->provider, 0);
}

/* The verdict on a row, asked once and remembered until its slot is needed. */
static struct verdict *verdict_of(struct verdict *verdicts, int64_t id, bool *ret_known)
{
	struct verdict *verdict = &verdicts[(uint64_t)id % VERDICTS];

	*ret_known = verdict->id == id;
	verdict->id = id;
	return verdict;
}

/* 1 the row is wanted and resolved, 0 it isn't, or a negative errno. */
static int accept(struct fr_cursor *cursor, sqlite3_stmt *row, struct fr_event *event)
{
	const struct fr_query *query = &cursor->query;
	struct verdict *verdict;
	bool known;
	int r;

	verdict = verdict_of(cursor->descriptor, sqlite3_column_int64(row, FR_RESOLVE_DESCRIPTOR), &known);
	if (known && !verdict->good)
		return 0;
	r = fr_resolve(cursor->resolver, row, event);
	if (r < 0) {
		verdict->id = 0;
		return r;
	}
	if (!known)
		verdict->good = matches_descriptor(cursor, event);
	if (!verdict->good)
		return 0;
	if (query->pid && event->pid != query->pid)
		return 0;
	if (query->comm && fnmatch(query->comm, event->comm, 0) && fnmatch(query->comm, event->thread, 0))
		return 0;
	if (query->ring_id && memcmp(query->ring_id, event->ring_id, 16))
		return 0;
	if ((query->since_real_ns && (!event->real_ns || event->real_ns < query->since_real_ns)) ||
	    (query->until_real_ns && (!event->real_ns || event->real_ns > query->until_real_ns)))
		return 0;
	if (query->session && (!event->session || fnmatch(query->session, event->session_name, 0)))
		return 0;
	return matches_text(cursor, event);
}

/* ------------------------------------------------------------------ which boots, which times */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a ? b : !b ? a : a < b ? a : b;
}

static int add_span(struct fr_cursor *cursor, const struct fr_boot *boot)
{
	const struct fr_query *query = &cursor->query;
	struct span *span = &cursor->span[cursor->span_count];
	uint64_t until = query->until_boot_ns;

	*span = (struct span){ .boot = boot->id, .from_ns = query->since_boot_ns };
	if (query->since_real_ns || query->until_real_ns) {
		if (!boot->anchored)
			return 0;
		/* wide enough for every anchor; what is too much goes one by one */
		if (query->since_real_ns && (int64_t)query->since_real_ns > boot->most_offset &&
		    query->since_real_ns - (uint64_t)boot->most_offset > span->from_ns)
			span->from_ns = query->since_real_ns - (uint64_t)boot->most_offset;
		if (query->until_real_ns && (int64_t)query->until_real_ns < boot->least_offset)
			return 0;
		if (query->until_real_ns)
			until = earlier(until, query->until_real_ns - (uint64_t)boot->least_offset + 1);
	}
	span->to_ns = until ? until : INT64_MAX;
	if (span->from_ns <= span->to_ns)
		cursor->span_count++;
	return 0;
}

/* The window around an incident. */
static int add_incident(struct fr_cursor *cursor, const struct fr_index_boots *boots)
{
	struct fr_query *query = &cursor->query;
	struct fr_incidents *list = NULL;
	struct fr_incident incident;
	int r = fr_incidents_open(cursor->index, NULL, query->incident, &list);

	if (!r)
		r = fr_incidents_next(list, &incident);
	if (r == 1 && fr_incidents_next(list, &(struct fr_incident){ 0 }) == 1)
		r = -ENOTUNIQ;
	fr_incidents_close(list);
	if (r <= 0)
		return r ? r : -ENOENT;
	if (!query->before_ns && !query->after_ns) {
		query->before_ns = BEFORE_NS;
		query->after_ns = AFTER_NS;
	}
	if (incident.time_ns > query->before_ns && incident.time_ns - query->before_ns > query->since_boot_ns)
		query->since_boot_ns = incident.time_ns - query->before_ns;
	query->until_boot_ns = earlier(query->until_boot_ns, incident.time_ns + query->after_ns);
	for (size_t i = 0; i < boots->count; i++)
		if (!memcmp(boots->boot[i].boot_id, incident.boot_id, 16))
			return add_span(cursor, &boots->boot[i]);
	return 0;
}

static int find_spans(struct fr_cursor *cursor)
{
	__attribute__((cleanup(fr_index_boots_done))) struct fr_index_boots boots = { 0 };
	size_t at;
	int r = fr_index_boots_read(cursor->index, &boots);

	if (r < 0)
		return r;
	cursor->span = calloc(boots.count + 1, sizeof(*cursor->span));
	if (!cursor->span)
		return -ENOMEM;
	if (cursor->query.incident)
		return add_incident(cursor, &boots);
	if (cursor->query.boot) {
		r = fr_index_boots_find(&boots, cursor->query.boot, &at);
		return r < 0 ? r : add_span(cursor, &boots.boot[at]);
	}
	for (at = 0; at < boots.count && !r; at++)
		r = add_span(cursor, &boots.boot[at]);
	return r;
}

/* ------------------------------------------------------------------ iteration */

static void enter_span(struct fr_cursor *cursor, const struct span *span)
{
	sqlite3_reset(cursor->events);
	sqlite3_bind_int64(cursor->events, 1, span->boot);
	sqlite3_bind_int64(cursor->events, 2, fr_db_clamp(span->from_ns));
	sqlite3_bind_int64(cursor->events, 3, fr_db_clamp(span->to_ns));
}

static int add_hit(struct fr_cursor *cursor, int64_t id)
{
	if (cursor->hit_count == cursor->hit_room) {
		size_t room = cursor->hit_room ? cursor->hit_room * 2 : 256;
		int64_t *grown = realloc(cursor->hit, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		cursor->hit = grown;
		cursor->hit_room = room;
	}
	cursor->hit[cursor->hit_count++] = id;
	return 0;
}

/* Backwards from the newest event, until enough match. */
static int find_last(struct fr_cursor *cursor)
{
	struct fr_event event;
	int r = 0;

	for (size_t i = cursor->span_count; i-- > 0 && r >= 0 && cursor->hit_count < cursor->query.last;) {
		enter_span(cursor, &cursor->span[i]);
		while (cursor->hit_count < cursor->query.last && (r = fr_db_step(cursor->events)) == 1) {
			r = accept(cursor, cursor->events, &event);
			if (r == 1)
				r = add_hit(cursor, sqlite3_column_int64(cursor->events, FR_RESOLVE_ID));
			if (r < 0)
				break;
		}
	}
	sqlite3_reset(cursor->events);
	cursor->hit_at = cursor->hit_count;
	cursor->in_hits = true;
	return r < 0 ? r : 0;
}

static int copy_strings(struct fr_cursor *cursor, const struct fr_query *query)
{
	const char **to[] = { &cursor->query.comm, &cursor->query.provider, &cursor->query.event,
			      &cursor->query.text, &cursor->query.session };

	cursor->query = *query;
	for (size_t i = 0; i < sizeof(to) / sizeof(*to); i++) {
		if (!*to[i])
			continue;
		cursor->strings[i] = strdup(*to[i]);
		if (!cursor->strings[i])
			return -ENOMEM;
		*to[i] = cursor->strings[i];
	}
	if (query->ring_id) {
		memcpy(cursor->ring_id, query->ring_id, 16);
		cursor->query.ring_id = cursor->ring_id;
	}
	cursor->has_guid = query->provider && fr_uuid_parse(cursor->guid, query->provider) == 0;
	if (query->text) {
		cursor->text = malloc(TEXT_SIZE);
		return cursor->text ? 0 : -ENOMEM;
	}
	return 0;
}

#define SELECT "SELECT " FR_RESOLVE_COLUMNS " FROM event e"

int fr_query_open(struct fr_index *index, const struct fr_query *query, struct fr_cursor **ret_cursor)
{
	struct fr_cursor *cursor = calloc(1, sizeof(*cursor));
	int r = cursor ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	cursor->index = index;
	r = copy_strings(cursor, query);
	if (!r)
		r = fr_resolver_new(index, &cursor->resolver);
	if (!r)
		r = fr_db_prepare(index,
				  query->last ? SELECT " INDEXED BY by_time WHERE e.boot = ? AND e.time BETWEEN ? AND ?"
						       " ORDER BY e.boot DESC, e.time DESC, e.id DESC" :
						SELECT " INDEXED BY by_time WHERE e.boot = ? AND e.time BETWEEN ? AND ?"
						       " ORDER BY e.boot, e.time, e.id",
				  &cursor->events);
	if (!r)
		r = fr_db_prepare(index, SELECT " WHERE e.id = ?", &cursor->by_id);
	if (!r)
		r = find_spans(cursor);
	cursor->query.boot = cursor->query.incident = NULL;
	if (!r && query->last)
		r = find_last(cursor);
	if (r < 0) {
		fr_query_close(cursor);
		return r;
	}
	*ret_cursor = cursor;
	return 0;
}

static int next_hit(struct fr_cursor *cursor, struct fr_event *ret_event)
{
	int r;

	sqlite3_reset(cursor->by_id);
	while (cursor->hit_at) {
		sqlite3_bind_int64(cursor->by_id, 1, cursor->hit[--cursor->hit_at]);
		r = fr_db_step(cursor->by_id);
		if (r == 1)
			r = fr_resolve(cursor->resolver, cursor->by_id, ret_event);
		else if (!r) { /* dropped since it was found */
			sqlite3_reset(cursor->by_id);
			continue;
		}
		return r < 0 ? r : 1;
	}
	return 0;
}

int fr_query_next(struct fr_cursor *cursor, struct fr_event *ret_event)
{
	int r;

	if (cursor->in_hits)
		return next_hit(cursor, ret_event);
	for (;;) {
		if (!cursor->in_span) {
			if (cursor->span_at == cursor->span_count)
				return 0;
			enter_span(cursor, &cursor->span[cursor->span_at++]);
			cursor->in_span = true;
		}
		r = fr_db_step(cursor->events);
		if (r < 0)
			return r;
		if (!r) {
			sqlite3_reset(cursor->events);
			cursor->in_span = false;
			continue;
		}
		r = accept(cursor, cursor->events, ret_event);
		if (r)
			return r;
	}
}

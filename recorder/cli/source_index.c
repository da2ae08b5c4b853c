/* SPDX-License-Identifier: MIT */
/*
 * source_index.c - events, gaps and unwitnessed deaths out of the index.
 */
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/made.h"
#include "recorder/cli/out.h"
#include "recorder/cli/render.h"
#include "recorder/cli/source.h"

struct index_source {
	struct fr_source source;
	struct fr_cursor *cursor;
	struct fr_match *match;
	struct fr_indexed_loss *loss; /* sorted by ring, lane, number */
	size_t loss_count;
	struct fr_indexed_loss *due; /* comes after the event that the caller has */
};

static int compare_losses(const void *a, const void *b)
{
	const struct fr_indexed_loss *x = a, *y = b;
	int ring = memcmp(x->ring_id, y->ring_id, 16);

	if (ring)
		return ring;
	if (x->loss.lane != y->loss.lane)
		return x->loss.lane < y->loss.lane ? -1 : 1;
	return x->loss.first_seq != y->loss.first_seq ? (x->loss.first_seq < y->loss.first_seq ? -1 : 1) : 0;
}

/* What is missing right after the event; or right before it, when nothing before that was shown. */
static struct fr_indexed_loss *loss_at(const struct index_source *s, const struct fr_event *event)
{
	struct fr_indexed_loss key = { .loss = { .lane = event->lane, .first_seq = event->seq + 1 } };
	size_t low = 0, high = s->loss_count;

	memcpy(key.ring_id, event->ring_id, 16);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_losses(&s->loss[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < s->loss_count && compare_losses(&s->loss[low], &key) == 0)
		return &s->loss[low];
	if (low-- && !s->loss[low].shown && memcmp(s->loss[low].ring_id, event->ring_id, 16) == 0 &&
	    s->loss[low].loss.lane == event->lane && s->loss[low].loss.first_seq + s->loss[low].loss.count == event->seq)
		return &s->loss[low];
	return NULL;
}

static int index_next(struct fr_source *source, struct fr_event *ret_event)
{
	struct index_source *s = (struct index_source *)source;
	int result;

	if (s->due) { /* *ret_event is still the event before it */
		s->due->shown = true;
		fr_made_loss(ret_event, &s->due->loss, s->due->loss.first_seq);
		s->due = NULL;
		if (fr_match_event(s->match, ret_event))
			return 1;
	}
	result = fr_query_next(s->cursor, ret_event);
	if (result == 1 && s->loss_count)
		s->due = loss_at(s, ret_event);
	return result;
}

static void index_close(struct fr_source *source)
{
	struct index_source *s = (struct index_source *)source;

	fr_query_close(s->cursor);
	free(s->loss);
	free(s);
}

struct fr_source *fr_source_index(struct fr_cursor *cursor, struct fr_match *match, struct fr_indexed_loss *losses, size_t count)
{
	struct index_source *s = fr_cli_alloc(sizeof(*s));

	s->source.next = index_next;
	s->source.close = index_close;
	s->cursor = cursor;
	s->match = match;
	s->loss = losses;
	s->loss_count = count;
	if (count)
		qsort(losses, count, sizeof(*losses), compare_losses);
	return &s->source;
}

/* ------------------------------------------------------------------ incidents */

struct gone {
	struct fr_incident incident;
	char *comm, *cause;
};

struct incident_source {
	struct fr_source source;
	struct fr_match *match;
	struct gone *gone;
	size_t count, at;
};

static int incident_next(struct fr_source *source, struct fr_event *ret_event)
{
	struct incident_source *s = (struct incident_source *)source;

	while (s->at < s->count) {
		const struct gone *gone = &s->gone[s->at++];
		const struct fr_incident *i = &gone->incident;

		memset(ret_event, 0, sizeof(*ret_event));
		memcpy(ret_event->ring_id, i->ring_id, 16);
		memcpy(ret_event->boot_id, i->boot_id, 16);
		ret_event->boot_seq = i->boot_seq;
		ret_event->time_ns = i->time_ns;
		ret_event->real_ns = i->real_ns;
		ret_event->pid = ret_event->tid = i->pid;
		ret_event->start_time_ns = i->start_time_ns;
		ret_event->cpu = FRM_CPU_NONE;
		ret_event->lane = FRM_LANE_NONE;
		ret_event->seq = i->pid;
		ret_event->comm = gone->comm;
		ret_event->thread = ret_event->cgroup = "";
		fr_made_ours(ret_event, FR_GONE_EVENT, FRM_LEVEL_ERROR);
		fr_made_string(ret_event, "how", gone->cause);
		fr_made_string(ret_event, "incident", i->id);
		if (fr_match_event(s->match, ret_event))
			return 1;
	}
	return 0;
}

static void incident_close(struct fr_source *source)
{
	struct incident_source *s = (struct incident_source *)source;

	for (size_t i = 0; i < s->count; i++) {
		free(s->gone[i].comm);
		free(s->gone[i].cause);
	}
	free(s->gone);
	free(s);
}

static char *copy(const char *text)
{
	size_t size = text ? strlen(text) : 0;
	char *fresh = fr_cli_alloc(size + 1);

	if (size)
		memcpy(fresh, text, size);
	return fresh;
}

struct fr_source *fr_source_incidents(struct fr_incidents *list, struct fr_match *match)
{
	struct incident_source *s = fr_cli_alloc(sizeof(*s));
	struct fr_incident incident;

	s->source.next = incident_next;
	s->source.close = incident_close;
	s->match = match;
	while (fr_incidents_next(list, &incident) == 1) {
		/* a death that was witnessed is an event of its own */
		if (strcmp(incident.evidence, "none") != 0)
			continue;
		s->gone = fr_cli_realloc(s->gone, (s->count + 1) * sizeof(*s->gone));
		s->gone[s->count++] = (struct gone){ incident, copy(incident.comm), copy(incident.cause) };
	}
	fr_incidents_close(list);
	return &s->source;
}

/* SPDX-License-Identifier: MIT */
#include "recorder/cli/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/out.h"
#include "recorder/cli/render.h"

#define KEYS 65536 /* a power of two */

struct stream {
	struct fr_source *source;
	bool open; /* has an event waiting */
	uint64_t rank, time_ns; /* of that event; time never goes back within a boot */
	struct fr_event event;
};

struct fr_timeline {
	const struct fr_bootlist *boots;
	struct stream **stream; /* the first `heap` of them by (rank, time), a heap */
	size_t count, heap;
	bool started;
	struct stream *shown; /* its event is with the caller */
	uint64_t *keys;
};

struct fr_timeline *fr_timeline_new(const struct fr_bootlist *boots)
{
	struct fr_timeline *t = fr_cli_alloc(sizeof(*t));

	t->boots = boots;
	return t;
}

void fr_timeline_free(struct fr_timeline *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		t->stream[i]->source->close(t->stream[i]->source);
		free(t->stream[i]);
	}
	free(t->stream);
	free(t->keys);
	free(t);
}

void fr_timeline_add(struct fr_timeline *t, struct fr_source *source)
{
	struct stream *stream = fr_cli_alloc(sizeof(*stream));

	stream->source = source;
	t->stream = fr_cli_realloc(t->stream, (t->count + 1) * sizeof(struct stream *));
	t->stream[t->count++] = stream;
}

size_t fr_timeline_sources(const struct fr_timeline *t)
{
	return t->count;
}

struct fr_source *fr_timeline_source(const struct fr_timeline *t, size_t i)
{
	return t->stream[i]->source;
}

static bool before(const struct stream *a, const struct stream *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->time_ns < b->time_ns;
}

static void sift(struct fr_timeline *t, size_t i)
{
	for (;;) {
		size_t least = i, left = 2 * i + 1, right = left + 1;
		struct stream *swap;

		if (left < t->heap && before(t->stream[left], t->stream[least]))
			least = left;
		if (right < t->heap && before(t->stream[right], t->stream[least]))
			least = right;
		if (least == i)
			return;
		swap = t->stream[i];
		t->stream[i] = t->stream[least];
		t->stream[least] = swap;
		i = least;
	}
}

/* Fetches a stream's next event. 1, 0 at its end, or what the source says. */
static int advance(struct fr_timeline *t, struct stream *stream)
{
	int result = stream->source->next(stream->source, &stream->event);
	uint64_t rank;

	stream->open = result == 1;
	if (!stream->open)
		return result;
	rank = fr_bootlist_rank(t->boots, stream->event.boot_id);
	if (rank != stream->rank || stream->event.time_ns > stream->time_ns)
		stream->time_ns = stream->event.time_ns;
	stream->rank = rank;
	return 1;
}

static uint64_t key_of(const struct fr_event *event)
{
	uint64_t ring[2], key;

	memcpy(ring, event->ring_id, 16);
	key = (ring[0] ^ event->seq) * 0x9e3779b97f4a7c15ull;
	key = (key ^ key >> 29 ^ ring[1] ^ (uint64_t)event->lane << 40) * 0xbf58476d1ce4e5b9ull;
	key ^= key >> 32;
	/* what show made up has the number of what it stands for */
	if (strcmp(event->name, FR_LOSS_EVENT) == 0 || strcmp(event->name, FR_GONE_EVENT) == 0)
		key = ~key;
	return key ? key : 1;
}

static bool seen(struct fr_timeline *t, const struct fr_event *event)
{
	uint64_t key, *slot;

	if (t->count < 2)
		return false;
	if (!t->keys)
		t->keys = fr_cli_alloc(KEYS * sizeof(*t->keys));
	key = key_of(event);
	slot = &t->keys[key & (KEYS - 1)];
	if (*slot == key)
		return true;
	*slot = key;
	return false;
}

/* 1 when the heap's top has an event; the top is dropped when its source is at its end. */
static int settle(struct fr_timeline *t)
{
	struct stream *top = t->stream[0];
	int result = advance(t, top);

	if (result != 1) {
		t->stream[0] = t->stream[--t->heap];
		t->stream[t->heap] = top;
	}
	if (t->heap)
		sift(t, 0);
	return result;
}

static int start(struct fr_timeline *t)
{
	int error = 0;

	t->started = true;
	for (size_t i = 0; i < t->count; i++) {
		int result = advance(t, t->stream[i]);

		if (result < 0)
			error = result;
		if (result == 1) {
			struct stream *swap = t->stream[t->heap];

			t->stream[t->heap++] = t->stream[i];
			t->stream[i] = swap;
		}
	}
	for (size_t i = t->heap / 2; i--;)
		sift(t, i);
	return error;
}

int fr_timeline_next(struct fr_timeline *t, const struct fr_event **ret_event)
{
	int result = t->started ? 0 : start(t);

	if (result < 0)
		return result;
	for (;;) {
		if (t->shown) {
			t->shown = NULL;
			result = settle(t);
			if (result < 0)
				return result;
		}
		if (!t->heap)
			return 0;
		t->shown = t->stream[0];
		if (seen(t, &t->shown->event))
			continue;
		*ret_event = &t->shown->event;
		return 1;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * batch.c - makes a batch out of events.
 *
 * Owns: the tables of a header (what events share is said once and referred to by index) and the event lines. Nothing in a
 * line depends on the ranges before its own, so that a batch can be cut between any two lines without touching them.
 */
#include "uploader/batch_body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/host.h"
#include "recorder/core/paths.h"

/* Entries of one kind, as JSON, each once. */
struct table {
	struct fr_text json; /* entries with commas between */
	struct slot {
		uint64_t hash;
		size_t at, size; /* in json */
		uint32_t index;
		bool used;
	} *slot;
	size_t slots, count;
};

struct fr_batch_maker {
	struct fr_batch_origin origin;
	struct fr_batch_limits limits;
	uint8_t boot[16];
	uint64_t boot_seq;
	uint64_t events;
	struct table providers, kinds, processes, sessions;
	struct fr_text lanes, lines, entry, fields;
	size_t lane_count;
	uint32_t lane_process, lane_tid; /* of the newest lane: what its lines leave out */
	struct fr_index_range *range;
	struct fr_body_range *body_range;
	size_t range_count, range_room;
	uint64_t last_time_ns;
};

void fr_batch_done(struct fr_batch *batch)
{
	free(batch->range);
	free(batch->body);
	*batch = (struct fr_batch){ 0 };
}

int fr_batch_maker_new(const struct fr_batch_origin *origin, const struct fr_batch_limits *limits,
		       struct fr_batch_maker **ret_maker)
{
	struct fr_batch_maker *maker = calloc(1, sizeof *maker);

	if (!maker)
		return -ENOMEM;
	maker->origin = *origin;
	maker->limits = *limits;
	if (!maker->limits.raw_bytes || maker->limits.raw_bytes > FR_BATCH_RAW_MAX / 4)
		maker->limits.raw_bytes = FR_BATCH_RAW_MAX / 4; /* leaves room for one event of any size */
	*ret_maker = maker;
	return 0;
}

static void table_done(struct table *table)
{
	fr_text_done(&table->json);
	free(table->slot);
	*table = (struct table){ 0 };
}

static void clear(struct fr_batch_maker *maker)
{
	table_done(&maker->providers);
	table_done(&maker->kinds);
	table_done(&maker->processes);
	table_done(&maker->sessions);
	fr_text_done(&maker->lanes);
	fr_text_done(&maker->lines);
	free(maker->range);
	free(maker->body_range);
	maker->range = NULL;
	maker->body_range = NULL;
	maker->range_count = maker->range_room = maker->lane_count = 0;
	maker->events = 0;
}

void fr_batch_maker_free(struct fr_batch_maker *maker)
{
	if (!maker)
		return;
	clear(maker);
	fr_text_done(&maker->entry);
	fr_text_done(&maker->fields);
	free(maker);
}

uint64_t fr_batch_maker_events(const struct fr_batch_maker *maker)
{
	return maker->events;
}

static uint64_t hash_of(const char *text, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */

	while (size--)
		hash = (hash ^ (unsigned char)*text++) * 0x100000001b3ull;
	return hash;
}

static struct slot *slot_of(struct table *table, uint64_t hash, const struct fr_text *entry)
{
	size_t i = hash & (table->slots - 1);

	while (table->slot[i].used &&
	       (table->slot[i].hash != hash || table->slot[i].size != entry->size ||
		memcmp(table->json.data + table->slot[i].at, entry->data, entry->size) != 0))
		i = (i + 1) & (table->slots - 1);
	return &table->slot[i];
}

static int table_grow(struct table *table)
{
	size_t slots = table->slots ? 2 * table->slots : 64;
	struct slot *old = table->slot, *new = calloc(slots, sizeof *new);

	if (!new)
		return -ENOMEM;
	for (size_t i = 0; i < table->slots; i++) {
		size_t at = old[i].hash & (slots - 1);

		if (!old[i].used)
			continue;
		while (new[at].used)
			at = (at + 1) & (slots - 1);
		new[at] = old[i];
	}
	free(old);
	table->slot = new;
	table->slots = slots;
	return 0;
}

/* The index of an entry, which is added when it is new. */
static int intern(struct table *table, const struct fr_text *entry, uint32_t *ret_index)
{
	uint64_t hash;
	struct slot *slot;

	if (entry->failed || (2 * (table->count + 1) > table->slots && table_grow(table) < 0))
		return -ENOMEM;
	hash = hash_of(entry->data, entry->size);
	slot = slot_of(table, hash, entry);
	if (!slot->used) {
		if (table->count)
			fr_text_add(&table->json, ",", 1);
		*slot = (struct slot){ hash, table->json.size, entry->size, (uint32_t)table->count, true };
		fr_text_add(&table->json, entry->data, entry->size);
		if (table->json.failed)
			return -ENOMEM;
		table->count++;
	}
	*ret_index = slot->index;
	return 0;
}

static struct fr_text *fresh(struct fr_batch_maker *maker)
{
	fr_text_reset(&maker->entry, 0);
	return &maker->entry;
}

static void add_string(struct fr_text *text, const char *key, const char *value)
{
	value = value ? value : "";
	fr_text_printf(text, ",\"%s\":", key);
	fr_text_json(text, value, strlen(value));
}

static int intern_process(struct fr_batch_maker *maker, const struct fr_event *event, uint32_t *ret_index)
{
	struct fr_text *entry = fresh(maker);

	fr_text_printf(entry, "{\"pid\":%u,\"ppid\":%u,\"uid\":%u,\"gid\":%u,\"start_ns\":%" PRIu64, event->pid, event->ppid,
		       event->uid, event->gid, event->start_time_ns);
	add_string(entry, "comm", event->comm);
	add_string(entry, "cgroup", event->cgroup);
	fr_text_add(entry, "}", 1);
	return intern(&maker->processes, entry, ret_index);
}

static int intern_kind(struct fr_batch_maker *maker, const struct fr_event *event, uint32_t *ret_index)
{
	static const uint8_t unknown[16];
	struct fr_text *entry = fresh(maker);
	uint32_t provider;
	char guid[37];
	int r;

	fr_uuid_text(guid, event->provider_guid ? event->provider_guid : unknown);
	fr_text_printf(entry, "{\"guid\":\"%s\"", guid);
	add_string(entry, "name", event->provider);
	fr_text_add(entry, "}", 1);
	r = intern(&maker->providers, entry, &provider);
	if (r < 0)
		return r;
	entry = fresh(maker);
	fr_text_printf(entry, "{\"p\":%u", provider);
	add_string(entry, "name", event->name);
	fr_text_printf(entry, ",\"v\":%u,\"k\":\"%" PRIu64 "\"}", event->level <= 5 ? event->level : 0, event->keywords);
	return intern(&maker->kinds, entry, ret_index);
}

static int intern_session(struct fr_batch_maker *maker, const struct fr_event *event, uint32_t *ret_index)
{
	struct fr_text *entry = fresh(maker);

	fr_text_printf(entry, "{\"n\":%u", event->session);
	add_string(entry, "name", event->session_name);
	fr_text_add(entry, "}", 1);
	return intern(&maker->sessions, entry, ret_index);
}

static int fields_of(struct fr_batch_maker *maker, const struct fr_event *event)
{
	struct fr_text *fields = &maker->fields;
	size_t need = fr_event_json_fields(event, fields->data, fields->room);

	if (need >= fields->room) {
		char *data = realloc(fields->data, need + 1024);

		if (!data)
			return -ENOMEM;
		fields->data = data;
		fields->room = need + 1024;
		need = fr_event_json_fields(event, fields->data, fields->room);
	}
	fields->size = need;
	return 0;
}

static bool same_lane(const struct fr_batch_maker *maker, const struct fr_event *event)
{
	const struct fr_index_range *range;

	if (!maker->range_count)
		return false;
	range = &maker->range[maker->range_count - 1];
	return range->lane == event->lane && memcmp(range->ring_id, event->ring_id, 16) == 0;
}

static void add_lane(struct fr_batch_maker *maker, const struct fr_event *event, uint32_t process)
{
	char ring[33];

	fr_hex(ring, event->ring_id, 16);
	fr_text_printf(&maker->lanes, "%s{\"ring\":\"%s\",\"lane\":%u,\"p\":%u,\"i\":%u}", maker->lane_count ? "," : "", ring,
		       event->lane, process, event->tid);
	maker->lane_count++;
	maker->lane_process = process;
	maker->lane_tid = event->tid;
}

static int add_range(struct fr_batch_maker *maker, const struct fr_event *event)
{
	struct fr_index_range *range;

	if (maker->range_count == maker->range_room) {
		size_t room = maker->range_room ? 2 * maker->range_room : 16;
		void *ranges = realloc(maker->range, room * sizeof *maker->range);
		void *body_ranges;

		if (!ranges)
			return -ENOMEM;
		maker->range = ranges;
		body_ranges = realloc(maker->body_range, room * sizeof *maker->body_range);
		if (!body_ranges)
			return -ENOMEM;
		maker->body_range = body_ranges;
		maker->range_room = room;
	}
	maker->body_range[maker->range_count] = (struct fr_body_range){
		.g = (uint32_t)(maker->lane_count - 1),
		.base_ns = (int64_t)event->time_ns,
	};
	range = &maker->range[maker->range_count++];
	*range = (struct fr_index_range){ .lane = event->lane, .first = event->seq };
	memcpy(range->ring_id, event->ring_id, 16);
	memcpy(range->boot_id, event->boot_id, 16);
	maker->last_time_ns = event->time_ns;
	return 0;
}

static void add_line(struct fr_batch_maker *maker, const struct fr_event *event, uint32_t kind, uint32_t process,
		     const uint32_t *session)
{
	struct fr_text *lines = &maker->lines;

	fr_text_printf(lines, "{\"t\":%" PRId64 ",\"e\":%u", (int64_t)(event->time_ns - maker->last_time_ns), kind);
	if (process != maker->lane_process)
		fr_text_printf(lines, ",\"p\":%u", process);
	if (event->tid != maker->lane_tid)
		fr_text_printf(lines, ",\"i\":%u", event->tid);
	if (event->cpu != FRM_CPU_NONE)
		fr_text_printf(lines, ",\"c\":%u", event->cpu);
	if (session)
		fr_text_printf(lines, ",\"x\":%u", *session);
	if (maker->fields.size > 2) {
		fr_text_add(lines, ",\"f\":", 5);
		fr_text_add(lines, maker->fields.data, maker->fields.size);
	}
	fr_text_add(lines, "}\n", 2);
}

static bool is_full(const struct fr_batch_maker *maker)
{
	return maker->events >= maker->limits.events ||
	       maker->lines.size + maker->fields.size + 128 + maker->kinds.json.size + maker->processes.json.size +
			       maker->lanes.size + 96 * maker->range_count > maker->limits.raw_bytes;
}

int fr_batch_maker_add(struct fr_batch_maker *maker, const struct fr_event *event)
{
	uint32_t kind, process, session;
	bool new_lane;
	int r;

	if (maker->events && memcmp(maker->boot, event->boot_id, 16) != 0)
		return 0;
	r = fields_of(maker, event);
	if (r < 0)
		return r;
	if (maker->events && is_full(maker))
		return 0;
	if (!maker->events) {
		memcpy(maker->boot, event->boot_id, 16);
		maker->boot_seq = event->boot_seq;
	}
	r = intern_kind(maker, event, &kind);
	if (r == 0)
		r = intern_process(maker, event, &process);
	if (r == 0 && event->session)
		r = intern_session(maker, event, &session);
	if (r < 0)
		return r;
	new_lane = !same_lane(maker, event);
	if (new_lane)
		add_lane(maker, event, process);
	if (new_lane || event->seq != maker->range[maker->range_count - 1].last + 1) {
		r = add_range(maker, event);
		if (r < 0)
			return r;
	}
	add_line(maker, event, kind, process, event->session ? &session : NULL);
	if (maker->lines.failed || maker->lanes.failed)
		return -ENOMEM;
	maker->range[maker->range_count - 1].last = event->seq;
	maker->range[maker->range_count - 1].count++;
	maker->last_time_ns = event->time_ns;
	maker->events++;
	return 1;
}

static void add_table(struct fr_text *text, const char *key, const struct fr_text *entries)
{
	fr_text_printf(text, ",\"%s\":[", key);
	if (entries->size)
		fr_text_add(text, entries->data, entries->size);
	fr_text_add(text, "]", 1);
}

static void add_fixed(struct fr_text *header, const struct fr_batch_maker *maker)
{
	fr_text_add(header, FR_BODY_FIXED, strlen(FR_BODY_FIXED));
	fr_text_json(header, maker->origin.host, strlen(maker->origin.host));
	fr_text_printf(header, ",\"agent\":\"flightrec %s\",\"boot_seq\":%" PRIu64, FR_VERSION, maker->boot_seq);
	add_table(header, "lanes", &maker->lanes);
	add_table(header, "providers", &maker->providers.json);
	add_table(header, "kinds", &maker->kinds.json);
	add_table(header, "processes", &maker->processes.json);
	add_table(header, "sessions", &maker->sessions.json);
	fr_text_add(header, "}\n", 2);
}

int fr_batch_maker_finish(struct fr_batch_maker *maker, struct fr_batch *ret_batch)
{
	__attribute__((cleanup(fr_batch_done))) struct fr_batch batch = { 0 };
	__attribute__((cleanup(fr_text_done))) struct fr_text header = { 0 };
	int r;

	if (!maker->events)
		return -ENODATA;
	r = fr_batch_id_random(batch.id);
	if (r < 0)
		return r;
	memcpy(batch.database, maker->origin.database, 16);
	memcpy(batch.machine, maker->origin.machine, 16);
	memcpy(batch.boot, maker->boot, 16);
	batch.created_ns = fr_clock_real_ns();
	batch.events = maker->events;
	batch.range = maker->range;
	batch.range_count = maker->range_count;
	maker->range = NULL;
	for (size_t i = 0; i < batch.range_count; i++) {
		maker->body_range[i].first = batch.range[i].first;
		maker->body_range[i].last = batch.range[i].last;
	}
	fr_body_header(&header, &batch, maker->body_range);
	add_fixed(&header, maker);
	r = fr_body_seal(&batch, &header, maker->lines.data, maker->lines.size, maker->limits.zstd_level);
	clear(maker);
	if (r < 0)
		return r;
	*ret_batch = batch;
	batch = (struct fr_batch){ 0 };
	return 0;
}

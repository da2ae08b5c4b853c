/* SPDX-License-Identifier: MIT */
/* unit_torn.c - see unit_torn.h. */
#include "tests/unit/unit_torn.h"

static void *grown(void *array, size_t count, size_t *room, size_t element)
{
	if (count < *room)
		return array;
	*room = *room ? 2 * *room : 256;
	array = reallocarray(array, *room, element);
	assert_non_null(array);
	return array;
}

static uint64_t below(uint64_t *seed, uint64_t limit)
{
	return unit_random(seed) % limit;
}

static void random_bytes(uint64_t *seed, unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = unit_random(seed);

		memcpy(bytes + i, &word, size - i < 8 ? size - i : 8);
	}
}

/* Notes what the last operation stored. */
static void note_stores(struct torn *t)
{
	const uint64_t *ring = (const uint64_t *)t->u.ring.base;
	uint64_t *now = (uint64_t *)t->now;

	t->tick++;
	for (uint32_t page = 0; page < t->u.ring.size / 512; page++) {
		if (!memcmp(ring + page * 64, now + page * 64, 512))
			continue;
		for (uint32_t word = page * 64; word < page * 64 + 64; word++) {
			if (now[word] == ring[word])
				continue;
			t->store = grown(t->store, t->stores, &t->store_room, sizeof(*t->store));
			t->store[t->stores++] = (struct torn_store){ word, t->tick, ring[word] };
			now[word] = ring[word];
		}
	}
}

static void note_entry(struct torn *t, enum torn_kind kind, const void *a, const void *b,
		       uint32_t size)
{
	struct torn_entry entry = { .kind = kind, .size = size };
	static const unsigned char zeros[sizeof(entry.bytes)];

	assert_true(size <= sizeof(entry.bytes));
	memcpy(entry.bytes, a, size);
	entry.place[0] = (uint64_t)((const unsigned char *)a - t->u.ring.base);
	entry.place[1] = (uint64_t)((const unsigned char *)b - t->u.ring.base);
	if (!memcmp(entry.bytes, zeros, size))
		return;
	for (size_t i = t->entries; i-- > 0;)
		if (t->entry[i].place[0] == entry.place[0]) {
			if (!memcmp(t->entry[i].bytes, entry.bytes, size))
				return;
			break;
		}
	t->entry = grown(t->entry, t->entries, &t->entry_room, sizeof(*t->entry));
	t->entry[t->entries++] = entry;
}

/* Notes what is new in what is stored twice. */
static void note_meta(struct torn *t)
{
	struct frm_meta *const *meta = t->u.ring.meta;

	for (unsigned i = 0; i < FRM_ANCHORS_MAX; i++)
		note_entry(t, TORN_ANCHOR, &meta[0]->tables.anchor[i], &meta[1]->tables.anchor[i],
			   sizeof(struct frm_anchor));
	for (unsigned i = 0; i < FRM_SESSIONS_MAX; i++)
		note_entry(t, TORN_SESSION, &meta[0]->tables.session[i],
			   &meta[1]->tables.session[i], sizeof(struct frm_session));
	for (uint32_t lane = 0; lane < t->u.lanes; lane++)
		for (unsigned i = 0; i < FRM_OWNERS_MAX; i++)
			note_entry(t, TORN_OWNER, &t->u.lane[lane].head->owner[i],
				   &t->u.lane[lane].tail->owner[i], sizeof(struct frm_owner));
	while (t->log_seen < t->u.ring.log_used && t->log_seen < t->u.ring.log_size) {
		const struct frm_desc *desc = (const struct frm_desc *)(meta[0]->log + t->log_seen);

		if (!desc->size) /* what did not fit any more */
			break;
		note_entry(t, TORN_DESC, desc, meta[1]->log + t->log_seen, desc->size);
		t->log_seen += fr_record_span(desc->size);
	}
}

void torn_make(struct torn *t, uint64_t size, uint32_t lanes, uint32_t policy)
{
	memset(t, 0, sizeof(*t));
	unit_ring_make(&t->u, size, lanes, policy);
	t->old = malloc(size);
	t->now = calloc(1, size);
	t->first = malloc((size / 8 + 1) * sizeof(*t->first));
	assert_true(t->old && t->now && t->first);
	for (uint32_t lane = 0; lane < t->u.lanes; lane++)
		t->lane[lane].owners = 1;
	note_stores(t);
	note_meta(t);
}

void torn_free(struct torn *t)
{
	for (uint32_t lane = 0; lane < t->u.lanes; lane++) {
		for (uint64_t seq = 0; seq < t->lane[lane].count; seq++)
			free(t->lane[lane].record[seq].bytes);
		free(t->lane[lane].record);
	}
	free(t->old);
	free(t->now);
	free(t->store);
	free(t->first);
	free(t->entry);
	unit_ring_free(&t->u);
}

static uint32_t payload_size(const struct torn *t, uint64_t *seed, uint32_t lane)
{
	uint32_t most = t->u.lane[lane].max_record - (uint32_t)sizeof(struct frm_record);

	switch (below(seed, 32)) {
	case 0:
		return (uint32_t)below(seed, most + 1);
	case 1:
	case 2:
		return (uint32_t)below(seed, most < 2500 ? most + 1 : 2500);
	default:
		return (uint32_t)below(seed, 200);
	}
}

/* Payloads look like anything, also like records. */
static void fill(const struct torn *t, uint64_t *seed, uint32_t lane, unsigned char *payload,
		 uint32_t size)
{
	switch (below(seed, 16)) {
	case 0:
		memset(payload, 0, size);
		break;
	case 1:
		memmove(payload,
			t->u.lane[lane].data + below(seed, (t->u.lane[lane].size - size) / 8) * 8,
			size);
		break;
	default:
		random_bytes(seed, payload, size);
	}
}

/* Reserves in a lane; false when it is full. */
static bool reserve(struct torn *t, uint64_t *seed, uint32_t lane, struct fr_reservation *res)
{
	uint32_t size = payload_size(t, seed, lane);
	struct torn_lane *l = &t->lane[lane];
	size_t room = l->room;
	uint64_t seq = l->count;

	if (fr_lane_reserve(&t->u.lane[lane], size, res) < 0) {
		t->discarded[1][lane]++;
		return false;
	}
	l->record = grown(l->record, l->count, &room, sizeof(*l->record));
	l->room = room;
	l->record[l->count++] = (struct torn_record){ .pos = res->record->pos,
						      .size = res->size,
						      .span = fr_record_span(res->size) };
	if (below(seed, 4) == 0)
		note_stores(t); /* an instant at which the record is reserved and nothing more */
	res->record->time_ns = unit_time(lane, seq);
	res->record->event = t->u.event;
	res->record->cpu = (uint16_t)lane;
	res->record->tid = 100 + lane;
	fill(t, seed, lane, (unsigned char *)(res->record + 1), size);
	if (below(seed, 4) == 0)
		note_stores(t); /* one at which only the checksum is missing */
	return true;
}

static void write_record(struct torn *t, uint64_t *seed, uint32_t lane)
{
	struct fr_reservation res;
	struct torn_record *record;
	uint64_t how = below(seed, 32);

	if (!reserve(t, seed, lane, &res))
		return;
	if (how == 0)
		fr_lane_cover_torn(&t->u.lane[lane], UNIT_TIME);
	else
		fr_lane_commit(&res, how == 1 ? FRM_RECORD_DISCARDED : 0);
	record = &t->lane[lane].record[t->lane[lane].count - 1];
	record->bytes = malloc(record->span);
	assert_non_null(record->bytes);
	memcpy(record->bytes, res.record, record->span);
}

static void change_meta(struct torn *t, uint64_t *seed)
{
	static const struct fr_field_spec fields[] = { { FRM_U32, "a", "ns" },
						       { FRM_STR, "b", "" } };
	struct fr_ring *ring = &t->u.ring;
	uint32_t lane = (uint32_t)below(seed, t->u.lanes);
	enum frm_loss cause;
	char name[32];

	snprintf(name, sizeof(name), "name %u", (unsigned)below(seed, 100000));
	switch (below(seed, 8)) {
	case 0:
		fr_ring_lane_owner(ring, &t->u.lane[lane], t->lane[lane].owners++, 100 + lane,
				   name);
		break;
	case 1:
		t->session = (uint16_t)fr_ring_session_begin(ring, 0, NULL, name);
		break;
	case 2:
		if (t->session)
			fr_ring_session_end(ring, t->session);
		break;
	case 3:
		fr_ring_anchor(ring);
		break;
	case 4:
	case 5:
		cause = below(seed, 2) ? FRM_LOSS_DISCARDED_BUSY : FRM_LOSS_DISCARDED_SIZE;
		fr_ring_count_loss(ring, cause, 1 + below(seed, 5));
		break;
	case 6:
		*fr_ring_gate(ring, 0) = unit_random(seed);
		break;
	default:
		if (t->declared++ < 40) /* less than the log takes */
			fr_ring_declare_event(ring, 0, name, 1 + t->declared % 5, t->declared,
					      fields, 1 + t->declared % 2);
	}
	note_meta(t);
}

void torn_run(struct torn *t, uint64_t *seed, unsigned operations)
{
	while (operations--) {
		uint64_t r = below(seed, t->u.lanes); /* low lanes write more than high ones */
		uint32_t lane = (uint32_t)below(seed, r + 1);

		if (below(seed, 12) == 0)
			change_meta(t, seed);
		else
			write_record(t, seed, lane);
		note_stores(t);
	}
	memcpy(t->loss[1], t->u.ring.meta[0]->state.loss, sizeof(t->loss[1]));
}

void torn_sync(struct torn *t)
{
	memcpy(t->old, t->now, t->u.ring.size);
	memcpy(t->loss[0], t->loss[1], sizeof(t->loss[0]));
	memcpy(t->discarded[0], t->discarded[1], sizeof(t->discarded[0]));
	t->stores = 0;
	t->tick = 0;
	for (uint32_t lane = 0; lane < t->u.lanes; lane++) {
		const unsigned char *data = t->old + (t->u.lane[lane].data - t->u.ring.base);

		for (uint64_t seq = 0; seq < t->lane[lane].count; seq++) {
			struct torn_record *record = &t->lane[lane].record[seq];

			record->stale = record->stale || !record->bytes ||
					memcmp(data + record->pos % t->u.lane[lane].size,
					       record->bytes, record->span);
		}
	}
}

static int by_word(const void *a, const void *b)
{
	const struct torn_store *x = a, *y = b;

	return x->word != y->word  ? (x->word < y->word ? -1 : 1)
	       : x->tick < y->tick ? -1
				   : x->tick > y->tick;
}

void torn_end(struct torn *t, uint64_t *seed)
{
	struct fr_reservation res;
	uint32_t word = 0;

	if (below(seed, 4) == 0) {
		fr_ring_close_mark(&t->u.ring, true);
		t->closed_boot_ns = t->u.ring.meta[0]->state.closed_boot_ns;
	} else {
		for (uint32_t lane = 0; lane < t->u.lanes; lane++)
			if (below(seed, 3) == 0)
				t->lane[lane].busy = reserve(t, seed, lane, &res);
	}
	note_stores(t);
	qsort(t->store, t->stores, sizeof(*t->store), by_word);
	for (uint32_t i = 0; i < t->stores; i++)
		while (word <= t->store[i].word)
			t->first[word++] = i;
	while (word <= t->u.ring.size / 8)
		t->first[word++] = (uint32_t)t->stores;
}

static void as_it_was(const struct torn *t, unsigned char *image, uint32_t grain, uint64_t unit,
		      uint32_t tick)
{
	uint64_t from = unit * (grain / 8);

	memcpy(image + unit * grain, t->old + unit * grain, grain);
	for (uint64_t word = from; word < from + grain / 8; word++)
		for (uint32_t i = t->first[word];
		     i < t->first[word + 1] && t->store[i].tick <= tick; i++)
			memcpy(image + word * 8, &t->store[i].value, 8);
}

static void trash(const struct torn *t, uint64_t *seed, unsigned char *image, struct torn_how *how,
		  uint64_t unit)
{
	unsigned char *bytes = image + unit * how->grain;

	switch (below(seed, 6)) {
	case 0:
		memset(bytes, 0, how->grain);
		break;
	case 1:
		memset(bytes, 0xff, how->grain);
		break;
	case 2:
		memcpy(bytes, t->now + below(seed, t->u.ring.size / how->grain) * how->grain,
		       how->grain);
		how->moved = true;
		break;
	case 3:
		bytes[below(seed, how->grain)] ^= (unsigned char)(1 << below(seed, 8));
		how->moved = true; /* a counter may look as good as before */
		break;
	default:
		random_bytes(seed, bytes, how->grain);
	}
}

enum fate { KEEP, DROP, OLDER, TRASH };

/* The unit holds what a lane's head says of where its writer is. */
static bool has_hints(const struct torn *t, uint32_t grain, uint64_t unit)
{
	const struct frm_super *super = &t->u.ring.super;
	uint64_t at = unit * grain;

	return at >= 2ull * super->meta_size &&
	       (at - 2ull * super->meta_size) % super->lane_size < offsetof(struct frm_lane, owner);
}

static bool has_super(const struct torn *t, uint32_t grain, uint64_t unit)
{
	return unit * grain % t->u.ring.super.meta_size == 0 &&
	       unit * grain <= t->u.ring.super.meta_size;
}

static enum fate any_but_keep(uint64_t *seed)
{
	return (enum fate)(DROP + below(seed, 3));
}

void torn_image(const struct torn *t, uint64_t *seed, unsigned char *image, struct torn_how *how)
{
	static const uint32_t grains[] = { 8, 64, 4096 };
	uint64_t mode = below(seed, 8), units, one = 0, changed = 0, odds[3];
	uint32_t until = (uint32_t)below(seed, t->tick + 1u);

	*how = (struct torn_how){ .grain = grains[below(seed, 3)] };
	units = t->u.ring.size / how->grain;
	for (int i = 0; i < 3; i++) /* of a thousand; often few, sometimes most */
		odds[i] = below(seed, 2) ? below(seed, 30) : below(seed, 400);
	memcpy(image, t->now, t->u.ring.size);
	for (uint64_t unit = 0; unit < units; unit++)
		if (t->first[unit * (how->grain / 8)] < t->first[(unit + 1) * (how->grain / 8)] &&
		    below(seed, ++changed) == 0)
			one = unit;
	for (uint64_t unit = 0; unit < units; unit++) {
		uint64_t r = below(seed, 1000);
		uint32_t tick = (uint32_t)below(seed, t->tick + 1u);
		enum fate fate;

		if (t->first[unit * (how->grain / 8)] == t->first[(unit + 1) * (how->grain / 8)])
			continue;
		switch (mode) {
		case 0: /* all kept but one */
			fate = unit == one ? any_but_keep(seed) : KEEP;
			break;
		case 1: /* all dropped but one */
			fate = unit == one ? (below(seed, 2) ? KEEP : TRASH) : DROP;
			break;
		case 2: /* as a process that is killed at some instant leaves it; and one unit besides */
			fate = unit == one ? any_but_keep(seed) : OLDER;
			tick = unit == one ? tick : until;
			break;
		case 3: /* each unit when it was its turn */
			fate = OLDER;
			break;
		case 4: /* heads run ahead of what they lead */
			fate = has_hints(t, how->grain, unit) ? KEEP : r < odds[0] ? OLDER : DROP;
			break;
		case 5: /* neither superblock's page was written well; anything else as below */
			fate = has_super(t, how->grain, unit) ? TRASH
			       : r < odds[0]		      ? DROP
			       : r < odds[0] + odds[1]	      ? TRASH
							      : KEEP;
			break;
		default:
			fate = r < odds[0]			 ? DROP
			       : r < odds[0] + odds[1]		 ? OLDER
			       : r < odds[0] + odds[1] + odds[2] ? TRASH
								 : KEEP;
		}
		how->kept += fate == KEEP;
		how->dropped += fate == DROP;
		how->older += fate == OLDER;
		how->trashed += fate == TRASH;
		if (fate == DROP)
			memcpy(image + unit * how->grain, t->old + unit * how->grain, how->grain);
		else if (fate == OLDER)
			as_it_was(t, image, how->grain, unit, tick);
		else if (fate == TRASH)
			trash(t, seed, image, how, unit);
	}
}

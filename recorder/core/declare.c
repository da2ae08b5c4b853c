/* SPDX-License-Identifier: MIT */
/*
 * declare.c - the writing side of the descriptor log: providers, events, modules.
 *
 * Lock-free, so that a signal handler may declare: an entry's place is taken by one atomic addition, the same in both
 * copies of the log; the entry is complete when its checksum holds. Equal entries share an id: whoever declares looks
 * through the log first. Two threads that declare the same thing at the same instant get two ids; both decode.
 *
 * The log is written and searched by atomic words of 8 bytes, because others append meanwhile. Their order does not
 * matter to who searches: an entry that is found equals, checksum included, what is looked for, in every word.
 */
#include <string.h>

#include "recorder/core/check.h"
#include "recorder/core/map.h"
#include "recorder/core/testpoint.h"

#define ENTRY_MAX 2048u

struct entry {
	uint32_t size;
	bool overflow;
	union {
		uint64_t words[ENTRY_MAX / 8]; /* zero behind the size */
		uint8_t bytes[ENTRY_MAX];
		struct frm_desc desc;
	};
};

static void put(struct entry *entry, const void *bytes, size_t size)
{
	if (size > ENTRY_MAX - entry->size) {
		entry->overflow = true;
		return;
	}
	if (size)
		memcpy(entry->bytes + entry->size, bytes, size);
	entry->size += (uint32_t)size;
}

static size_t length_of(const char *text, size_t most)
{
	return text ? strnlen(text, most) : 0;
}

static void sign(const struct fr_ring *ring, struct entry *entry, uint16_t type)
{
	entry->desc.size = (uint16_t)entry->size;
	entry->desc.type = type;
	entry->desc.crc = fr_check_crc(ring->super.ring_id, entry->bytes, entry->size, offsetof(struct frm_desc, crc));
}

static int append(struct fr_ring *ring, struct entry *entry, uint16_t type)
{
	uint32_t span = fr_record_span(entry->size), at;

	if (entry->overflow)
		return -EINVAL;
	sign(ring, entry, type);
	/* once full, the counter stays beyond the end; it can't come round in any life of a process */
	at = fr_load_relaxed(&ring->log_used) > ring->log_size ? ring->log_size : fr_add(&ring->log_used, span);
	if (at > ring->log_size || span > ring->log_size - at)
		return -ENOSPC;
	FR_TESTPOINT("descriptor-placed");
	for (int copy = 0; copy < 2; copy++) {
		uint64_t *words = (uint64_t *)(ring->meta[copy]->log + at);

		for (uint32_t i = 0; i < span / 8; i++)
			fr_store_relaxed(&words[i], entry->words[i]);
		FR_TESTPOINT("descriptor-stored");
	}
	fr_ring_changed(ring);
	return 0;
}

/* What is not declared is lost, each time. */
static int refuse(struct fr_ring *ring, int error)
{
	fr_ring_count_loss(ring, FRM_LOSS_DISCARDED_DESC, 1);
	return error;
}

/*
 * The id of the entry of that type that differs from `entry` by nothing else; it stands at `id_at`. -ENOENT: none.
 * Changes the entry's id and head. Who put what is found may not have told of it yet (I20): it is told of here, too.
 */
static int find(struct fr_ring *ring, struct entry *entry, uint16_t type, size_t id_at)
{
	const uint64_t *log = (const uint64_t *)ring->meta[0]->log;
	uint32_t used = fr_load_relaxed(&ring->log_used), words = fr_record_span(entry->size) / 8;

	if (used > ring->log_size)
		used = ring->log_size;
	for (const uint64_t *at = log, *end = log + used / 8; end - at >= words; at++) {
		union {
			uint64_t word;
			struct frm_desc desc;
			frm_le16 quarters[4];
		} seen = { fr_load_relaxed(at) };
		uint32_t equal = 0;
		frm_le16 id;

		if (seen.desc.type != type || seen.desc.size != entry->size)
			continue;
		seen.word = fr_load_relaxed(at + id_at / 8);
		id = seen.quarters[id_at % 8 / 2];
		memcpy(entry->bytes + id_at, &id, sizeof(id));
		sign(ring, entry, type);
		while (equal < words && fr_load_relaxed(at + equal) == entry->words[equal])
			equal++;
		if (equal == words) {
			fr_ring_changed(ring);
			return id;
		}
	}
	return -ENOENT;
}

int fr_ring_declare_provider(struct fr_ring *ring, const uint8_t guid[16], const char *name, uint16_t major, uint16_t minor)
{
	struct entry entry = { 0 };
	struct frm_desc_provider provider = {
		.name_len = (uint16_t)length_of(name, 128), .version_major = major, .version_minor = minor
	};
	uint32_t id;
	int known, r;

	memcpy(provider.guid, guid, 16);
	put(&entry, &provider, sizeof(provider));
	put(&entry, name, provider.name_len);
	known = find(ring, &entry, FRM_DESC_PROVIDER, offsetof(struct frm_desc_provider, id));
	if (known >= 0)
		return known;
	id = fr_add(&ring->next_provider, 1);
	if (id >= FRM_PROVIDERS_MAX) {
		fr_store_relaxed(&ring->next_provider, FRM_PROVIDERS_MAX);
		return refuse(ring, -ENOSPC);
	}
	((struct frm_desc_provider *)entry.bytes)->id = (uint16_t)id;
	r = append(ring, &entry, FRM_DESC_PROVIDER);
	return r < 0 ? refuse(ring, r) : (int)id;
}

int fr_ring_declare_event(struct fr_ring *ring, uint16_t provider, const char *name, uint8_t level, uint64_t keywords,
			  const struct fr_field_spec *fields, unsigned field_count)
{
	struct entry entry = { 0 };
	struct frm_desc_event event = {
		.keywords = keywords,
		.provider = provider,
		.level = level,
		.field_count = (uint8_t)field_count,
		.name_len = (uint16_t)length_of(name, 128),
	};
	uint32_t id;
	int known, r;

	if (field_count > 32)
		return refuse(ring, -EINVAL);
	put(&entry, &event, sizeof(event));
	put(&entry, name, event.name_len);
	for (unsigned i = 0; i < field_count; i++) {
		struct frm_field field = { .type = fields[i].type,
					   .name_len = (uint8_t)length_of(fields[i].name, 255),
					   .unit_len = (uint8_t)length_of(fields[i].unit, 255) };

		put(&entry, &field, sizeof(field));
		put(&entry, fields[i].name, field.name_len);
		put(&entry, fields[i].unit, field.unit_len);
	}
	if (entry.overflow)
		return refuse(ring, -EINVAL);
	known = find(ring, &entry, FRM_DESC_EVENT, offsetof(struct frm_desc_event, id));
	if (known >= 0)
		return known;
	id = fr_add(&ring->next_event, 1);
	if (id > UINT16_MAX) {
		fr_store_relaxed(&ring->next_event, UINT16_MAX + 1u);
		return refuse(ring, -ENOSPC);
	}
	((struct frm_desc_event *)entry.bytes)->id = (uint16_t)id;
	r = append(ring, &entry, FRM_DESC_EVENT);
	return r < 0 ? refuse(ring, r) : (int)id;
}

int fr_ring_declare_raw(struct fr_ring *ring, uint16_t type, const void *bytes, size_t size)
{
	struct entry entry = { .size = sizeof(struct frm_desc) };

	put(&entry, bytes, size);
	return append(ring, &entry, type);
}

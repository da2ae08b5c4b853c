/* SPDX-License-Identifier: MIT */
/* repair.c - see repair.h. */
#include "tests/fuzz/repair.h"

#include <stdbool.h>
#include <string.h>

#include "recorder/core/check.h"
#include "recorder/core/crc.h"
#include "recorder/core/ring.h"

static void repair_log(uint8_t *log, size_t size, const uint8_t ring_id[16])
{
	for (size_t at = 0; at + sizeof(struct frm_desc) <= size;) {
		struct frm_desc *desc = (struct frm_desc *)(log + at);

		if (desc->size < sizeof(*desc) || desc->size > FRM_DESC_MAX ||
		    desc->size > size - at || !desc->type) {
			at += 8;
			continue;
		}
		desc->crc = fr_check_crc(ring_id, desc, desc->size, offsetof(struct frm_desc, crc));
		at += fr_record_span(desc->size);
	}
}

/* A meta of which `size` bytes are there. */
static void repair_meta(uint8_t *bytes, size_t size, const uint8_t ring_id[16])
{
	struct frm_meta *meta = (struct frm_meta *)bytes;

	if (size < sizeof(meta->super))
		return;
	meta->super.magic = FRM_MAGIC_RING;
	memcpy(meta->super.ring_id, ring_id, 16);
	fr_super_sign(&meta->super);
	if (size < offsetof(struct frm_meta, log))
		return;
	for (size_t i = 0; i < FRM_ANCHORS_MAX; i++)
		if (meta->tables.anchor[i].real_ns)
			fr_anchor_sign(&meta->tables.anchor[i], ring_id);
	for (size_t i = 0; i < FRM_SESSIONS_MAX; i++)
		if (meta->tables.session[i].number)
			fr_session_sign(&meta->tables.session[i], ring_id);
	repair_log(meta->log, size - offsetof(struct frm_meta, log), ring_id);
}

static void repair_owners(struct frm_owner owner[FRM_OWNERS_MAX], const uint8_t ring_id[16])
{
	for (size_t i = 0; i < FRM_OWNERS_MAX; i++)
		if (owner[i].tid)
			fr_owner_sign(&owner[i], ring_id);
}

static bool sign_record(uint8_t *at, size_t room, uint32_t seed)
{
	struct frm_record *record = (struct frm_record *)at;
	uint32_t size = record->size_flags & FRM_RECORD_SIZE_MASK;

	if (size < sizeof(*record) || size > FRM_RECORD_MAX || fr_record_span(size) > room)
		return false;
	memset(at + size, 0, fr_record_span(size) - size);
	record->crc = fr_crc32c_record(seed, record->pos, (uint64_t)record->size_flags << 32,
				       at + 16, fr_record_span(size) - 16);
	return true;
}

/* Data of `lane_size` bytes, of which `size` are there. */
static void repair_lane(uint8_t *data, size_t size, uint64_t lane_size, uint32_t seed, enum repair place)
{
	for (size_t at = 0; at + sizeof(struct frm_record) <= size;) {
		struct frm_record *record = (struct frm_record *)(data + at);
		uint32_t length = record->size_flags & FRM_RECORD_SIZE_MASK;

		if (place == REPAIR_PLACE && length >= sizeof(*record) &&
		    length <= fr_lane_max_record(lane_size) && record->pos % lane_size != at)
			record->pos = record->pos - record->pos % lane_size + at;
		if ((place == REPAIR_ANYWHERE || record->pos % lane_size == at) &&
		    sign_record(data + at, size - at, seed))
			at += fr_record_span(length);
		else
			at += 8;
	}
}

static void repair_ring(uint8_t *image, size_t size, enum repair place)
{
	struct frm_super *super = (struct frm_super *)image;
	uint8_t id[16];
	size_t meta;

	if (size < sizeof(*super))
		return;
	memcpy(id, super->ring_id, sizeof(id));
	repair_meta(image, size, id);
	if (fr_super_check(super) < 0)
		return;
	meta = super->meta_size;
	repair_meta(image, meta < size ? meta : size, id);
	if (size > meta)
		repair_meta(image + meta, meta < size - meta ? meta : size - meta, id);
	for (uint32_t lane = 0; lane < super->lane_count; lane++) {
		uint64_t at = fr_super_lane_offset(super, lane), data = fr_super_lane_data(super);
		uint32_t seed = fr_lane_seed(super->ring_id, super->boot_id, lane);

		for (int copy = 0; copy < 2; copy++) {
			uint64_t head_at = at + (copy ? FRM_LANE_HEAD + data : 0);
			struct frm_lane *head = (struct frm_lane *)(image + head_at);

			if (head_at > size || size - head_at < sizeof(*head) || head->magic != FRM_MAGIC_LANE)
				continue;
			fr_lane_head_sign(head);
			repair_owners(head->owner, id);
		}
		at += FRM_LANE_HEAD;
		if (at < size)
			repair_lane(image + at, data < size - at ? data : size - at, data, seed, place);
	}
}

/* ------------------------------------------------------------------ segment */

static void repair_stream(uint8_t *data, size_t size, uint32_t seed)
{
	for (size_t at = 0; at + sizeof(struct frm_record) <= size;) {
		const struct frm_record *record = (const struct frm_record *)(data + at);

		at += sign_record(data + at, size - at, seed)
			      ? fr_record_span(record->size_flags & FRM_RECORD_SIZE_MASK)
			      : 8;
	}
}

static void repair_chunk(uint8_t *at, const struct frm_super *super, size_t offset)
{
	struct frm_chunk *chunk = (struct frm_chunk *)at;
	uint8_t *body = at + sizeof(*chunk);
	size_t size = chunk->size - sizeof(*chunk);
	struct frm_chunk_lane *lane = (struct frm_chunk_lane *)body;

	if (chunk->type == FRM_CHUNK_LANE && size >= sizeof(*lane)) {
		repair_owners(lane->owner, super->ring_id);
		repair_stream(body + sizeof(*lane), size - sizeof(*lane),
			      fr_lane_seed(super->ring_id, super->boot_id, lane->lane));
	} else if (chunk->type == FRM_CHUNK_SEAL && size >= sizeof(struct frm_seal)) {
		((struct frm_seal *)body)->bytes = offset;
	}
	chunk->crc = fr_check_crc(NULL, chunk, chunk->size, offsetof(struct frm_chunk, crc));
}

static void repair_segment(uint8_t *image, size_t size)
{
	struct frm_segment *segment = (struct frm_segment *)image;
	struct frm_super super = { 0 };

	if (size < sizeof(*segment))
		return;
	segment->crc = fr_check_crc(NULL, segment, sizeof(*segment), offsetof(struct frm_segment, crc));
	for (size_t at = sizeof(*segment); at + sizeof(struct frm_chunk) <= size;) {
		struct frm_chunk *chunk = (struct frm_chunk *)(image + at);

		if (chunk->size < sizeof(*chunk) || chunk->size > size - at || !chunk->type ||
		    chunk->type > 16) {
			at += 8;
			continue;
		}
		if (chunk->type == FRM_CHUNK_META && !super.magic &&
		    chunk->size - sizeof(*chunk) >= sizeof(super)) {
			repair_meta((uint8_t *)(chunk + 1), chunk->size - sizeof(*chunk), segment->ring_id);
			memcpy(&super, chunk + 1, sizeof(super));
		}
		repair_chunk(image + at, &super, at);
		at += (chunk->size + 7) & ~7ull;
	}
}

void repair_image(uint8_t *image, size_t size, enum repair place)
{
	uint64_t magic = 0;

	if (size >= sizeof(magic))
		memcpy(&magic, image, sizeof(magic));
	if (magic == FRM_MAGIC_SEGMENT)
		repair_segment(image, size);
	else
		repair_ring(image, size, place);
}

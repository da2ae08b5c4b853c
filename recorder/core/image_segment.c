/* SPDX-License-Identifier: MIT */
/*
 * image_segment.c - the reading side of a segment: chunks, each with its checksum, up to the seal.
 *
 * A chunk whose checksum fails ends nothing: its header's size may still lead to the next one, and the records of a lane
 * chunk prove themselves one by one. What the chunk promised and does not hold is counted as damaged. The losses that salvage
 * named are taken as they stand.
 */
#include <errno.h>
#include <string.h>

#include "recorder/core/image_private.h"
#include "recorder/core/ring.h"

static bool chunk_ok(const struct frm_chunk *chunk)
{
	return chunk->crc == fr_check_crc(NULL, chunk, chunk->size, offsetof(struct frm_chunk, crc));
}

static bool seals(const struct frm_chunk *chunk, uint64_t at)
{
	return chunk->type == FRM_CHUNK_SEAL && chunk->size == sizeof(*chunk) + sizeof(struct frm_seal) && chunk_ok(chunk) &&
	       ((const struct frm_seal *)(chunk + 1))->bytes == at; /* I19 */
}

static int read_chunk_meta(struct fr_image *image, const struct frm_chunk *chunk)
{
	uint64_t size = chunk->size - sizeof(*chunk);
	const unsigned char *bytes = (const unsigned char *)(chunk + 1);
	const struct frm_super *super = (const struct frm_super *)bytes;
	int r;

	if (image->meta || size < FRM_META_MIN)
		return image->meta ? 0 : -EBADMSG;
	r = fr_super_check(super);
	if (r < 0)
		return r;
	if (super->meta_size != size || memcmp(super->ring_id, image->segment.ring_id, 16))
		return -EBADMSG;
	return fr_image_merge_meta(image, bytes, bytes);
}

static int read_chunk_lane(struct fr_image *image, const struct frm_chunk *chunk)
{
	const struct frm_chunk_lane *lane = (const struct frm_chunk_lane *)(chunk + 1);
	uint64_t size = chunk->size - sizeof(*chunk);
	struct fr_lane_info *info;
	int r;

	if (size < sizeof(*lane) || lane->lane >= image->super.lane_count)
		return 0;
	info = &image->lanes[lane->lane].info;
	if (info->readable)
		return 0; /* a lane comes once */
	info->readable = true;
	info->data_size = fr_super_lane_data(&image->super);
	memcpy(info->owner, lane->owner, sizeof(info->owner));
	for (size_t i = 0; i < FRM_OWNERS_MAX; i++) {
		if (!fr_owner_ok(&info->owner[i], image->super.ring_id))
			memset(&info->owner[i], 0, sizeof(info->owner[i]));
		info->owner[i].name[sizeof(info->owner[i].name) - 1] = '\0';
	}
	r = fr_scan_stream(image, lane->lane, (const unsigned char *)(lane + 1), size - sizeof(*lane));
	if (r == 0 && info->records < lane->record_count) {
		struct fr_loss loss = { .lane = lane->lane, .cause = FRM_LOSS_DAMAGED, .count = lane->record_count - info->records };

		r = fr_image_add_loss(image, &loss);
	}
	return r;
}

static int read_chunk_losses(struct fr_image *image, const struct frm_chunk *chunk)
{
	const struct frm_loss_entry *entry = (const struct frm_loss_entry *)(chunk + 1);
	int r = 0;

	for (uint64_t left = chunk->size - sizeof(*chunk); left >= sizeof(*entry) && r == 0; left -= sizeof(*entry), entry++) {
		struct fr_loss loss = { .lane = entry->lane,
					.cause = entry->cause,
					.first_seq = entry->first_seq,
					.count = entry->count,
					.from_pos = entry->from_pos,
					.to_pos = entry->to_pos };

		if (entry->lane < image->super.lane_count || entry->lane == FRM_LANE_NONE)
			r = fr_image_add_loss(image, &loss);
	}
	return r;
}

static void read_chunk_text(struct fr_image *image, const struct frm_chunk *chunk)
{
	const unsigned char *bytes = (const unsigned char *)(chunk + 1);
	uint64_t size = chunk->size - sizeof(*chunk);
	uint32_t name_len;
	char *name;

	if (size < sizeof(name_len))
		return;
	memcpy(&name_len, bytes, sizeof(name_len));
	if (name_len > size - sizeof(name_len) || name_len > 4096)
		return;
	name = fr_image_alloc(image, name_len + 1u);
	if (!name)
		return;
	memcpy(name, bytes + sizeof(name_len), name_len);
	image->texts[image->text_count++] = (struct text){ .name = name,
							   .bytes = (const char *)bytes + sizeof(name_len) + name_len,
							   .size = size - sizeof(name_len) - name_len };
}

int fr_image_read_segment(struct fr_image *image, size_t size)
{
	const struct frm_segment *segment = (const struct frm_segment *)image->bytes;
	bool sealed = false;
	size_t at = sizeof(*segment), texts = 0;
	int r = 0;

	if (size < sizeof(*segment))
		return -EBADMSG;
	if (segment->version_major > FRM_VERSION_MAJOR)
		return -EPROTONOSUPPORT;
	if (segment->crc != fr_check_crc(NULL, segment, sizeof(*segment), offsetof(struct frm_segment, crc)))
		return -EBADMSG;
	image->segment = *segment;
	/* first the seal: without it, nothing in here is promised */
	for (size_t i = at; i + sizeof(struct frm_chunk) <= size;) {
		const struct frm_chunk *chunk = (const struct frm_chunk *)(image->bytes + i);

		if (chunk->size < sizeof(*chunk) || chunk->size > size - i)
			break;
		texts += chunk->type == FRM_CHUNK_TEXT;
		sealed = seals(chunk, i);
		i += (chunk->size + 7) & ~7ull;
	}
	if (!sealed)
		return -ENODATA;
	image->texts = fr_image_alloc(image, (texts + 1) * sizeof(*image->texts));
	if (!image->texts)
		return -ENOMEM;
	while (r == 0 && at + sizeof(struct frm_chunk) <= size) {
		const struct frm_chunk *chunk = (const struct frm_chunk *)(image->bytes + at);
		bool ok;

		if (chunk->size < sizeof(*chunk) || chunk->size > size - at)
			break;
		ok = chunk_ok(chunk);
		if (chunk->type == FRM_CHUNK_META)
			r = read_chunk_meta(image, chunk);
		else if (!image->meta)
			r = -EBADMSG; /* the meta comes first, or nothing can be judged */
		else if (chunk->type == FRM_CHUNK_LANE)
			r = read_chunk_lane(image, chunk);
		else if (chunk->type == FRM_CHUNK_LOSSES && ok)
			r = read_chunk_losses(image, chunk);
		else if (chunk->type == FRM_CHUNK_TEXT && ok)
			read_chunk_text(image, chunk);
		at += (chunk->size + 7) & ~7ull;
	}
	return r == 0 && !image->meta ? -EBADMSG : r;
}

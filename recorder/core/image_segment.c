/* SPDX-License-Identifier: MIT */
/*
 * image_segment.c - the reading side of a segment: chunks, each with its checksum, up to the seal.
 *
 * The seal is the file's last chunk, so it is looked for at the end. A chunk whose checksum fails ends nothing: the next one is
 * where its header says, if one holds there, else the next place where one holds. What lies in between is read for what it
 * claims to be, as far as entries prove themselves: the superblock, descriptors, the records of a
 * lane. How many records are missing the seal tells; in which lane, what the lanes' chunks promised
 * and do not hold. All that is counted as damaged. The losses that salvage named are taken as they
 * stand.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/image_private.h"
#include "recorder/core/ring.h"

#define TEXTS_MAX 4096

/* Checksummed in vain, at most; see scan.c. */
struct patience {
	uint64_t bytes;
};

/* A chunk that lies within `room` bytes and whose checksum holds. */
static bool chunk_ok(const struct frm_chunk *chunk, uint64_t room, struct patience *patience)
{
	if (room < sizeof(*chunk) || chunk->size < sizeof(*chunk) || chunk->size > room || chunk->size > patience->bytes)
		return false;
	if (chunk->crc == fr_check_crc(NULL, chunk, chunk->size, offsetof(struct frm_chunk, crc)))
		return true;
	patience->bytes -= chunk->size;
	return false;
}

static uint64_t padded(uint64_t size)
{
	return (size + 7) & ~7ull;
}

/* Where the seal is, or 0: a file without one is no segment (I19). */
static uint64_t find_seal(const unsigned char *bytes, uint64_t size)
{
	const uint64_t length = sizeof(struct frm_chunk) + sizeof(struct frm_seal);
	struct patience patience = { length };
	const struct frm_chunk *chunk;

	if (size % 8 || size < sizeof(struct frm_segment) + length)
		return 0;
	chunk = (const struct frm_chunk *)(bytes + size - length);
	if (chunk->type != FRM_CHUNK_SEAL || chunk->size != length || !chunk_ok(chunk, length, &patience) ||
	    ((const struct frm_seal *)(chunk + 1))->bytes != size - length)
		return 0;
	return size - length;
}

/*
 * Where a meta that does not hold ends, by its header at `next`. Its length may be anything, so a damaged one can lead over a
 * chunk, and the records in there would be taken for rubbish in the log.
 */
static uint64_t end_of_meta(const unsigned char *bytes, uint64_t at, uint64_t next)
{
	struct patience patience = { 16 * (next - at) };

	for (uint64_t i = at + sizeof(struct frm_chunk) + offsetof(struct frm_meta, log); i < next; i += 8)
		if (chunk_ok((const struct frm_chunk *)(bytes + i), next - i, &patience))
			return i;
	return next;
}

/* Where the chunk after the one at `at` begins, which itself holds or not. */
static uint64_t next_chunk(const unsigned char *bytes, uint64_t at, uint64_t end, bool holds, struct patience *patience)
{
	const struct frm_chunk *chunk = (const struct frm_chunk *)(bytes + at);
	uint64_t next = chunk->size <= end - at ? at + padded(chunk->size) : 0;

	if (holds)
		return next;
	if (next > at && (next == end || (next < end && chunk_ok((const struct frm_chunk *)(bytes + next), end - next, patience))))
		return at == sizeof(struct frm_segment) ? end_of_meta(bytes, at, next) : next;
	for (next = at + 8; next < end; next += 8)
		if (chunk_ok((const struct frm_chunk *)(bytes + next), end - next, patience))
			return next;
	return end;
}

static int read_chunk_meta(struct fr_image *image, const struct frm_chunk *chunk, uint64_t size)
{
	const unsigned char *bytes = (const unsigned char *)(chunk + 1);
	const struct frm_super *super = (const struct frm_super *)bytes;
	unsigned char *whole;
	int r;

	if (image->meta || size < offsetof(struct frm_meta, log))
		return image->meta ? 0 : -EBADMSG;
	r = fr_super_check(super); /* bounds meta_size, too */
	if (r < 0)
		return r;
	if (size > super->meta_size || memcmp(super->ring_id, image->segment.ring_id, 16))
		return -EBADMSG;
	whole = calloc(1, super->meta_size);
	if (!whole)
		return -ENOMEM;
	memcpy(whole, bytes, size);
	r = fr_image_merge_meta(image, whole, whole, NULL);
	free(whole);
	return r;
}

/* `shortage`, by lane: records that its chunk promised and does not hold. */
static int read_chunk_lane(struct fr_image *image, const struct frm_chunk *chunk, uint64_t size, bool holds,
			   uint64_t shortage[FRM_LANES_MAX])
{
	const struct frm_chunk_lane *lane = (const struct frm_chunk_lane *)(chunk + 1);
	struct fr_lane_info *info;
	uint64_t promised;
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
	if (!holds && !info->records) /* its number is damaged: leave the lane to the chunk that has it */
		memset(info, 0, sizeof(*info));
	promised = (size - sizeof(*lane)) / sizeof(struct frm_record);
	if (lane->record_count < promised) /* the number itself may be what is damaged */
		promised = lane->record_count;
	if (info->readable && info->records < promised)
		shortage[lane->lane] = promised - info->records;
	return r;
}

/*
 * What is missing of the seal's count. A promise may itself be damaged, so no more than that is
 * believed of it; and of a chunk whose beginning can't be found, because the one before it is
 * damaged as well, only the seal knows.
 */
static int tell_shortage(struct fr_image *image, const uint64_t shortage[FRM_LANES_MAX], uint64_t sealed)
{
	uint64_t missing = sealed;
	int r = 0;

	for (uint32_t i = 0; i < image->super.lane_count; i++)
		missing -= image->lanes[i].info.records < missing ? image->lanes[i].info.records : missing;
	for (uint32_t i = 0; i <= image->super.lane_count && missing && r == 0; i++) {
		bool known = i < image->super.lane_count;
		uint64_t count = known && shortage[i] < missing ? shortage[i] : missing;
		struct fr_loss loss = { .lane = known ? i : FRM_LANE_NONE,
					.cause = FRM_LOSS_DAMAGED,
					.count = count };

		missing -= count;
		if (count)
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
	name = image->text_count < image->text_room ? fr_image_alloc(image, name_len + 1u) : NULL;
	if (!name)
		return;
	memcpy(name, bytes + sizeof(name_len), name_len);
	image->texts[image->text_count++] = (struct text){ .name = name,
							   .bytes = (const char *)bytes + sizeof(name_len) + name_len,
							   .size = size - sizeof(name_len) - name_len };
}

/* As the seal says, but no more than there is room for: its checksum holds whoever wrote it. */
static uint64_t sealed_records(const unsigned char *bytes, uint64_t end)
{
	const struct frm_seal *seal = (const struct frm_seal *)(bytes + end + sizeof(struct frm_chunk));
	uint64_t room = end / sizeof(struct frm_record);

	return seal->records < room ? seal->records : room;
}

int fr_image_read_segment(struct fr_image *image, size_t size)
{
	const struct frm_segment *segment = (const struct frm_segment *)image->bytes;
	struct patience patience = { 16 * (uint64_t)size };
	uint64_t at = sizeof(*segment), end, texts = 0;
	uint64_t shortage[FRM_LANES_MAX] = { 0 };
	int r = 0;

	if (size < sizeof(*segment))
		return -EBADMSG;
	if (segment->version_major > FRM_VERSION_MAJOR)
		return -EPROTONOSUPPORT;
	if (segment->crc != fr_check_crc(NULL, segment, sizeof(*segment), offsetof(struct frm_segment, crc)))
		return -EBADMSG;
	image->segment = *segment;
	end = find_seal(image->bytes, size);
	if (!end)
		return -ENODATA;
	for (uint64_t i = at; i + sizeof(struct frm_chunk) <= end; i += 8)
		texts += ((const struct frm_chunk *)(image->bytes + i))->type == FRM_CHUNK_TEXT; /* at most so many */
	if (texts > TEXTS_MAX)
		texts = TEXTS_MAX;
	image->text_room = texts;
	image->texts = fr_image_alloc(image, (texts + 1) * sizeof(*image->texts));
	if (!image->texts)
		return -ENOMEM;
	while (r == 0 && at + sizeof(struct frm_chunk) <= end) {
		const struct frm_chunk *chunk = (const struct frm_chunk *)(image->bytes + at);
		bool holds = chunk_ok(chunk, end - at, &patience);
		uint64_t next = next_chunk(image->bytes, at, end, holds, &patience), body;

		image->chunks_damaged += !holds;
		body = (holds ? chunk->size : next - at) - sizeof(*chunk);
		if (!image->meta) /* the meta comes first, or nothing can be judged */
			r = chunk->type == FRM_CHUNK_META || !holds ? read_chunk_meta(image, chunk, body) : -EBADMSG;
		else if (chunk->type == FRM_CHUNK_LANE)
			r = read_chunk_lane(image, chunk, body, holds, shortage);
		else if (chunk->type == FRM_CHUNK_LOSSES && holds)
			r = read_chunk_losses(image, chunk);
		else if (chunk->type == FRM_CHUNK_TEXT && holds)
			read_chunk_text(image, chunk);
		at = next;
	}
	if (r == 0 && !image->meta)
		r = -EBADMSG;
	if (r == 0)
		r = tell_shortage(image, shortage, sealed_records(image->bytes, end));
	for (size_t i = 0; r == 0 && i < image->super.lane_count; i++) { /* without a chunk: it had nothing */
		image->lanes[i].info.readable = true;
		image->lanes[i].info.data_size = fr_super_lane_data(&image->super);
	}
	return r;
}

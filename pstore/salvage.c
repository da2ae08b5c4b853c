/* SPDX-License-Identifier: MIT */
/* salvage.c - see salvage.h. This file: from a judged image to a sealed part. salvage_ring.c: a ring file's whole way. */
#include "pstore/salvage.h"

#include <errno.h>
#include <string.h>

#include "pstore/cursor.h"

/* What of each lane goes into this part. */
struct lane_part {
	uint64_t first, end; /* numbers: [first, end) are this part's business */
	uint64_t records, bytes;
	size_t from, to; /* indices of the image's records, [from, to) */
};

struct part {
	const struct fr_image *image;
	struct fr_cursor *cursor;
	size_t lanes;
	struct lane_part lane[FRM_LANES_MAX];
	uint64_t records; /* all, with those that are flagged */
	struct frm_loss_entry *loss;
	size_t losses;
};

static bool wanted(const struct part *part, const struct fr_record *record)
{
	const struct lane_part *lane = &part->lane[record->lane];

	return record->seq >= lane->first && record->seq < lane->end;
}

static uint64_t span_of(const struct fr_record *record)
{
	return (sizeof(struct frm_record) + record->payload_size + FRM_RECORD_ALIGN - 1) & ~(uint64_t)(FRM_RECORD_ALIGN - 1);
}

static void choose_records(struct part *part, const uint64_t *limit, struct fr_found *found)
{
	const struct fr_image *image = part->image;

	part->lanes = fr_image_lane_count(image);
	if (part->lanes > FRM_LANES_MAX)
		part->lanes = FRM_LANES_MAX;
	for (size_t i = 0; i < part->lanes; i++) {
		part->lane[i].first = part->cursor->lane[i].next_seq;
		part->lane[i].end = limit ? limit[i] : UINT64_MAX;
	}
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct lane_part *lane;

		if (record->lane >= part->lanes || !wanted(part, record))
			continue;
		lane = &part->lane[record->lane];
		if (!lane->records)
			lane->from = i;
		lane->to = i + 1;
		lane->records++;
		lane->bytes += span_of(record);
		part->records++;
		if (record->flags)
			continue;
		if (!found->records || record->time_ns < found->first_ns)
			found->first_ns = record->time_ns;
		if (record->time_ns > found->last_ns)
			found->last_ns = record->time_ns;
		found->records++;
	}
}

/* What of a loss an earlier part has not told; false when nothing is left of it. */
static bool clip_loss(struct part *part, const struct fr_loss *loss, struct frm_loss_entry *entry)
{
	uint64_t told = 0, end = loss->first_seq + loss->count;

	*entry = (struct frm_loss_entry){ .lane = loss->lane, .cause = loss->cause, .first_seq = loss->first_seq,
					  .count = loss->count, .from_pos = loss->from_pos, .to_pos = loss->to_pos };
	if ((unsigned)loss->cause >= FRM_LOSS_COUNT)
		return false;
	if (loss->lane == FRM_LANE_NONE || loss->cause > FRM_LOSS_DAMAGED) {
		/* a counter: tell what it has grown by */
		if (loss->lane == FRM_LANE_NONE)
			told = part->cursor->ledger[loss->cause];
		else if (loss->lane < part->lanes)
			told = part->cursor->lane[loss->lane].discarded;
		entry->count = loss->count > told ? loss->count - told : 0;
		return entry->count;
	}
	if (loss->lane >= part->lanes || end < loss->first_seq)
		return false;
	if (entry->first_seq < part->lane[loss->lane].first)
		entry->first_seq = part->lane[loss->lane].first;
	if (end > part->lane[loss->lane].end)
		end = part->lane[loss->lane].end;
	entry->count = end > entry->first_seq ? end - entry->first_seq : 0;
	return entry->count;
}

static int choose_losses(struct part *part, struct fr_found *found)
{
	size_t count = fr_image_loss_count(part->image);

	part->loss = calloc(count ? count : 1, sizeof(*part->loss));
	if (!part->loss)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct frm_loss_entry *entry = &part->loss[part->losses];

		if (!clip_loss(part, fr_image_loss(part->image, i), entry))
			continue;
		part->losses++;
		found->loss[entry->cause] += entry->count;
	}
	return 0;
}

/* Records that lie side by side in the image go in one piece. */
static void write_lane(struct fr_segment *segment, const struct part *part, uint32_t index)
{
	const struct lane_part *lane = &part->lane[index];
	const struct fr_lane_info *info = fr_image_lane(part->image, index);
	struct frm_chunk_lane head = { .lane = index, .record_count = (uint32_t)lane->records, .bytes = lane->bytes };
	const unsigned char *run = NULL;
	size_t run_bytes = 0;

	if (info)
		memcpy(head.owner, info->owner, sizeof(head.owner));
	fr_segment_begin(segment, FRM_CHUNK_LANE, sizeof(head) + lane->bytes);
	fr_segment_append(segment, &head, sizeof(head));
	for (size_t i = lane->from; i < lane->to; i++) {
		const struct fr_record *record = fr_image_record(part->image, i);
		const unsigned char *bytes = (const unsigned char *)record->head;

		if (record->lane != index || !wanted(part, record))
			continue;
		if (!run || bytes != run + run_bytes) {
			fr_segment_append(segment, run, run_bytes);
			run = bytes;
			run_bytes = 0;
		}
		run_bytes += span_of(record);
	}
	fr_segment_append(segment, run, run_bytes);
	fr_segment_end(segment);
}

static void write_text(struct fr_segment *segment, const struct fr_salvage_text *text)
{
	frm_le32 length = (frm_le32)strlen(text->name);

	fr_segment_begin(segment, FRM_CHUNK_TEXT, sizeof(length) + length + text->size);
	fr_segment_append(segment, &length, sizeof(length));
	fr_segment_append(segment, text->name, length);
	fr_segment_append(segment, text->bytes, text->size);
	fr_segment_end(segment);
}

static int write_part(struct fr_spool *spool, const struct part *part, enum frm_reason reason,
		      const struct fr_salvage_text *text, size_t texts, struct fr_found *found)
{
	const struct frm_super *super = fr_image_super(part->image);
	struct fr_segment *segment;
	struct frm_segment head;
	int error;

	fr_segment_head(&head, super->ring_id, super->boot_id, part->cursor->next_part, reason);
	error = fr_segment_create(spool->dir, &head, &segment);
	if (error < 0)
		return error;
	fr_segment_meta(segment, fr_image_meta(part->image));
	for (uint32_t i = 0; i < part->lanes; i++)
		if (part->lane[i].records)
			write_lane(segment, part, i);
	if (part->losses)
		fr_segment_chunk(segment, FRM_CHUNK_LOSSES, part->loss, part->losses * sizeof(*part->loss));
	for (size_t i = 0; i < texts; i++)
		write_text(segment, &text[i]);
	error = fr_segment_seal(segment, part->records, &found->bytes);
	if (error < 0)
		return error;
	found->part = part->cursor->next_part;
	fr_segment_name(found->segment, super->ring_id, found->part);
	return 0;
}

/* Everything this part told is behind the cursor now. */
static void move_cursor(const struct part *part, enum frm_reason reason)
{
	struct fr_cursor *cursor = part->cursor;

	cursor->next_part++;
	cursor->final = reason != FRM_REASON_DRAIN;
	if (cursor->lane_count < part->lanes)
		cursor->lane_count = (uint32_t)part->lanes;
	for (size_t i = 0; i < part->lanes; i++) {
		if (!part->lane[i].records)
			continue;
		for (size_t k = part->lane[i].from; k < part->lane[i].to; k++) {
			const struct fr_record *record = fr_image_record(part->image, k);

			if (record->lane == i && wanted(part, record) && cursor->lane[i].next_seq <= record->seq)
				cursor->lane[i].next_seq = record->seq + 1;
		}
	}
	for (size_t i = 0; i < part->losses; i++) {
		const struct frm_loss_entry *entry = &part->loss[i];

		if (entry->lane == FRM_LANE_NONE)
			cursor->ledger[entry->cause] += entry->count;
		else if (entry->cause > FRM_LOSS_DAMAGED)
			cursor->lane[entry->lane].discarded += entry->count;
		else if (cursor->lane[entry->lane].next_seq < entry->first_seq + entry->count)
			cursor->lane[entry->lane].next_seq = entry->first_seq + entry->count;
	}
}

static void describe(const struct fr_image *image, enum frm_reason reason, struct fr_found *found)
{
	const struct frm_super *super = fr_image_super(image);

	memcpy(found->ring_id, super->ring_id, 16);
	memcpy(found->boot_id, super->boot_id, 16);
	memcpy(found->comm, super->comm, sizeof(found->comm));
	found->comm[sizeof(found->comm) - 1] = '\0';
	found->boot_seq = super->boot_seq;
	found->kind = super->kind;
	found->pid = super->pid;
	found->reason = reason;
	found->meta_damaged = fr_image_meta_damage(image);
}

int fr_salvage_image(struct fr_spool *spool, const struct fr_image *image, enum frm_reason reason, struct fr_cursor *cursor,
		     const uint64_t *limit, const struct fr_salvage_text *text, size_t texts, struct fr_found *found)
{
	struct part *part FR_FREE = calloc(1, sizeof(*part));
	struct frm_loss_entry *loss FR_FREE = NULL;
	int error;

	if (!part)
		return -ENOMEM;
	part->image = image;
	part->cursor = cursor;
	describe(image, reason, found);
	choose_records(part, limit, found);
	error = choose_losses(part, found);
	loss = part->loss;
	if (error < 0)
		return error;
	/* an end that says nothing but "it ended" is said once; a drain is worth its part when there are records */
	if (reason == FRM_REASON_DRAIN ? !part->records : !part->records && !part->losses && cursor->final) {
		found->fate = FR_FATE_KNOWN;
		memset(found->loss, 0, sizeof(found->loss));
		return 0;
	}
	error = write_part(spool, part, reason, text, texts, found);
	if (error < 0)
		return error;
	move_cursor(part, reason);
	found->fate = FR_FATE_SALVAGED;
	return 0;
}

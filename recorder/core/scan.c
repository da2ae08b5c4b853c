/* SPDX-License-Identifier: MIT */
/*
 * scan.c - judges the bytes of a lane: which records are valid, what is missing, and why.
 *
 * VALIDITY is FORMAT.md's: a candidate satisfies rules 1, 2 and 4 by itself (length, place,
 * checksum); then rule 3 throws out what lies more than one data length before the end of the
 * newest candidate.
 *
 * RESYNCHRONISING (I9) needs no marks: records start on multiples of 8 and prove themselves, so
 * after damage the scan goes on in steps of 8. Checks are ordered by cost; the checksum is computed
 * where length and place agree already.
 *
 * LOSSES (I6) are told by the numbers. The lane wrote 0, 1, 2, ...; each number below next_seq that
 * no valid record carries lies in exactly one loss range:
 *
 *	before the oldest record   overwritten; damaged if the lane never lapped, or if what lies there looks like a record
 *	between two records	   damaged
 *	a record marked torn	   torn
 *	after the newest record	   torn if it is one number (its writer died in it); damaged if more
 *
 * The last row rests on the head's hints, which nothing protects, and on headers of records that
 * are no longer valid. Hints are believed only if next_pos and next_seq agree with each other and
 * with the newest record; headers, if each says that it lies where the one before it ends and has
 * the next number. What they say was reserved has taken the place of the oldest records, whether
 * its writer came to fill it or not: numbers missing there are overwritten, too.
 *
 * A LIVE lane moves while it is copied (I14). The hints were read before the data (everything
 * before next_pos was complete, save the newest record) and again after it (everything before
 * next_pos_after - size may have been overwritten meanwhile). What came between is left for the
 * next look: of that the copy has some and lacks some, which would look like damage.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/crc.h"
#include "recorder/core/image_private.h"
#include "recorder/core/ring.h"

/*
 * How far a head may be ahead of what its lane holds: it may reach the medium long before the rest
 * does. Two words of rubbish are hardly ever so near.
 */
#define LAPS_AHEAD  (1u << 20)
#define BYTES_AHEAD (1ull << 50) /* when no record is left to say where the lane was */

static uint32_t size_of(const struct frm_record *record)
{
	return record->size_flags & FRM_RECORD_SIZE_MASK;
}

static bool crc_holds_at(const struct frm_record *record, uint32_t seed, uint64_t pos)
{
	return record->crc == fr_crc32c_record(seed, pos, (uint64_t)record->size_flags << 32,
					       (const unsigned char *)record + 16, fr_record_span(size_of(record)) - 16);
}

static bool crc_holds(const struct frm_record *record, uint32_t seed)
{
	return crc_holds_at(record, seed, record->pos);
}

/*
 * Bytes that may be checksummed in vain. A writer that means harm can make every eighth byte the
 * start of a record of a megabyte; nothing else gets near. A lane that uses up the patience of its
 * reader is given up from there on (I8).
 */
static uint64_t patience_for(uint64_t size)
{
	return 16 * size + FRM_RECORD_MAX;
}

static bool judged_valid(const struct frm_record *record, uint32_t seed, uint64_t *patience)
{
	uint32_t span = fr_record_span(size_of(record));

	if (crc_holds(record, seed))
		return true;
	*patience -= span < *patience ? span : *patience;
	return false;
}

/* Rule 1, for a record with `room` bytes from its start to the end of the data. */
static bool length_fits(const struct frm_record *record, uint64_t room, uint32_t most)
{
	uint32_t size = size_of(record);

	return size >= sizeof(*record) && size <= most && fr_record_span(size) <= room &&
	       record->pos <= UINT64_MAX - fr_record_span(size); /* no lane has taken so much */
}

static void reverse(struct fr_record *records, size_t count)
{
	for (size_t i = 0, k = count; i + 1 < k; i++) {
		struct fr_record swap = records[i];

		records[i] = records[--k];
		records[k] = swap;
	}
}

/*
 * Keeps the records from `floor` on, one lap at most (I1, rule 3), in order. Their offsets rise and
 * position and offset agree, so there are two runs: the newest lap, then what the lap before left.
 * Returns how many are kept.
 */
static size_t keep_lap(struct fr_record *records, size_t count, uint64_t floor)
{
	size_t kept = 0, run = 1;

	for (size_t i = 0; i < count; i++) {
		if (records[i].pos < floor)
			continue;
		if (kept < i)
			records[kept] = records[i];
		kept++;
	}
	while (run < kept && records[run].pos > records[run - 1].pos)
		run++;
	if (run < kept) { /* the second before the first */
		reverse(records, run);
		reverse(records + run, kept - run);
		reverse(records, kept);
	}
	return kept;
}

static int lose(struct fr_image *image, uint32_t lane, enum frm_loss cause, uint64_t first, uint64_t count, uint64_t from,
		uint64_t to)
{
	struct fr_loss loss = { .lane = lane, .cause = cause, .first_seq = first, .count = count, .from_pos = from, .to_pos = to };

	return count ? fr_image_add_loss(image, &loss) : 0;
}

/*
 * Whether the checksum would hold if the record said that it lies at `pos`; no, when that asks too
 * much of patience.
 */
static bool would_hold_at(const struct frm_record *record, uint32_t seed, uint64_t pos, uint64_t *patience)
{
	uint32_t span = fr_record_span(size_of(record));

	if (span > *patience)
		return false;
	*patience -= span;
	return crc_holds_at(record, seed, pos);
}

/*
 * Before the oldest record of a lapped lane lie the remains of the one that was being overwritten;
 * anything there that still looks like a record of this lap is damage. Looks: it lies where it says
 * and, besides, its number or its end fits the oldest record's; or both of these fit, and its
 * checksum would hold if it said where it lies (a payload may well have such numbers in it).
 * Returns the number where damage begins, else oldest->seq.
 */
static uint64_t damage_before(const struct lane_bytes *bytes, uint32_t seed, const struct fr_record *oldest, uint64_t from,
			      uint64_t *patience, uint64_t *ret_pos)
{
	for (uint64_t pos = from; pos + sizeof(struct frm_record) <= oldest->pos; pos += 8) {
		const struct frm_record *there = (const struct frm_record *)(bytes->data + pos % bytes->size);
		uint64_t seq, back;
		bool place, number, end;

		/* zeros to the end of the lap: nothing that looks like a record */
		if (pos % bytes->size >= bytes->have) {
			pos += bytes->size - pos % bytes->size - 8;
			continue;
		}
		if (pos % bytes->size + sizeof(*there) > bytes->size)
			continue;
		seq = there->seq_session & FRM_SEQ_MASK;
		back = oldest->seq - seq;
		place = there->pos == pos;
		number = seq < oldest->seq && back <= (oldest->pos - pos) / sizeof(*there);
		end = pos + fr_record_span(size_of(there)) == oldest->pos && back == 1;
		if (place ? !number && !end
			  : !number || !end || pos % bytes->size + (oldest->pos - pos) > bytes->size ||
				    !would_hold_at(there, seed, pos, patience))
			continue;
		*ret_pos = pos;
		return number ? seq : oldest->seq - 1;
	}
	return oldest->seq;
}

/*
 * What is missing before the oldest record. `floor`: what lies before it may be gone, that is no
 * damage.
 */
static int lose_head(struct fr_image *image, const struct lane_bytes *bytes, uint32_t seed, const struct fr_record *oldest,
		     uint64_t floor, uint64_t *patience)
{
	uint64_t pos = floor, damaged = oldest->seq;
	int r;

	if (floor == 0)
		return lose(image, bytes->lane, FRM_LOSS_DAMAGED, 0, oldest->seq, 0, oldest->pos);
	if (!(image->flags & FR_IMAGE_LIVE))
		damaged = damage_before(bytes, seed, oldest, floor, patience, &pos);
	r = lose(image, bytes->lane, FRM_LOSS_OVERWRITTEN, 0, damaged, pos, pos);
	return r < 0 ? r : lose(image, bytes->lane, FRM_LOSS_DAMAGED, damaged, oldest->seq - damaged, pos, oldest->pos);
}

/* What is known to have been reserved behind the newest record. */
struct reserved {
	uint64_t end, seq; /* where it ends, and one past its last number */
};

/* The head's hints fit each other and a newest record of number seq - 1 that ends at `end`. */
static bool hints_agree(const struct lane_bytes *bytes, uint64_t end, uint64_t seq)
{
	uint64_t missing = bytes->next_seq - seq, room = bytes->next_pos - end;

	if (!bytes->hints || bytes->next_seq < seq || bytes->next_pos < end ||
	    bytes->next_pos % FRM_RECORD_ALIGN || (missing == 0) != (room == 0))
		return false;
	if (end ? room / bytes->size >= LAPS_AHEAD : room >= BYTES_AHEAD)
		return false;
	return missing <= room / sizeof(struct frm_record) && room / (bytes->size / 2) <= missing;
}

/*
 * There lies the header of a record that says this place and this number: valid or not, it was
 * reserved.
 */
static bool says_so(const struct lane_bytes *bytes, uint64_t pos, uint64_t seq)
{
	uint64_t off = pos % bytes->size;
	const struct frm_record *there = (const struct frm_record *)(bytes->data + off);

	return bytes->size - off >= sizeof(*there) && there->pos == pos &&
	       (there->seq_session & FRM_SEQ_MASK) == seq &&
	       (pos || there->size_flags); /* zeros are not the first record */
}

/*
 * Goes on over records that are not valid any more, but whose headers follow each other. Ends, for
 * no place says two positions.
 */
static void follow_headers(const struct lane_bytes *bytes, struct reserved *to)
{
	for (;;) {
		uint64_t pos = to->end, off = pos % bytes->size;
		const struct frm_record *there;

		if (!says_so(bytes, pos, to->seq)) {
			pos += bytes->size - off; /* where the next lap begins */
			off = 0;
			if (!says_so(bytes, pos, to->seq))
				return;
		}
		there = (const struct frm_record *)(bytes->data + off);
		to->seq++;
		to->end = pos + sizeof(*there);
		if (!length_fits(there, bytes->size - off, fr_lane_max_record(bytes->size)))
			return;
		to->end = pos + fr_record_span(size_of(there));
	}
}

/*
 * What was reserved by the hints, if they can be believed, or by headers, behind a newest record of
 * number seq - 1 that ends at `end`.
 */
static struct reserved reserved_behind(const struct fr_image *image, const struct lane_bytes *bytes,
				       struct fr_lane_info *info, uint64_t end, uint64_t seq)
{
	struct reserved by_headers = { end, seq };

	if (!(image->flags & FR_IMAGE_LIVE))
		follow_headers(bytes, &by_headers);
	/*
	 * else its writer died between the two stores of step 2 (ring.h): it had reserved nothing
	 * yet
	 */
	if (bytes->next_pos != end || bytes->next_seq != seq + 1) {
		if (hints_agree(bytes, end, seq) && bytes->next_seq >= by_headers.seq)
			return (struct reserved){ bytes->next_pos, bytes->next_seq };
		/*
		 * a head older than its data is no damage: the medium kept the one, not yet the
		 * other
		 */
		info->head_damaged |= bytes->hints && bytes->next_pos > by_headers.end;
	}
	return by_headers;
}

/* What is missing after the newest record, of number seq - 1. */
static int lose_tail(struct fr_image *image, const struct lane_bytes *bytes, struct fr_lane_info *info,
		     uint64_t end, uint64_t seq, const struct reserved *reserved)
{
	uint64_t missing = reserved->seq - seq;
	int r;

	info->next_seq = reserved->seq;
	if (missing == 0 || (missing == 1 && image->flags & FR_IMAGE_LIVE))
		return 0;
	r = lose(image, bytes->lane, FRM_LOSS_DAMAGED, seq, missing - 1, end, reserved->end);
	return r < 0 ? r : lose(image, bytes->lane, FRM_LOSS_TORN, reserved->seq - 1, 1, end, reserved->end);
}

/* The losses among records[0..count), which are valid and in order. `floor` as above. */
static int lose_between(struct fr_image *image, uint32_t lane, const struct fr_record *records, size_t count, uint64_t floor)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		const struct fr_record *record = &records[i];
		uint64_t end = record->pos + fr_record_span(size_of(record->head));

		if (record->flags & FRM_RECORD_TORN >> 24)
			r = lose(image, lane, FRM_LOSS_TORN, record->seq, 1, record->pos, end);
		if (r == 0 && i + 1 < count && records[i + 1].seq > record->seq + 1)
			r = lose(image, lane, end < floor ? FRM_LOSS_OVERWRITTEN : FRM_LOSS_DAMAGED, record->seq + 1,
				 records[i + 1].seq - record->seq - 1, end, records[i + 1].pos);
	}
	return r;
}

int fr_scan_lane(struct fr_image *image, const struct lane_bytes *bytes)
{
	uint32_t seed = fr_lane_seed(image->super.ring_id, image->super.boot_id, bytes->lane);
	uint32_t most = fr_lane_max_record(bytes->size);
	struct lane_view *view = &image->lanes[bytes->lane];
	size_t first = image->record_count, count;
	uint64_t newest_end = 0, floor, next_seq, patience = patience_for(bytes->size);
	struct reserved reserved;
	struct fr_record *records;
	int r;

	for (uint64_t off = 0; off < bytes->have && off + sizeof(struct frm_record) <= bytes->size;) {
		const struct frm_record *record = (const struct frm_record *)(bytes->data + off);

		if (!length_fits(record, bytes->size - off, most) || record->pos % bytes->size != off || /* I1, rules 1, 2 */
		    !judged_valid(record, seed, &patience)) {						 /* and 4 */
			if (!patience)
				break;
			off += FRM_RECORD_ALIGN;
			continue;
		}
		off += fr_record_span(size_of(record));
		if (image->flags & FR_IMAGE_LIVE && bytes->hints && record->pos >= bytes->next_pos)
			continue;
		r = fr_image_add_record(image, (const unsigned char *)record, bytes->lane);
		if (r < 0)
			return r;
		if (record->pos + fr_record_span(size_of(record)) > newest_end)
			newest_end = record->pos + fr_record_span(size_of(record));
	}
	floor = newest_end > bytes->size ? newest_end - bytes->size : 0;
	/*
	 * however many laps its writer did meanwhile: what still looks whole there may be a rest at
	 * the end of a lap
	 */
	if (image->flags & FR_IMAGE_LIVE && bytes->hints && bytes->next_pos_after >= bytes->next_pos &&
	    bytes->next_pos_after > bytes->size && bytes->next_pos_after - bytes->size > floor)
		floor = bytes->next_pos_after - bytes->size;
	count = image->record_count - first;
	records = count ? image->records + first : NULL;
	count = keep_lap(records, count, floor);
	image->record_count = first + count;

	view->first = first;
	view->count = count;
	view->info.records = count;
	if (!count) {
		reserved = reserved_behind(image, bytes, &view->info, 0, 0);
		if (image->flags & FR_IMAGE_LIVE && reserved.seq && bytes->next_pos_after > bytes->size) {
			/* its writer has been all the way round meanwhile */
			view->info.next_seq = reserved.seq;
			return lose(image, bytes->lane, FRM_LOSS_OVERWRITTEN, 0, reserved.seq, 0, 0);
		}
		return lose_tail(image, bytes, &view->info, 0, 0, &reserved);
	}
	view->info.oldest_pos = records[0].pos;
	view->info.newest_end = newest_end;
	next_seq = records[count - 1].seq + 1;
	reserved = reserved_behind(image, bytes, &view->info, newest_end, next_seq);
	if (reserved.end > floor + bytes->size)
		floor = reserved.end - bytes->size;
	r = lose_head(image, bytes, seed, &records[0], floor, &patience);
	if (r == 0)
		r = lose_between(image, bytes->lane, records, count, floor);
	return r < 0 ? r : lose_tail(image, bytes, &view->info, newest_end, next_seq, &reserved);
}

int fr_scan_stream(struct fr_image *image, uint32_t lane, const unsigned char *data, uint64_t size)
{
	uint32_t seed = fr_lane_seed(image->super.ring_id, image->super.boot_id, lane);
	struct lane_view *view = &image->lanes[lane];
	uint64_t next_pos = 0, patience = patience_for(size);
	int r;

	view->first = image->record_count;
	for (uint64_t off = 0; off + sizeof(struct frm_record) <= size;) {
		const struct frm_record *record = (const struct frm_record *)(data + off);

		if (!length_fits(record, size - off, FRM_RECORD_MAX) || record->pos < next_pos ||
		    !judged_valid(record, seed, &patience)) {
			if (!patience)
				break;
			off += FRM_RECORD_ALIGN;
			continue;
		}
		r = fr_image_add_record(image, (const unsigned char *)record, lane);
		if (r < 0)
			return r;
		next_pos = record->pos + fr_record_span(size_of(record));
		off += fr_record_span(size_of(record));
	}
	view->count = image->record_count - view->first;
	view->info.records = view->count;
	if (view->count) {
		view->info.oldest_pos = image->records[view->first].pos;
		view->info.newest_end = next_pos;
		view->info.next_seq = image->records[image->record_count - 1].seq + 1;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ring.c - property: whatever the bytes, the reader finds in a ring exactly the records that
 * FORMAT.md calls valid (I1, I8); where their numbers rise, every number is one record or in one
 * range of losses (I6); and salvage keeps all of it (salvage_and_compare()).
 */
#include <errno.h>

#include "recorder/core/check.h"
#include "recorder/core/crc.h"
#include "recorder/core/ring.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/roundtrip.h"
#include "tests/fuzz/sparse.h"

/* FORMAT.md's rules once more, in the plainest way. */
struct valid {
	uint64_t *pos; /* of each candidate */
	size_t count;
	uint64_t newest_end;
	uint64_t vain; /* bytes checksummed in vain */
};

static bool crc_holds(const struct frm_super *super, uint32_t lane, const uint8_t *at, uint32_t span)
{
	static const uint8_t zero[4];
	uint32_t crc = fr_crc32c(0, super->ring_id, 16), said;

	memcpy(&said, at + 8, sizeof(said));
	crc = fr_crc32c(crc, super->boot_id, 16);
	crc = fr_crc32c(crc, &lane, 4);
	crc = fr_crc32c(crc, at, 8);
	crc = fr_crc32c(crc, zero, 4);
	return fr_crc32c(crc, at + 12, span - 12) == said;
}

static void find_valid(const struct frm_super *super, uint32_t lane, const uint8_t *data,
		       uint64_t size, struct valid *valid)
{
	*valid = (struct valid){ .pos = malloc((size / sizeof(struct frm_record) + 1) * sizeof(*valid->pos)) };
	HOLDS(valid->pos);
	for (uint64_t off = 0; off + sizeof(struct frm_record) <= size;) {
		struct frm_record record;
		uint32_t length, span;

		memcpy(&record, data + off, sizeof(record));
		length = record.size_flags & FRM_RECORD_SIZE_MASK;
		span = (length + 7) & ~7u;
		if (length < 40 || length > FRM_RECORD_MAX || length > size / 4 ||
		    span > size - off || record.pos % size != off ||
		    record.pos + span < record.pos) {
			off += 8;
			continue;
		}
		if (!crc_holds(super, lane, data + off, span)) {
			valid->vain += span;
			off += 8;
			continue;
		}
		valid->pos[valid->count++] = record.pos;
		if (record.pos + span > valid->newest_end)
			valid->newest_end = record.pos + span;
		off += span;
	}
}

static bool is_valid(const struct valid *valid, uint64_t pos)
{
	for (size_t i = 0; i < valid->count; i++)
		if (valid->pos[i] == pos)
			return true;
	return false;
}

static void check_validity(const struct fr_image *image, uint32_t lane, const uint8_t *bytes,
			   size_t size, bool live)
{
	const struct frm_super *super = fr_image_super(image);
	uint64_t at = fr_super_lane_offset(super, lane) + FRM_LANE_HEAD,
		 data_size = fr_super_lane_data(super), kept = 0;
	uint8_t *data = calloc(1, data_size);
	const struct fr_record *record;
	struct valid valid;
	size_t count;

	HOLDS(data);
	if (at < size)
		memcpy(data, bytes + at, size - at < data_size ? size - at : data_size);
	find_valid(super, lane, data, data_size, &valid);
	record = fr_image_lane_records(image, lane, &count);
	for (size_t i = 0; i < count; i++) {
		HOLDS(is_valid(&valid, record[i].pos));
		HOLDS(valid.newest_end - record[i].pos <= data_size || live);
		HOLDS(!i || record[i].pos > record[i - 1].pos);
	}
	for (size_t i = 0; i < valid.count; i++)
		kept += valid.newest_end - valid.pos[i] <= data_size;
	/*
	 * a lane full of what only a checksum refutes may be given up, and what came late is left
	 * for the next look
	 */
	HOLDS(live ? count <= valid.count : count == kept || valid.vain >= 16 * data_size);
	free(valid.pos);
	free(data);
}

struct run {
	uint64_t first, count;
};

static int by_first(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Each number below next_seq is told once; in a living ring the newest may not be told yet. */
static void check_numbers(const struct fr_image *image, uint32_t lane, bool live)
{
	const struct fr_lane_info *info = fr_image_lane(image, lane);
	size_t count, runs = 0, losses = fr_image_loss_count(image);
	const struct fr_record *record = fr_image_lane_records(image, lane, &count);
	struct run *run;
	uint64_t next = 0;

	for (size_t i = 1; i < count; i++)
		if (record[i].seq <= record[i - 1].seq)
			return; /* its writer lied about its numbers */
	run = malloc((count + losses + 1) * sizeof(*run));
	HOLDS(run);
	for (size_t i = 0; i < count; i++)
		if (!(record[i].flags & FRM_RECORD_TORN >> 24))
			run[runs++] = (struct run){ record[i].seq, 1 };
	for (size_t i = 0; i < losses; i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if (loss->lane == lane && loss->cause <= FRM_LOSS_DAMAGED)
			run[runs++] = (struct run){ loss->first_seq, loss->count };
	}
	qsort(run, runs, sizeof(*run), by_first);
	for (size_t i = 0; i < runs; i++) {
		HOLDS(run[i].first == next);
		next += run[i].count;
	}
	HOLDS(next == info->next_seq || (live && next + 1 == info->next_seq));
	free(run);
}

static void read_ring(const uint8_t *bytes, size_t size, bool live)
{
	struct fr_image *image = NULL;
	int error = fr_image_from_memory(bytes, size, live ? FR_IMAGE_LIVE : 0, &image);

	if (error < 0) {
		HOLDS(!image && (error == -EBADMSG || error == -EPROTONOSUPPORT || error == -ENODATA));
		return;
	}
	look_at_all(image);
	for (uint32_t lane = 0;
	     fr_image_type(image) == FR_IMAGE_RING && lane < fr_image_lane_count(image); lane++) {
		if (fr_image_super(image)->lane_size <= SPARSE_IMAGE_MAX)
			check_validity(image, lane, bytes, size, live);
		check_numbers(image, lane, live);
	}
	if (!live)
		salvage_and_compare(image);
	fr_image_close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *packed, size_t packed_size)
{
	size_t size;
	uint8_t *bytes = sparse_unpack(packed, packed_size, &size);

	read_ring(bytes, size, false);
	read_ring(bytes, size, true);
	free(bytes);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* roundtrip.c - see roundtrip.h. */
#include "tests/fuzz/roundtrip.h"

#include <fcntl.h>
#include <unistd.h>

#include "pstore/cursor.h"
#include "pstore/salvage.h"
#include "recorder/core/crc.h"
#include "recorder/core/decode.h"
#include "recorder/core/json.h"
#include "recorder/core/ring.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch.h"

#define DECODED_MAX 16 /* fuzz_descriptors.c decodes all it gets */

static bool is_genuine(const struct fr_image *image, const struct fr_record *record)
{
	const struct frm_super *super = fr_image_super(image);
	uint32_t seed = fr_lane_seed(super->ring_id, super->boot_id, record->lane);

	return record->head->crc ==
	       fr_crc32c_record(
		       seed, record->head->pos, (uint64_t)record->head->size_flags << 32,
		       (const unsigned char *)record->head + 16,
		       fr_record_span((uint32_t)sizeof(*record->head) + record->payload_size) - 16);
}

void look_at_all(struct fr_image *image)
{
	size_t count = fr_image_record_count(image), length;
	const uint32_t *order = fr_image_timeline(image);
	const char *name;
	char text[512];

	HOLDS(order);
	for (size_t i = 0; i < count; i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		HOLDS(order[i] < count);
		HOLDS(is_genuine(image, record));
		if (i >= DECODED_MAX)
			continue;
		fr_decode(image, record, &event);
		HOLDS(event.field_count <= FR_FIELDS_MAX);
		HOLDS(fr_event_text(&event, text, sizeof(text)) >= sizeof(text) ||
		      memchr(text, '\0', sizeof(text)));
		length = fr_event_json_fields(&event, text, sizeof(text));
		HOLDS(length >= sizeof(text) || fr_json_valid(text, length));
	}
	for (size_t i = 0; i < fr_image_module_count(image); i++)
		HOLDS(strlen(fr_image_module(image, i)->path) <= FRM_DESC_MAX);
	for (size_t i = 0; fr_image_text(image, i, &name, &length); i++)
		HOLDS(strlen(name) <= 4096);
	for (size_t i = 0; i < fr_image_lane_count(image); i++)
		for (size_t k = 0; k < FRM_OWNERS_MAX; k++)
			HOLDS(memchr(fr_image_lane(image, i)->owner[k].name, '\0', 16));
}

static void compare_records(const struct fr_image *was, const struct fr_image *is)
{
	HOLDS(fr_image_record_count(was) == fr_image_record_count(is));
	for (size_t i = 0; i < fr_image_record_count(was); i++) {
		const struct fr_record *a = fr_image_record(was, i), *b = fr_image_record(is, i);

		HOLDS(a->lane == b->lane && a->payload_size == b->payload_size);
		HOLDS(!memcmp(a->head, b->head,
			      fr_record_span((uint32_t)sizeof(*a->head) + a->payload_size)));
	}
}

static void compare_names(const struct fr_image *was, const struct fr_image *is)
{
	HOLDS(fr_image_provider_count(was) == fr_image_provider_count(is));
	for (size_t i = 0; i < fr_image_provider_count(was); i++)
		HOLDS(!strcmp(fr_image_provider(was, i)->name, fr_image_provider(is, i)->name));
	HOLDS(fr_image_event_desc_count(was) == fr_image_event_desc_count(is));
	for (size_t i = 0; i < fr_image_event_desc_count(was); i++) {
		const struct fr_event_desc *a = fr_image_event_desc(was, i), *b = fr_image_event_desc(is, i);

		HOLDS(a->id == b->id && a->field_count == b->field_count && !strcmp(a->name, b->name));
	}
	HOLDS(fr_image_module_count(was) == fr_image_module_count(is));
	HOLDS(fr_image_session_count(was) == fr_image_session_count(is));
	HOLDS(fr_image_anchor_count(was) == fr_image_anchor_count(is));
}

/* Of a cause, in a lane or (lane_count) in none. */
static uint64_t lost(const struct fr_image *image, size_t lane, enum frm_loss cause)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);
		size_t in = loss->lane == FRM_LANE_NONE ? fr_image_lane_count(image) : loss->lane;

		/*
		 * a range that runs over the end of all numbers, which only a segment can claim, is
		 * nobody's
		 */
		if (in == lane && loss->cause == cause &&
		    (loss->lane == FRM_LANE_NONE || cause > FRM_LOSS_DAMAGED ||
		     loss->first_seq + loss->count >= loss->first_seq))
			sum += loss->count;
	}
	return sum;
}

static void compare_losses(const struct fr_image *was, const struct fr_image *is)
{
	for (size_t lane = 0; lane <= fr_image_lane_count(was); lane++)
		for (unsigned cause = 0; cause < FRM_LOSS_COUNT; cause++)
			HOLDS(lost(was, lane, cause) == lost(is, lane, cause));
}

void salvage_and_compare(const struct fr_image *image)
{
	struct fr_spool spool = { .dir = open(scratch_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	struct fr_cursor *cursor = calloc(1, sizeof(*cursor));
	struct fr_found found = { 0 };
	struct fr_image *copy;
	int fd;

	HOLDS(spool.dir >= 0 && cursor);
	HOLDS(fr_salvage_image(&spool, image, FRM_REASON_DIED, cursor, NULL, NULL, 0, &found) == 0);
	HOLDS(found.fate == FR_FATE_SALVAGED);
	fd = openat(spool.dir, found.segment, O_RDONLY | O_CLOEXEC);
	HOLDS(fd >= 0 && fr_image_open(fd, 0, &copy) == 0);
	close(fd);
	HOLDS(unlinkat(spool.dir, found.segment, 0) == 0);
	HOLDS(fr_image_type(copy) == FR_IMAGE_SEGMENT && !fr_image_chunk_damage(copy) &&
	      !fr_image_meta_damage(copy));
	HOLDS(fr_image_lane_count(image) == fr_image_lane_count(copy));
	compare_records(image, copy);
	compare_names(image, copy);
	compare_losses(image, copy);
	fr_image_close(copy);
	found = (struct fr_found){ 0 };
	HOLDS(fr_salvage_image(&spool, image, FRM_REASON_DIED, cursor, NULL, NULL, 0, &found) == 0);
	HOLDS(found.fate == FR_FATE_KNOWN && !found.records);
	free(cursor);
	close(spool.dir);
}

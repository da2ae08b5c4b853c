/* SPDX-License-Identifier: MIT */
/*
 * fuzz_descriptors.c - property: whatever descriptors and payloads say, events come out as text
 * that can't steer a terminal and as JSON that is valid, the same in a buffer of any size; what was
 * decoded whole encodes to what decodes the same (I11).
 *
 * The input is { type, le16 size, bytes } for descriptors up to a type of 0, then { le16 event,
 * le16 size, bytes } for records. They are signed here, because the checksums are not what is
 * tested.
 */
#include "recorder/core/check.h"
#include "recorder/core/crc.h"
#include "recorder/core/decode.h"
#include "recorder/core/encode.h"
#include "recorder/core/json.h"
#include "recorder/core/ring.h"
#include "tests/fuzz/fuzz.h"

#define LANE_DATA (FRM_LANE_MIN - 2 * FRM_LANE_HEAD)

static _Alignas(8) uint8_t ring[2 * FRM_META_MIN + FRM_LANE_MIN];

static void make_super(uint64_t kind)
{
	struct frm_super *super = (struct frm_super *)ring;

	memset(ring, 0, sizeof(ring));
	*super = (struct frm_super) { .magic = FRM_MAGIC_RING,
				      .version_major = FRM_VERSION_MAJOR,
				      .ring_size = FRM_RING_MIN,
				      .meta_size = FRM_META_MIN,
				      .lane_count = 1,
				      .lane_size = FRM_LANE_MIN,
				      .kind = kind & 1 ? FRM_KIND_PROCESS : FRM_KIND_SYSTEM,
				      .ring_id = "descriptors",
				      .comm = "fuzz" };
	fr_super_sign(super);
}

static void make_log(struct input *input)
{
	struct frm_meta *meta = (struct frm_meta *)ring;
	size_t used = 0, room = FRM_META_MIN - offsetof(struct frm_meta, log), size;
	uint64_t type;

	while ((type = take_number(input, 1))) {
		const uint8_t *bytes = take_bytes(input, take_number(input, 2), &size);
		struct frm_desc *desc = (struct frm_desc *)(meta->log + used);

		if (sizeof(*desc) + size > room - used)
			return;
		desc->type = (frm_le16)(type % 6);
		desc->size = (frm_le16)(sizeof(*desc) + size);
		if (size)
			memcpy(desc + 1, bytes, size);
		desc->crc = fr_check_crc(meta->super.ring_id, desc, desc->size,
					 offsetof(struct frm_desc, crc));
		used += fr_record_span(desc->size);
		if (room - used < sizeof(*desc))
			return;
	}
}

static size_t make_records(struct input *input)
{
	const struct frm_super *super = (const struct frm_super *)ring;
	uint8_t *data = ring + 2 * FRM_META_MIN + FRM_LANE_HEAD;
	uint32_t seed = fr_lane_seed(super->ring_id, super->boot_id, 0),
		 most = fr_lane_max_record(LANE_DATA), used = 0;
	size_t count = 0, size;

	while (input->left && LANE_DATA - used > most) {
		struct frm_record *record = (struct frm_record *)(data + used);
		uint16_t event = (uint16_t)take_number(input, 2);
		const uint8_t *bytes =
			take_bytes(input, take_number(input, 2) % (most - sizeof(*record)), &size);
		uint32_t length = (uint32_t)(sizeof(*record) + size);

		*record = (struct frm_record){ .pos = used, .size_flags = length, .event = event, .seq_session = count++ };
		if (size)
			memcpy(record + 1, bytes, size);
		record->crc = fr_crc32c_record(seed, record->pos, (uint64_t)length << 32,
					       data + used + 16, fr_record_span(length) - 16);
		used += fr_record_span(length);
	}
	return count;
}

/* Nothing but characters that are shown, all of them UTF-8. */
static bool is_shown(const char *text, size_t size)
{
	for (size_t i = 0; i < size;) {
		unsigned char c = (unsigned char)text[i];
		unsigned length = fr_utf8_length(text + i, size - i);

		if (!length || c < ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0))
			return false;
		i += length;
	}
	return true;
}

static void check_cut(size_t (*write)(const struct fr_event *, char *, size_t),
		      const struct fr_event *event, const char *whole, size_t length)
{
	char part[64];

	for (size_t room = 0; room <= sizeof(part); room += 1 + room / 2) {
		size_t shown = !room ? 0 : length < room ? length : room - 1;

		memset(part, 'x', sizeof(part));
		HOLDS(write(event, part, room) == length);
		HOLDS(!memcmp(part, whole, shown) && (!room || !part[shown]));
		HOLDS(room == sizeof(part) || part[room] == 'x');
	}
}

/* Values that are whole go back into a payload, and come out of it alike. */
static void check_encoding(const struct fr_image *image, const struct fr_record *record,
			   const struct fr_event *event, const char *text)
{
	static unsigned char payload[64u << 10];
	static char again[1u << 20];
	struct fr_event copy = *event;
	uint32_t size;

	for (unsigned i = 0; i < event->field_count; i++)
		if (event->field[i].truncated)
			return;
	if (!fr_image_event_desc_by_id(image, record->event))
		return;
	size = fr_encode_size(event->field, event->field_count);
	HOLDS(size <= sizeof(payload));
	fr_encode(event->field, event->field_count, payload);
	copy.field_count = fr_decode_payload(fr_image_event_desc_by_id(image, record->event),
					     payload, size, copy.field);
	if (event->field_count == 1 && !strcmp(event->field[0].name, "payload"))
		return; /* not decoded: there is no layout to go back to */
	HOLDS(copy.field_count == event->field_count);
	fr_event_text(&copy, again, sizeof(again));
	HOLDS(!strcmp(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static char text[1u << 20];
	struct input input = { bytes, size };
	struct fr_image *image;
	size_t count, length;

	make_super(take_number(&input, 1));
	make_log(&input);
	count = make_records(&input);
	HOLDS(fr_image_from_memory(ring, sizeof(ring), 0, &image) == 0);
	HOLDS(fr_image_record_count(image) == count);
	for (size_t i = 0; i < count; i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		fr_decode(image, record, &event);
		length = fr_event_json_fields(&event, text, sizeof(text));
		HOLDS(length < sizeof(text) &&
		      fr_json_valid_within(text, length, FR_JSON_DEPTH_OVER) &&
		      is_shown(text, length));
		check_cut(fr_event_json_fields, &event, text, length);
		length = fr_event_text(&event, text, sizeof(text));
		HOLDS(length < sizeof(text) && is_shown(text, length));
		check_cut(fr_event_text, &event, text, length);
		check_encoding(image, record, &event, text);
	}
	fr_image_close(image);
	return 0;
}

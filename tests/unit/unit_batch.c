/* SPDX-License-Identifier: MIT */
/* unit_batch.c - see unit_batch.h. */
#include "tests/unit/unit_batch.h"

#ifdef HAVE_CURL

void unit_event(struct fr_event *event, uint32_t lane, uint64_t seq)
{
	static const uint8_t guid[16] = { 0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

	*event = (struct fr_event){
		.lane = lane, .seq = seq, .boot_seq = 7, .time_ns = 5000000000 + 1000 * seq + lane, .pid = 4711, .tid = 4711 + lane,
		.ppid = 1, .uid = 1000, .gid = 1000, .start_time_ns = 400, .cpu = (uint16_t)(seq % 2), .level = 4, .keywords = 3,
		.comm = "un\"it", .thread = "", .cgroup = "/unit.slice", .provider = "unit", .provider_guid = guid,
		.name = seq % 3 ? "tick" : "tock", .session = seq % 5 == 0, .session_name = "run", .field_count = 2,
	};
	memset(event->ring_id, 0x11, 16);
	memset(event->boot_id, 0x22, 16);
	event->field[0] = (struct fr_value){ .name = "number", .unit = "", .type = FRM_U64, .u = seq };
	event->field[1] = (struct fr_value){ .name = "text", .unit = "", .type = FRM_STR };
	event->field[1].s.data = "a\nb";
	event->field[1].s.size = 3;
}

struct fr_batch_maker *unit_maker(uint64_t events_max)
{
	struct fr_batch_origin origin = { .host = "unithost" };
	struct fr_batch_limits limits = { .events = events_max, .raw_bytes = 1 << 20, .zstd_level = 3 };
	struct fr_batch_maker *maker;

	memset(origin.database, 0xdb, 16);
	memset(origin.machine, 0x3c, 16);
	assert_int_equal(fr_batch_maker_new(&origin, &limits, &maker), 0);
	return maker;
}

void unit_batch(struct fr_batch *batch, uint32_t lanes, uint64_t each, uint64_t gap)
{
	struct fr_batch_maker *maker = unit_maker(1000000);
	struct fr_event event;

	for (uint32_t lane = 0; lane < lanes; lane++)
		for (uint64_t seq = 1; seq <= each; seq++)
			if (!gap || seq % gap) {
				unit_event(&event, lane, seq);
				assert_int_equal(fr_batch_maker_add(maker, &event), 1);
			}
	assert_int_equal(fr_batch_maker_finish(maker, batch), 0);
	fr_batch_maker_free(maker);
}

void unit_raw(const struct fr_batch *batch, struct fr_text *text)
{
	assert_int_equal(fr_batch_raw(batch->body, batch->body_size, text), 0);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * test_image_bounds.c - what an image made to harm may cost its reader: time, memory, and the terminal it is shown on.
 */
#include "tests/unit/unit_ring.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "recorder/core/decode.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static long resident_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void sign(const struct fr_lane *lane, struct frm_record *record)
{
	record->crc = fr_crc32c_record(lane->seed, record->pos, (uint64_t)record->size_flags << 32,
				       (const unsigned char *)record + 16,
				       fr_record_span(record->size_flags & FRM_RECORD_SIZE_MASK) - 16);
}

/* A valid record at the very end, and before it everything looks like one that would just reach it, by size and number. */
TEST(test_I8_what_lies_before_the_oldest_record_is_not_checksummed_for_ever)
{
	struct unit_ring u;
	struct frm_record *record;
	struct fr_image *image;
	uint64_t off;
	double start;

	unit_ring_make(&u, 8u << 20, 1, FRM_POLICY_OVERWRITE);
	off = (u.lane[0].size - 64) & ~7ull;
	record = (struct frm_record *)(u.lane[0].data + off);
	*record = (struct frm_record){ .pos = 3 * u.lane[0].size + off, .size_flags = sizeof(*record), .seq_session = 1000000 };
	sign(&u.lane[0], record);
	for (uint64_t at = 0; at + sizeof(*record) <= off; at += 8) { /* a number lies three words behind a size */
		if (at / 8 % 6 < 3)
			((struct frm_record *)(u.lane[0].data + at))->size_flags = (uint32_t)(off - at) & FRM_RECORD_SIZE_MASK;
	}
	for (uint64_t at = 0; at + sizeof(*record) <= off; at += 8) {
		if (at / 8 % 6 < 3)
			((struct frm_record *)(u.lane[0].data + at))->seq_session = 999999;
	}
	start = now();
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_record_count(image), 1);
	fr_image_close(image);
	assert_true(now() - start < 200); /* unbounded, it takes hours */
	unit_ring_free(&u);
}

/* Rule 3 leaves one lap, in order, whatever laps the candidates say they are of. */
TEST(test_I1_candidates_of_any_laps_leave_one_lap_in_order)
{
	uint64_t seed = 7;

	for (int round = 0; round < 50; round++) {
		struct unit_ring u;
		struct fr_image *image;
		const struct fr_record *records;
		uint64_t newest = 0;
		size_t count, kept = 0, room;

		unit_ring_make(&u, FRM_RING_MIN, 1, FRM_POLICY_OVERWRITE);
		room = u.lane[0].size / 40;
		for (size_t i = 0; i < room; i++) {
			struct frm_record *record = (struct frm_record *)(u.lane[0].data + 40 * i);

			*record = (struct frm_record){ .pos = 40 * i + unit_random(&seed) % (1 + (unsigned)round % 4) * u.lane[0].size,
						       .size_flags = 40 };
			if (round % 7 == 6 && i == 5) /* its end is beyond all numbers: no record */
				record->pos = UINT64_MAX / u.lane[0].size * u.lane[0].size - u.lane[0].size + 40 * i;
			sign(&u.lane[0], record);
			if (record->pos + 40 > newest)
				newest = record->pos + 40;
		}
		for (size_t i = 0; i < room; i++)
			kept += newest - ((struct frm_record *)(u.lane[0].data + 40 * i))->pos <= u.lane[0].size;
		image = unit_image(&u, 0);
		records = fr_image_lane_records(image, 0, &count);
		assert_int_equal(count, kept);
		for (size_t i = 1; i < count; i++)
			assert_true(records[i].pos > records[i - 1].pos);
		fr_image_close(image);
		unit_ring_free(&u);
	}
}

TEST(test_I8_a_file_cut_short_costs_no_more_memory_than_it_has)
{
	struct unit_ring u;
	struct fr_image *image;
	long before;

	unit_ring_make(&u, 256u << 20, 1, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 10);
	assert_int_equal(ftruncate(u.fd, 1 << 20), 0);
	before = resident_kib();
	assert_int_equal(fr_image_open(u.fd, 0, &image), 0);
	assert_int_equal(fr_image_record_count(image), 10);
	fr_image_close(image);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(resident_kib() - before < 64 << 10);
#else
	(void)before;
#endif
	assert_int_equal(ftruncate(u.fd, 256u << 20), 0);
	unit_ring_free(&u);
}

static void put_desc(struct unit_ring *u, void *desc, uint16_t size, uint32_t at)
{
	struct frm_desc *head = desc;

	head->size = size;
	head->crc = fr_check_crc(u->ring.super.ring_id, desc, size, offsetof(struct frm_desc, crc));
	for (int copy = 0; copy < 2; copy++)
		memcpy(u->ring.meta[copy]->log + at, desc, size);
}

/* Events that claim 255 fields and have none; providers beyond those that can be. */
TEST(test_I8_descriptors_that_claim_much_cost_little)
{
	struct unit_ring u;
	struct fr_image *image;
	uint32_t at = 0;
	long before;

	unit_ring_make(&u, 16u << 20, 4, FRM_POLICY_OVERWRITE);
	for (uint16_t id = 64; id < 1064; id++, at += 32) {
		struct frm_desc_provider provider = { .desc.type = FRM_DESC_PROVIDER, .id = id };

		put_desc(&u, &provider, sizeof(provider), at);
	}
	for (uint16_t id = 1; at + 24 <= u.ring.log_size; id++, at += 24) {
		struct frm_desc_event event = { .desc.type = FRM_DESC_EVENT, .id = id, .field_count = 255 };

		put_desc(&u, &event, sizeof(event), at);
	}
	before = resident_kib();
	assert_int_equal(fr_image_open(u.fd, 0, &image), 0);
	assert_int_equal(fr_image_provider_count(image), 0);
	assert_true(fr_image_event_desc_count(image) > 5000);
	fr_image_close(image);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(resident_kib() - before < 40 << 10);
#else
	(void)before;
#endif
	unit_ring_free(&u);
}

TEST(test_units_do_not_steer_a_terminal)
{
	struct fr_field_spec fields[2] = { { FRM_U32, "n", "\x1b]0;owned\x07" }, { FRM_F64, "f", "\x1b[2J" } };
	struct fr_reservation res;
	struct unit_ring u;
	struct fr_image *image;
	struct fr_event event;
	char text[256];
	int id;

	unit_ring_make(&u, 1u << 20, 1, FRM_POLICY_OVERWRITE);
	id = fr_ring_declare_event(&u.ring, 0, "steers", 4, 0, fields, 2);
	assert_true(id > 0);
	if (fr_lane_reserve(&u.lane[0], 16, &res) < 0) {
		fail(); /* which the compiler thinks may return */
		return;
	}
	res.record->event = (uint16_t)id;
	memset(res.record + 1, 1, 16);
	fr_lane_commit(&res, 0);
	image = unit_image(&u, 0);
	fr_decode(image, fr_image_record(image, 0), &event);
	fr_event_text(&event, text, sizeof(text));
	assert_null(strchr(text, 0x1b));
	assert_null(strchr(text, 7));
	fr_image_close(image);
	unit_ring_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I8_what_lies_before_the_oldest_record_is_not_checksummed_for_ever),
		cmocka_unit_test(test_I1_candidates_of_any_laps_leave_one_lap_in_order),
		cmocka_unit_test(test_I8_a_file_cut_short_costs_no_more_memory_than_it_has),
		cmocka_unit_test(test_I8_descriptors_that_claim_much_cost_little),
		cmocka_unit_test(test_units_do_not_steer_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

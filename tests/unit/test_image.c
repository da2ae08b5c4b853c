/* SPDX-License-Identifier: MIT */
/* test_image.c - the reader: what it takes for valid, what it says is missing, what it refuses. */
#include "tests/unit/unit_ring.h"

static void sign_super(unsigned char *bytes, uint64_t at, void (*change)(struct frm_super *super))
{
	struct frm_super *super = (struct frm_super *)(bytes + at);

	change(super);
	fr_super_sign(super);
}

static int open_bytes(const unsigned char *bytes, size_t size, struct fr_image **image)
{
	return fr_image_from_memory(bytes, size, 0, image);
}

TEST(test_I6_every_number_is_a_record_or_one_named_loss_after_any_count_of_records)
{
	struct unit_ring u;
	uint64_t written = 0, seed = 1, lost[FRM_LOSS_COUNT];

	unit_ring_make(&u, FRM_RING_MIN, 3, FRM_POLICY_OVERWRITE);
	while (written < 10000) {
		uint64_t step = unit_random(&seed) % 40;
		struct fr_image *image;

		unit_write_many(&u, 1, step);
		written += step;
		image = unit_image(&u, 0);
		unit_account(image, 1, lost);
		assert_int_equal(fr_image_lane(image, 1)->next_seq, written);
		assert_int_equal(lost[FRM_LOSS_TORN] + lost[FRM_LOSS_DAMAGED], 0);
		assert_int_equal(lost[FRM_LOSS_OVERWRITTEN] + fr_image_record_count(image), written);
		fr_image_close(image);
	}
	unit_ring_free(&u);
}

TEST(test_I3_a_writer_killed_between_reserve_and_commit_costs_its_own_record)
{
	struct unit_ring u;
	struct fr_reservation res;
	uint64_t lost[FRM_LOSS_COUNT];

	for (uint64_t written = 0; written < 300; written += 7) {
		struct fr_image *image;
		uint64_t there;

		unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
		unit_write_many(&u, 0, written);
		assert_int_equal(unit_reserve(&u, 0, &res), 0); /* and here it dies */
		image = unit_image(&u, 0);
		unit_account(image, 0, lost);
		there = fr_image_record_count(image);
		assert_int_equal(fr_image_lane(image, 0)->next_seq, written + 1);
		assert_int_equal(lost[FRM_LOSS_TORN], 1);
		assert_int_equal(lost[FRM_LOSS_DAMAGED], 0);
		assert_int_equal(lost[FRM_LOSS_OVERWRITTEN] + there, written);
		if (written)
			assert_int_equal(fr_image_record(image, there - 1)->seq, written - 1);
		fr_image_close(image);
		unit_ring_free(&u);
	}
}

TEST(test_I3_a_writer_killed_between_the_two_stores_that_announce_a_record_costs_nothing)
{
	struct unit_ring u;
	struct fr_image *image;
	uint64_t lost[FRM_LOSS_COUNT];

	for (uint64_t written = 0; written < 300; written += 7) {
		unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
		unit_write_many(&u, 0, written);
		u.lane[0].head->next_seq++; /* and here it dies, before next_pos */
		image = unit_image(&u, 0);
		unit_account(image, 0, lost);
		assert_int_equal(fr_image_lane(image, 0)->next_seq, written);
		assert_int_equal(lost[FRM_LOSS_TORN] + lost[FRM_LOSS_DAMAGED], 0);
		assert_false(fr_image_lane(image, 0)->head_damaged);
		fr_image_close(image);
		unit_ring_free(&u);
	}
}

TEST(test_I4_a_writer_that_sleeps_for_three_laps_of_the_others_damages_nothing)
{
	struct unit_ring u;
	struct fr_reservation res;
	struct fr_image *image;
	uint64_t lost[FRM_LOSS_COUNT];

	unit_ring_make(&u, FRM_RING_MIN, 4, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 2, 10);
	assert_int_equal(unit_reserve(&u, 2, &res), 0);
	for (uint32_t lane = 0; lane < u.lanes; lane++)
		if (lane != 2)
			unit_write_many(&u, lane, 300);
	assert_true(u.lane[0].pos > 3 * u.lane[0].size);
	fr_lane_commit(&res, 0);
	image = unit_image(&u, 0);
	for (uint32_t lane = 0; lane < u.lanes; lane++) {
		unit_account(image, lane, lost);
		assert_int_equal(lost[FRM_LOSS_TORN] + lost[FRM_LOSS_DAMAGED], 0);
		if (lane == 2)
			assert_int_equal(lost[FRM_LOSS_OVERWRITTEN], 0);
		assert_true(unit_has(image, lane, u.lane[lane].seq - 1));
	}
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_I1_a_record_of_an_older_lap_put_back_in_its_place_is_not_valid)
{
	struct unit_ring u;
	unsigned char old[8192];
	struct fr_image *image;
	uint64_t lost[FRM_LOSS_COUNT];

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 40);
	memcpy(old, u.lane[0].data, 1024); /* the lane's first records */
	unit_write_many(&u, 0, 1000);
	assert_true(u.lane[0].pos > 2 * u.lane[0].size);
	memcpy(u.lane[0].data, old, 1024);
	image = unit_image(&u, 0);
	unit_account(image, 0, lost);
	assert_true(fr_image_lane(image, 0)->oldest_pos + u.lane[0].size >= fr_image_lane(image, 0)->newest_end);
	assert_false(unit_has(image, 0, 0));
	assert_true(lost[FRM_LOSS_DAMAGED] > 0);
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_I1_a_record_copied_to_another_place_or_lane_is_not_valid)
{
	struct unit_ring u;
	struct fr_image *image;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 10);
	memcpy(u.lane[0].data + 4096, u.lane[0].data, 1024);
	memcpy(u.lane[1].data, u.lane[0].data, 1024);
	memcpy(u.lane[1].data + 2048, u.lane[0].data, 1024);
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_record_count(image), 10);
	unit_account(image, 0, NULL);
	assert_int_equal(fr_image_lane(image, 1)->records, 0);
	fr_image_close(image);
	unit_ring_free(&u);
}

static void other_ring_id(struct frm_super *super)
{
	super->ring_id[5] ^= 1;
}

static void other_boot_id(struct frm_super *super)
{
	super->boot_id[15] ^= 0x80;
}

TEST(test_I1_a_record_of_another_ring_or_boot_is_not_valid)
{
	void (*change[])(struct frm_super *) = { other_ring_id, other_boot_id };
	struct unit_ring u;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 10);
	for (size_t i = 0; i < COUNT(change); i++) {
		unsigned char *bytes = unit_bytes(&u);
		struct fr_image *image = NULL;

		sign_super(bytes, 0, change[i]);
		sign_super(bytes, u.ring.super.meta_size, change[i]);
		assert_int_equal(open_bytes(bytes, u.ring.size, &image), 0);
		assert_int_equal(fr_image_record_count(image), 0);
		fr_image_close(image);
		free(bytes);
	}
	unit_ring_free(&u);
}

TEST(test_I9_a_stretch_of_garbage_costs_the_records_it_lies_in)
{
	struct unit_ring u;
	uint64_t seed = 3, lost[FRM_LOSS_COUNT];

	for (int round = 0; round < 300; round++) {
		uint64_t at, size, touched = 0;
		struct fr_image *whole, *image;

		unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
		unit_write_many(&u, 0, 50 + unit_random(&seed) % 400);
		whole = unit_image(&u, 0);
		size = 1 + unit_random(&seed) % 1500;
		at = unit_random(&seed) % (u.lane[0].size - size);
		for (uint64_t i = 0; i < size; i++)
			u.lane[0].data[at + i] = (unsigned char)unit_random(&seed);
		image = unit_image(&u, 0);
		unit_account(image, 0, lost);
		for (size_t i = 0; i < fr_image_record_count(whole); i++) {
			const struct fr_record *record = fr_image_record(whole, i);
			uint64_t from = record->pos % u.lane[0].size, to = from + fr_record_span(record->payload_size + 40);
			bool hit = from < at + size && at < to;

			touched += hit;
			if (unit_has(image, 0, record->seq) == hit)
				fail_msg("round %d: garbage at %llu, %llu bytes; record %llu at %llu is %s", round,
					 (unsigned long long)at, (unsigned long long)size, (unsigned long long)record->seq,
					 (unsigned long long)from, hit ? "there" : "gone");
		}
		assert_true(fr_image_lane(image, 0)->next_seq >= fr_image_lane(whole, 0)->next_seq);
		assert_true(fr_image_record_count(image) + touched >= fr_image_record_count(whole));
		fr_image_close(image);
		fr_image_close(whole);
		unit_ring_free(&u);
	}
}

TEST(test_I10_one_intact_meta_is_enough)
{
	struct unit_ring u;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	fr_ring_session_begin(&u.ring, 0, NULL, "a session");
	fr_ring_anchor(&u.ring);
	unit_write_many(&u, 0, 10);
	for (int copy = 0; copy < 2; copy++) {
		for (int fill = 0; fill < 2; fill++) {
			unsigned char *bytes = unit_bytes(&u);
			struct fr_image *image = NULL;

			memset(bytes + copy * u.ring.super.meta_size, fill ? 0xff : 0, u.ring.super.meta_size);
			assert_int_equal(open_bytes(bytes, u.ring.size, &image), 0);
			assert_int_equal(fr_image_meta_damage(image), 1 << copy);
			assert_int_equal(fr_image_record_count(image), 10);
			assert_int_equal(fr_image_provider_count(image), 1);
			assert_int_equal(fr_image_event_desc_count(image), 1);
			assert_int_equal(fr_image_session_count(image), 1);
			assert_int_equal(fr_image_anchor_count(image), 2);
			assert_int_equal(fr_image_super(image)->pid, 4711);
			fr_image_close(image);
			free(bytes);
		}
	}
	unit_ring_free(&u);
}

TEST(test_I10_damage_in_both_copies_costs_what_lies_there_only)
{
	struct unit_ring u;
	unsigned char *bytes;
	struct fr_image *image = NULL;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "event-%d", i);
		assert_true(fr_ring_declare_event(&u.ring, 0, name, FRM_LEVEL_INFO, 0, NULL, 0) > 0);
	}
	unit_write_many(&u, 0, 10);
	bytes = unit_bytes(&u);
	memset(bytes, 0, 2048);							 /* superblock of A */
	memset(bytes + u.ring.super.meta_size + 4096, 0, u.ring.super.meta_size - 4096); /* tables and log of B */
	assert_int_equal(open_bytes(bytes, u.ring.size, &image), 0);
	assert_int_equal(fr_image_event_desc_count(image), 11);
	assert_int_equal(fr_image_anchor_count(image), 1);
	assert_int_equal(fr_image_record_count(image), 10);
	fr_image_close(image);

	free(bytes);
	unit_ring_free(&u);
}

TEST(test_I9_both_superblocks_gone_cost_the_writers_identity_only)
{
	const uint32_t head = offsetof(struct frm_lane, reserved0);
	struct fr_image *image = NULL;
	unsigned char *bytes;
	struct unit_ring u;
	uint64_t lost[FRM_LOSS_COUNT];

	unit_ring_make(&u, 128 << 10, 3, FRM_POLICY_OVERWRITE);
	for (uint32_t lane = 0; lane < 3; lane++)
		unit_write_many(&u, lane, 10 + 1000 * lane);
	bytes = unit_bytes(&u);
	memset(bytes, 0, 2048);
	memset(bytes + u.ring.super.meta_size, 0xff, 2048);
	for (uint32_t damaged = 0; damaged < 6; damaged++) { /* one head or tail more each time */
		assert_int_equal(open_bytes(bytes, u.ring.size, &image), 0);
		assert_int_equal(fr_image_meta_damage(image), 3);
		assert_int_equal(fr_image_lane_count(image), 3);
		assert_int_equal(fr_image_super(image)->pid, 0);
		assert_int_equal(fr_image_event_desc_count(image), 1);
		assert_int_equal(fr_image_lane(image, 0)->records, 10);
		for (uint32_t lane = 0; lane < 3; lane++)
			unit_account(image, lane, lost);
		fr_image_close(image);
		memset(bytes + fr_super_lane_offset(&u.ring.super, damaged / 2) +
			       (damaged % 2 ? u.ring.super.lane_size - FRM_LANE_HEAD : 0), 0, head);
	}
	/* nothing says any more what it is */
	assert_int_equal(open_bytes(bytes, u.ring.size, &image), -EBADMSG);
	free(bytes);
	unit_ring_free(&u);
}

TEST(test_I10_a_superblock_is_put_together_from_two_damaged_ones)
{
	struct fr_image *image = NULL;
	unsigned char *bytes;
	struct unit_ring u;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 10);
	bytes = unit_bytes(&u);
	for (uint32_t i = 0; i < 12; i++) { /* bits of words all over, each in one of the copies */
		bytes[(i % 2 ? u.ring.super.meta_size : 0) + i * 168 + 40] ^= (unsigned char)(1 << i % 8);
		assert_int_equal(open_bytes(bytes, u.ring.size, &image), 0);
		assert_memory_equal(fr_image_super(image), &u.ring.super, sizeof(u.ring.super));
		assert_int_equal(fr_image_meta_damage(image), i ? 3 : 1);
		assert_int_equal(fr_image_record_count(image), 10);
		fr_image_close(image);
	}
	/* the same word in both: the identity is gone, the records are not */
	bytes[u.ring.super.meta_size + 40] ^= 2;
	assert_int_equal(open_bytes(bytes, u.ring.size, &image), 0);
	assert_int_equal(fr_image_super(image)->pid, 0);
	assert_int_equal(fr_image_record_count(image), 10);
	fr_image_close(image);
	free(bytes);
	unit_ring_free(&u);
}

static void newer_major(struct frm_super *super)
{
	super->version_major = 2;
}

static void newer_minor(struct frm_super *super)
{
	super->version_minor = 999;
}

static void unknown_incompat(struct frm_super *super)
{
	super->incompat = 1ull << 63;
}

static void unknown_compat(struct frm_super *super)
{
	super->compat = UINT64_MAX;
}

static void reserved_used(struct frm_super *super)
{
	memset(super->reserved, 0x55, sizeof(super->reserved));
}

TEST(test_I13_unknown_features_are_refused_or_skipped_as_the_document_says)
{
	static const struct {
		void (*change)(struct frm_super *);
		int result;
	} cases[] = {
		{ newer_major, -EPROTONOSUPPORT }, { unknown_incompat, -EPROTONOSUPPORT },
		{ newer_minor, 0 }, { unknown_compat, 0 }, { reserved_used, 0 },
	};
	struct unit_ring u;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	assert_int_equal(fr_ring_declare_raw(&u.ring, 999, "of the future", 13), 0);
	unit_write_many(&u, 0, 10);
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned char *bytes = unit_bytes(&u);
		struct fr_image *image = NULL;

		sign_super(bytes, 0, cases[i].change);
		sign_super(bytes, u.ring.super.meta_size, cases[i].change);
		assert_int_equal(open_bytes(bytes, u.ring.size, &image), cases[i].result);
		if (cases[i].result == 0) {
			assert_int_equal(fr_image_record_count(image), 10);
			assert_int_equal(fr_image_event_desc_count(image), 1);
			fr_image_close(image);
		} else {
			assert_null(image);
			assert_non_null(strstr(fr_image_strerror(cases[i].result), "newer"));
		}
		free(bytes);
	}
	unit_ring_free(&u);
}

TEST(test_I8_foreign_files_are_refused)
{
	static const unsigned char zeros[FRM_RING_MIN], elf[128] = "\177ELF";
	unsigned char *noise = malloc(FRM_RING_MIN);
	struct fr_image *image = NULL;
	uint64_t seed = 5;

	for (size_t i = 0; i < FRM_RING_MIN; i++)
		noise[i] = (unsigned char)unit_random(&seed);
	assert_int_equal(open_bytes(zeros, 0, &image), -EBADMSG);
	assert_int_equal(open_bytes(zeros, sizeof(zeros), &image), -EBADMSG);
	assert_int_equal(open_bytes(elf, sizeof(elf), &image), -EBADMSG);
	assert_int_equal(open_bytes(noise, FRM_RING_MIN, &image), -EBADMSG);
	assert_int_equal(fr_image_open_path("/", 0, &image), -EISDIR);
	assert_int_equal(fr_image_open_path("/nowhere/at/all", 0, &image), -ENOENT);
	assert_int_equal(fr_image_open_path("/dev/null", 0, &image), -EBADMSG);
	assert_int_equal(fr_image_open_path("Makefile", 0, &image), -EBADMSG);
	assert_null(image);
	free(noise);
}

TEST(test_I18_a_ring_that_somebody_cut_or_grew_is_read_as_far_as_it_goes)
{
	struct unit_ring u;
	struct fr_image *image = NULL;
	uint64_t size;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 10);
	unit_write_many(&u, 1, 10);
	size = fr_super_lane_offset(&u.ring.super, 1);
	fr_ring_unmap(&u.ring);
	assert_int_equal(ftruncate(u.fd, 100 << 20), 0);
	assert_int_equal(fr_image_open(u.fd, 0, &image), 0);
	assert_int_equal(fr_image_record_count(image), 20);
	fr_image_close(image);
	assert_int_equal(ftruncate(u.fd, (off_t)size), 0);
	assert_int_equal(fr_image_open(u.fd, 0, &image), 0);
	assert_int_equal(fr_image_record_count(image), 10);
	fr_image_close(image);
	assert_int_equal(ftruncate(u.fd, (off_t)4 << 30), 0);
	image = NULL;
	assert_int_equal(fr_image_open(u.fd, 0, &image), -EFBIG);
	assert_null(image);
	close(u.fd);
}

TEST(test_the_time_line_is_in_order_of_time_and_never_against_a_lane)
{
	struct unit_ring u;
	struct fr_image *image;
	const uint32_t *order;
	uint64_t next[4] = { 0 }, time = 0;
	size_t count;

	unit_ring_make(&u, FRM_RING_MIN, 4, FRM_POLICY_OVERWRITE);
	for (int i = 0; i < 20; i++)
		for (uint32_t lane = 0; lane < 4; lane++)
			unit_write(&u, lane);
	image = unit_image(&u, 0);
	order = fr_image_timeline(image);
	count = fr_image_record_count(image);
	assert_int_equal(count, 80);
	for (size_t i = 0; i < count; i++) {
		const struct fr_record *record = fr_image_record(image, order[i]);

		assert_true(record->time_ns >= time);
		time = record->time_ns;
		assert_int_equal(record->seq, next[record->lane]);
		next[record->lane]++;
	}
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_a_ring_nobody_wrote_is_empty_and_whole)
{
	struct unit_ring u;
	struct fr_image *image;

	unit_ring_make(&u, FRM_RING_MIN, 4, FRM_POLICY_OVERWRITE);
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_record_count(image), 0);
	assert_int_equal(fr_image_loss_count(image), 0);
	assert_int_equal(fr_image_meta_damage(image), 0);
	assert_non_null(fr_image_timeline(image));
	fr_image_close(image);
	fr_image_close(NULL);
	unit_ring_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I6_every_number_is_a_record_or_one_named_loss_after_any_count_of_records),
		cmocka_unit_test(test_I3_a_writer_killed_between_reserve_and_commit_costs_its_own_record),
		cmocka_unit_test(test_I3_a_writer_killed_between_the_two_stores_that_announce_a_record_costs_nothing),
		cmocka_unit_test(test_I4_a_writer_that_sleeps_for_three_laps_of_the_others_damages_nothing),
		cmocka_unit_test(test_I1_a_record_of_an_older_lap_put_back_in_its_place_is_not_valid),
		cmocka_unit_test(test_I1_a_record_copied_to_another_place_or_lane_is_not_valid),
		cmocka_unit_test(test_I1_a_record_of_another_ring_or_boot_is_not_valid),
		cmocka_unit_test(test_I9_a_stretch_of_garbage_costs_the_records_it_lies_in),
		cmocka_unit_test(test_I10_one_intact_meta_is_enough),
		cmocka_unit_test(test_I10_damage_in_both_copies_costs_what_lies_there_only),
		cmocka_unit_test(test_I9_both_superblocks_gone_cost_the_writers_identity_only),
		cmocka_unit_test(test_I10_a_superblock_is_put_together_from_two_damaged_ones),
		cmocka_unit_test(test_I13_unknown_features_are_refused_or_skipped_as_the_document_says),
		cmocka_unit_test(test_I8_foreign_files_are_refused),
		cmocka_unit_test(test_I18_a_ring_that_somebody_cut_or_grew_is_read_as_far_as_it_goes),
		cmocka_unit_test(test_the_time_line_is_in_order_of_time_and_never_against_a_lane),
		cmocka_unit_test(test_a_ring_nobody_wrote_is_empty_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_ring.c - reserve and commit: what one writer does to one lane. */
#include "tests/unit/unit_ring.h"

#include <sys/mman.h>

static const struct frm_record *record_at(const struct fr_lane *lane, uint64_t pos)
{
	return (const struct frm_record *)(lane->data + pos % lane->size);
}

TEST(test_I5_positions_and_numbers_go_on_through_laps)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };
	uint64_t end = 0;

	unit_ring_make(&u, FRM_RING_MIN, 1, FRM_POLICY_OVERWRITE);
	for (uint64_t seq = 0; seq < 10000; seq++) {
		assert_int_equal(unit_reserve(&u, 0, &res), 0);
		assert_true(res.record->pos >= end);
		assert_int_equal(res.record->pos % u.lane[0].size, (unsigned char *)res.record - u.lane[0].data);
		assert_int_equal(res.record->seq_session & FRM_SEQ_MASK, seq);
		end = res.record->pos + fr_record_span(res.size);
		assert_true(end - res.record->pos <= u.lane[0].size - res.record->pos % u.lane[0].size); /* no wrap */
		fr_lane_commit(&res, 0);
		assert_int_equal(u.lane[0].head->next_pos, end);
		assert_int_equal(u.lane[0].head->next_seq, seq + 1);
	}
	assert_true(end / u.lane[0].size > 10);
	unit_ring_free(&u);
}

TEST(test_I2_a_writer_stores_only_into_its_own_record_and_the_head)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };
	unsigned char *before, *after;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 500);
	unit_write_many(&u, 1, 500);
	for (int i = 0; i < 400; i++) {
		uint64_t from, to, head = fr_super_lane_offset(&u.ring.super, 0);

		before = unit_bytes(&u);
		assert_int_equal(unit_reserve(&u, 0, &res), 0);
		from = (uint64_t)((unsigned char *)res.record - u.ring.base);
		to = from + fr_record_span(res.size);
		fr_lane_commit(&res, 0);
		after = unit_bytes(&u);
		for (uint64_t at = 0; at < u.ring.size; at++) {
			if (before[at] == after[at] || (at >= from && at < to) || (at >= head + 56 && at < head + 72))
				continue;
			fail_msg("record %d at %llu changed byte %llu", i, (unsigned long long)from, (unsigned long long)at);
		}
		free(before);
		free(after);
	}
	unit_ring_free(&u);
}

TEST(test_sizes_up_to_a_quarter_of_the_lane_are_taken_and_no_more)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };
	uint32_t most;

	unit_ring_make(&u, FRM_RING_MIN, 1, FRM_POLICY_OVERWRITE);
	most = u.lane[0].max_record - (uint32_t)sizeof(struct frm_record);
	assert_int_equal(u.lane[0].max_record, u.lane[0].size / 4 & ~7ull);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(fr_lane_reserve(&u.lane[0], most, &res), 0);
		fr_lane_commit(&res, 0);
	}
	assert_int_equal(fr_lane_reserve(&u.lane[0], most + 1, &res), -EMSGSIZE);
	assert_int_equal(fr_lane_reserve(&u.lane[0], UINT32_MAX, &res), -EMSGSIZE);
	assert_int_equal(fr_lane_reserve(&u.lane[0], UINT32_MAX - 39, &res), -EMSGSIZE); /* 40 more would be 0 */
	assert_int_equal(u.lane[0].seq, 20);
	assert_int_equal(u.lane[0].busy, 0);
	assert_int_equal(fr_lane_reserve(&u.lane[0], 0, &res), 0);
	fr_lane_commit(&res, 0);
	unit_ring_free(&u);
}

TEST(test_a_lane_of_zeros_refuses_to_be_written)
{
	struct fr_lane lane = { 0 };
	struct fr_reservation res = { 0 };

	assert_int_equal(fr_lane_reserve(&lane, 0, &res), -ENXIO);
	assert_int_equal(fr_lane_reserve(&lane, 100, &res), -ENXIO);
}

TEST(test_the_rounding_of_a_record_is_zero_and_part_of_its_checksum)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };

	unit_ring_make(&u, FRM_RING_MIN, 1, FRM_POLICY_OVERWRITE);
	memset(u.lane[0].data, 0xee, u.lane[0].size); /* what an older lap may have left */
	for (uint32_t payload = 0; payload < 64; payload++) {
		const unsigned char *bytes;
		uint32_t size = 40 + payload, span = fr_record_span(size);
		uint64_t words[16];

		assert_int_equal(fr_lane_reserve(&u.lane[0], payload, &res), 0);
		bytes = (const unsigned char *)res.record;
		memset(res.record + 1, 'x', payload);
		fr_lane_commit(&res, 0);
		for (uint32_t i = size; i < span; i++)
			assert_int_equal(bytes[i], 0);
		memcpy(words, bytes, span);
		words[1] &= 0xffffffff00000000ull;
		assert_int_equal(res.record->crc, fr_crc32c(u.lane[0].seed, words, span));
	}
	unit_ring_free(&u);
}

TEST(test_I15_policy_discard_keeps_the_oldest_and_counts_the_rest)
{
	struct unit_ring u;
	uint64_t kept = 0, refused = 0, lost[FRM_LOSS_COUNT];
	struct fr_image *image;
	bool counted = false;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_DISCARD);
	for (int i = 0; i < 5000; i++) {
		int r = unit_write(&u, 0);

		kept += r == 0;
		refused += r == -ENOSPC;
	}
	assert_int_equal(kept + refused, 5000);
	assert_int_equal(u.lane[0].busy, 0);
	assert_int_equal(u.lane[0].head->discarded, refused);
	assert_int_equal(u.lane[0].tail->discarded, refused);
	image = unit_image(&u, 0);
	unit_account(image, 0, lost);
	assert_int_equal(fr_image_record_count(image), kept);
	assert_int_equal(fr_image_record(image, 0)->seq, 0);
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		assert_int_equal(fr_image_loss(image, i)->cause, FRM_LOSS_DISCARDED_FULL);
		assert_int_equal(fr_image_loss(image, i)->count, refused);
		assert_int_equal(fr_image_loss(image, i)->lane, 0);
		counted = true;
	}
	assert_true(counted);
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_I15_policy_overwrite_keeps_the_newest)
{
	struct unit_ring u;
	struct fr_image *image;
	uint64_t lost[FRM_LOSS_COUNT];
	size_t count;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 5000);
	image = unit_image(&u, 0);
	unit_account(image, 0, lost);
	count = fr_image_record_count(image);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(fr_image_record(image, i)->seq, 5000 - count + i);
	assert_int_equal(lost[FRM_LOSS_OVERWRITTEN], 5000 - count);
	assert_int_equal(lost[FRM_LOSS_DAMAGED] + lost[FRM_LOSS_TORN], 0);
	/* all but the record that was being overwritten, and the rest of a lap that one record did not fit into */
	assert_true(fr_image_lane(image, 0)->newest_end - fr_image_lane(image, 0)->oldest_pos + 2 * 128 > u.lane[0].size);
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_a_discarded_record_is_neither_an_event_nor_a_loss)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };
	struct fr_image *image;
	uint64_t lost[FRM_LOSS_COUNT];

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(unit_reserve(&u, 0, &res), 0);
		fr_lane_commit(&res, i % 3 == 1 ? FRM_RECORD_DISCARDED : 0);
	}
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_record_count(image), 20);
	for (size_t i = 0; i < 20; i++)
		assert_int_not_equal(fr_image_record(image, i)->seq % 3, 1);
	unit_account(image, 0, lost);
	assert_int_equal(fr_image_loss_count(image), 0);
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_I5_a_lane_that_changes_hands_goes_on_and_covers_what_was_torn)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };
	struct fr_image *image;
	uint64_t lost[FRM_LOSS_COUNT], torn_pos;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 20);
	assert_int_equal(unit_reserve(&u, 0, &res), 0); /* number 20: its writer ends here */
	torn_pos = res.record->pos;
	assert_int_equal(u.lane[0].busy, 1);
	fr_lane_cover_torn(&u.lane[0], UNIT_TIME);
	assert_int_equal(u.lane[0].busy, 0);
	image = unit_image(&u, 0); /* also when nothing follows: the head's hints fit the mark */
	assert_false(fr_image_lane(image, 0)->head_damaged);
	fr_image_close(image);
	fr_ring_lane_owner(&u.ring, &u.lane[0], 1, 777, "successor");
	unit_write_many(&u, 0, 20);
	assert_int_equal(record_at(&u.lane[0], torn_pos)->pos, torn_pos);

	image = unit_image(&u, 0);
	unit_account(image, 0, lost);
	assert_int_equal(fr_image_record_count(image), 40);
	assert_int_equal(lost[FRM_LOSS_TORN], 1);
	assert_int_equal(lost[FRM_LOSS_DAMAGED] + lost[FRM_LOSS_OVERWRITTEN], 0);
	assert_int_equal(fr_image_record(image, 19)->seq, 19); /* the dead thread's last words */
	assert_int_equal(fr_image_record(image, 20)->seq, 21);
	assert_string_equal(fr_image_lane(image, 0)->owner[0].name, "writer");
	assert_string_equal(fr_image_lane(image, 0)->owner[1].name, "successor");
	assert_true(fr_image_lane(image, 0)->owner[1].from_pos > torn_pos);
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_I5_of_many_owners_the_newest_eight_are_remembered)
{
	struct unit_ring u;
	struct fr_image *image;
	char name[16];

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (uint32_t owner = 1; owner <= 20; owner++) {
		snprintf(name, sizeof(name), "owner-%u", owner);
		fr_ring_lane_owner(&u.ring, &u.lane[0], owner, 1000 + owner, name);
		unit_write_many(&u, 0, 2);
	}
	image = unit_image(&u, 0);
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "owner-%u", 13 + i);
		assert_string_equal(fr_image_lane(image, 0)->owner[i].name, name);
	}
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_I16_a_lane_mapped_alone_can_be_written)
{
	struct unit_ring u;
	struct fr_lane alone;
	struct fr_reservation res = { 0 };
	struct fr_image *image;
	unsigned char *lane;
	uint64_t at, size;

	unit_ring_make(&u, 1 << 20, 4, FRM_POLICY_OVERWRITE);
	at = fr_super_lane_offset(&u.ring.super, 2);
	size = u.ring.super.lane_size;
	assert_int_equal(at % FRM_PAGE, 0);
	assert_int_equal(size % FRM_PAGE, 0);
	lane = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, u.fd, (off_t)at);
	assert_true(lane != MAP_FAILED);
	alone = (struct fr_lane){ .head = (struct frm_lane *)lane, .tail = (struct frm_lane *)(lane + size - FRM_LANE_HEAD) };
	assert_int_equal(alone.head->magic, FRM_MAGIC_LANE);
	assert_memory_equal(alone.head, alone.tail, 56);
	alone.data = lane + FRM_LANE_HEAD;
	alone.size = alone.head->data_size;
	alone.seed = fr_lane_seed(alone.head->ring_id, alone.head->boot_id, alone.head->index);
	alone.max_record = fr_lane_max_record(alone.size);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fr_lane_reserve(&alone, 8, &res), 0);
		res.record->tid = 1234;
		fr_lane_commit(&res, 0);
	}
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_record_count(image), 3);
	assert_int_equal(fr_image_record(image, 2)->lane, 2);
	assert_int_equal(fr_image_record(image, 2)->tid, 1234);
	fr_image_close(image);
	munmap(lane, size);
	unit_ring_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I5_positions_and_numbers_go_on_through_laps),
		cmocka_unit_test(test_I2_a_writer_stores_only_into_its_own_record_and_the_head),
		cmocka_unit_test(test_sizes_up_to_a_quarter_of_the_lane_are_taken_and_no_more),
		cmocka_unit_test(test_a_lane_of_zeros_refuses_to_be_written),
		cmocka_unit_test(test_the_rounding_of_a_record_is_zero_and_part_of_its_checksum),
		cmocka_unit_test(test_I15_policy_discard_keeps_the_oldest_and_counts_the_rest),
		cmocka_unit_test(test_I15_policy_overwrite_keeps_the_newest),
		cmocka_unit_test(test_a_discarded_record_is_neither_an_event_nor_a_loss),
		cmocka_unit_test(test_I5_a_lane_that_changes_hands_goes_on_and_covers_what_was_torn),
		cmocka_unit_test(test_I5_of_many_owners_the_newest_eight_are_remembered),
		cmocka_unit_test(test_I16_a_lane_mapped_alone_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_image_damage.c - every prefix and every single flipped bit of a small ring: what the damage touches is lost and
 * counted, everything else is read, nothing is invented, and the accounts stay whole.
 */
#include "tests/unit/unit_ring.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define LANES 4

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEP 61 /* under a sanitizer a sample: a prime, so that all bits of all bytes have their turn */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STEP 61
#endif
#endif
#ifndef STEP
#define STEP 1
#endif

static struct {
	unsigned char *bytes;
	uint64_t size;
	struct fr_image *whole;
	size_t count;
	struct {
		uint64_t from, to; /* in the file */
	} *place;
	struct frm_super super;
} ring;

/* Lanes in different states: never lapped, lapped often, with a torn last record, with marks and owners. */
static int setup(void **state UNUSED)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };

	unit_ring_make(&u, FRM_RING_MIN, LANES, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 40);
	unit_write_many(&u, 1, 1000);
	unit_write_many(&u, 2, 555);
	unit_reserve(&u, 2, &res);
	for (int i = 0; i < 300; i++) {
		unit_reserve(&u, 3, &res);
		if (i % 10 == 3)
			fr_lane_cover_torn(&u.lane[3], UNIT_TIME);
		else
			fr_lane_commit(&res, i % 10 == 7 ? FRM_RECORD_DISCARDED : 0);
	}
	fr_ring_session_begin(&u.ring, 0, NULL, "a session");
	ring.bytes = unit_bytes(&u);
	ring.size = u.ring.size;
	ring.super = u.ring.super;
	ring.whole = unit_image(&u, 0);
	ring.count = fr_image_record_count(ring.whole);
	ring.place = calloc(ring.count, sizeof(*ring.place));
	for (size_t i = 0; i < ring.count; i++) {
		const struct fr_record *record = fr_image_record(ring.whole, i);

		ring.place[i].from = fr_super_lane_offset(&ring.super, record->lane) + FRM_LANE_HEAD +
				     record->pos % fr_super_lane_data(&ring.super);
		ring.place[i].to = ring.place[i].from + fr_record_span(record->payload_size + 40);
	}
	unit_ring_free(&u);
	return 0;
}

static int teardown(void **state UNUSED)
{
	fr_image_close(ring.whole);
	free(ring.bytes);
	free(ring.place);
	return 0;
}

static void same_record(const struct fr_record *a, const struct fr_record *b)
{
	assert_int_equal(a->lane, b->lane);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->pos, b->pos);
	assert_int_equal(a->payload_size, b->payload_size);
	assert_memory_equal(a->head, b->head, 40 + a->payload_size);
}

/*
 * Everything that does not overlap [from, to) must be there, in order; anything else there must be genuine (a record that the
 * newest one had put beyond the horizon may come back when that one is damaged).
 */
static void compare(const struct fr_image *image, uint64_t from, uint64_t to)
{
	size_t have = 0, count = fr_image_record_count(image);

	for (size_t i = 0; i < ring.count; i++) {
		const struct fr_record *want = fr_image_record(ring.whole, i);

		if (ring.place[i].from < to && from < ring.place[i].to)
			continue;
		while (have < count && (fr_image_record(image, have)->lane != want->lane ||
					fr_image_record(image, have)->seq < want->seq))
			if (!unit_is_genuine(fr_image_record(image, have++)))
				fail_msg("damage in %llu..%llu: an invented record", (unsigned long long)from, (unsigned long long)to);
		if (have == count)
			fail_msg("damage in %llu..%llu: record %u/%llu is gone", (unsigned long long)from, (unsigned long long)to,
				 want->lane, (unsigned long long)want->seq);
		same_record(fr_image_record(image, have++), want);
	}
	for (; have < count; have++)
		assert_true(unit_is_genuine(fr_image_record(image, have)));
}

static void check_flip(uint64_t bit)
{
	uint64_t byte = bit / 8;
	struct fr_image *image = NULL;

	ring.bytes[byte] ^= (unsigned char)(1 << bit % 8);
	if (fr_image_from_memory(ring.bytes, ring.size, 0, &image) != 0)
		fail_msg("bit %llu of byte %llu: the ring can't be opened", (unsigned long long)bit % 8, (unsigned long long)byte);
	ring.bytes[byte] ^= (unsigned char)(1 << bit % 8);

	compare(image, byte, byte + 1);
	for (uint32_t lane = 0; lane < LANES; lane++) {
		uint64_t before = fr_image_lane(ring.whole, lane)->next_seq, after = fr_image_lane(image, lane)->next_seq;

		unit_account(image, lane, NULL);
		uint64_t hint = fr_super_lane_offset(&ring.super, lane) + offsetof(struct frm_lane, next_seq);
		bool hit = byte >= hint && byte < hint + 8;

		/* no number is made up but by the hint itself, and none is forgotten but that of the newest record */
		if (after > before + hit || after + 1 < before)
			fail_msg("bit %llu of byte %llu: lane %u has had %llu records, not %llu", (unsigned long long)bit % 8,
				 (unsigned long long)byte, lane, (unsigned long long)before, (unsigned long long)after);
	}
	assert_int_equal(fr_image_provider_count(image), 1);
	assert_int_equal(fr_image_event_desc_count(image), 1);
	assert_int_equal(fr_image_session_count(image), 1);
	assert_int_equal(fr_image_anchor_count(image), 1);
	assert_memory_equal(fr_image_super(image), fr_image_super(ring.whole), sizeof(struct frm_super));
	for (uint32_t lane = 0; lane < LANES; lane++)
		assert_memory_equal(fr_image_lane(image, lane)->owner, fr_image_lane(ring.whole, lane)->owner, 256);
	fr_image_close(image);
}

/* Shares the work among two processes; a child's failure is this process's. */
static void in_parallel(uint64_t count, void (*check)(uint64_t))
{
	enum { WORKERS = 2 };
	pid_t child[WORKERS];
	int status;

	for (uint64_t w = 0; w < WORKERS; w++) {
		child[w] = fork();
		assert_true(child[w] >= 0);
		if (child[w])
			continue;
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion ends the child */
		for (uint64_t i = w; i < count; i += WORKERS)
			check(i * STEP);
		_exit(0);
	}
	for (int w = 0; w < WORKERS; w++) {
		assert_int_equal(waitpid(child[w], &status, 0), child[w]);
		assert_int_equal(status, 0);
	}
}

TEST(test_I9_every_single_flipped_bit_costs_at_most_the_record_it_lies_in)
{
	in_parallel(ring.size * 8 / STEP, check_flip);
}

static void check_prefix(uint64_t size)
{
	struct fr_image *image = NULL;
	int r = fr_image_from_memory(ring.bytes, size, 0, &image);

	if (r < 0 && size < sizeof(struct frm_super)) {
		assert_int_equal(r, -EBADMSG);
		return;
	}
	assert_int_equal(r, 0);
	compare(image, size, ring.size);
	for (uint32_t lane = 0; lane < LANES; lane++)
		unit_account(image, lane, NULL);
	fr_image_close(image);
}

TEST(test_I8_every_prefix_of_a_ring_is_read_as_far_as_it_goes)
{
	in_parallel(ring.size / STEP, check_prefix);
}

/* A page of the file may be what it was some time ago: writes reach the disk page by page. */
TEST(test_I9_a_page_that_was_not_written_back_costs_its_own_records)
{
	struct unit_ring u;
	uint64_t lost[FRM_LOSS_COUNT], seed = 11;

	for (int round = 0; round < 200; round++) {
		unsigned char *early, *late;
		struct fr_image *image = NULL;
		uint64_t page;

		unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
		unit_write_many(&u, 0, unit_random(&seed) % 600);
		early = unit_bytes(&u);
		unit_write_many(&u, 0, unit_random(&seed) % 200);
		late = unit_bytes(&u);
		page = unit_random(&seed) % (u.ring.size / FRM_PAGE);
		memcpy(late + page * FRM_PAGE, early + page * FRM_PAGE, FRM_PAGE);
		assert_int_equal(fr_image_from_memory(late, u.ring.size, 0, &image), 0);
		unit_account(image, 0, lost);
		fr_image_close(image);
		free(early);
		free(late);
		unit_ring_free(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I8_every_prefix_of_a_ring_is_read_as_far_as_it_goes),
		cmocka_unit_test(test_I9_every_single_flipped_bit_costs_at_most_the_record_it_lies_in),
		cmocka_unit_test(test_I9_a_page_that_was_not_written_back_costs_its_own_records),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

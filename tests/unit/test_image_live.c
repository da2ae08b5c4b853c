/* SPDX-License-Identifier: MIT */
/* test_image_live.c - reading a ring while others write it: whole records only, no false losses, the writer never waits. */
#include "tests/unit/unit_ring.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

struct writer {
	struct unit_ring *u;
	uint32_t lane;
	bool stop;
	unsigned pause; /* loops between two records */
};

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!fr_load_relaxed(&w->stop)) {
		unit_write(w->u, w->lane);
		for (unsigned i = 0; i < w->pause; i++)
			__asm__ volatile("" ::: "memory");
	}
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void read_while_written(uint64_t ring_size, unsigned pause, uint64_t ms)
{
	struct unit_ring u;
	struct writer w[2];
	pthread_t thread[2];
	uint64_t end = now_ms() + ms, newest[2] = { 0 }, looks = 0, records = 0;

	unit_ring_make(&u, ring_size, 3, FRM_POLICY_OVERWRITE);
	for (uint32_t i = 0; i < 2; i++) {
		w[i] = (struct writer){ .u = &u, .lane = i, .pause = pause };
		assert_int_equal(pthread_create(&thread[i], NULL, write_on, &w[i]), 0);
	}
	/* on a busy machine, until each has had its turn */
	while (now_ms() < end || looks < 3 || newest[0] <= 100 || newest[1] <= 100) {
		struct fr_image *image = unit_image(&u, FR_IMAGE_LIVE);
		uint64_t lost[FRM_LOSS_COUNT];

		for (uint32_t lane = 0; lane < 2; lane++) {
			const struct fr_lane_info *info = fr_image_lane(image, lane);

			unit_account_live(image, lane, lost);
			if (lost[FRM_LOSS_DAMAGED] || lost[FRM_LOSS_TORN])
				fail_msg("a living lane is said to have lost %llu damaged, %llu torn",
					 (unsigned long long)lost[FRM_LOSS_DAMAGED], (unsigned long long)lost[FRM_LOSS_TORN]);
			assert_true(info->next_seq >= newest[lane]); /* time goes forward */
			newest[lane] = info->next_seq;
		}
		records += fr_image_record_count(image);
		looks++;
		fr_image_close(image);
	}
	for (uint32_t i = 0; i < 2; i++) {
		fr_store_relaxed(&w[i].stop, true);
		pthread_join(thread[i], NULL);
		assert_true(w[i].u->lane[i].seq > 100);
	}
	print_message("%llu looks, %llu records\n", (unsigned long long)looks, (unsigned long long)records);
	assert_true(looks > 2);
	unit_ring_free(&u);
}

TEST(test_I14_a_ring_that_laps_many_times_during_one_look)
{
	read_while_written(FRM_RING_MIN, 0, 1500);
}

TEST(test_I14_a_ring_written_as_fast_as_it_goes)
{
	read_while_written(4 << 20, 0, 1500);
}

TEST(test_I14_a_ring_written_at_leisure)
{
	read_while_written(FRM_RING_MIN, 2000, 1500);
}

TEST(test_I14_the_record_being_written_is_no_loss_while_its_writer_lives)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };
	struct fr_image *image;
	uint64_t lost[FRM_LOSS_COUNT];

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 20);
	assert_int_equal(unit_reserve(&u, 0, &res), 0);
	image = unit_image(&u, FR_IMAGE_LIVE);
	assert_int_equal(fr_image_record_count(image), 20);
	assert_int_equal(fr_image_loss_count(image), 0);
	fr_image_close(image);
	image = unit_image(&u, 0);
	unit_account(image, 0, lost);
	assert_int_equal(lost[FRM_LOSS_TORN], 1);
	fr_image_close(image);
	unit_ring_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I14_the_record_being_written_is_no_loss_while_its_writer_lives),
		cmocka_unit_test(test_I14_a_ring_written_at_leisure),
		cmocka_unit_test(test_I14_a_ring_written_as_fast_as_it_goes),
		cmocka_unit_test(test_I14_a_ring_that_laps_many_times_during_one_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

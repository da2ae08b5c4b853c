/* SPDX-License-Identifier: MIT */
/* test_backoff.c - the waits between tries are jittered, bounded, and never shorter than the server asked for. */
#include "tests/unit/unit.h"

#include "uploader/backoff.h"

#define NOV_6_1994 784111777 /* 08:49:37 GMT */

TEST(test_bound_doubles_up_to_the_cap)
{
	struct fr_backoff backoff;
	const uint64_t want[] = { 100, 200, 400, 800, 1000, 1000 };

	fr_backoff_init(&backoff, 100, 1000);
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(fr_backoff_bound_ms(&backoff), want[i]);
		assert_true(fr_backoff_next_ms(&backoff, 0) <= want[i]);
	}
	fr_backoff_reset(&backoff);
	assert_int_equal(fr_backoff_bound_ms(&backoff), 100);
}

TEST(test_full_jitter_uses_the_whole_range)
{
	struct fr_backoff backoff;
	unsigned tenth[10] = { 0 };

	fr_backoff_init(&backoff, 1000, 1000);
	for (int i = 0; i < 10000; i++)
		tenth[fr_backoff_next_ms(&backoff, 0) * 10 / 1001]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(tenth[i], 800, 1200);
}

TEST(test_two_machines_do_not_wait_alike)
{
	struct fr_backoff a, b;
	unsigned same = 0;

	fr_backoff_init(&a, 100000, 100000);
	fr_backoff_init(&b, 100000, 100000);
	for (int i = 0; i < 100; i++)
		same += fr_backoff_next_ms(&a, 0) == fr_backoff_next_ms(&b, 0);
	assert_true(same < 10);
}

TEST(test_retry_after_is_a_floor_and_has_a_ceiling)
{
	struct fr_backoff backoff;

	fr_backoff_init(&backoff, 10, 10);
	assert_in_range(fr_backoff_next_ms(&backoff, 5000), 5000, 5010);
	assert_in_range(fr_backoff_next_ms(&backoff, UINT64_MAX), FR_RETRY_AFTER_MAX_MS, FR_RETRY_AFTER_MAX_MS + 10);
}

TEST(test_many_failures_do_not_overflow)
{
	struct fr_backoff backoff;

	fr_backoff_init(&backoff, 1000, 300000);
	for (int i = 0; i < 200; i++)
		assert_true(fr_backoff_next_ms(&backoff, 0) <= 300000);
}

TEST(test_retry_after_is_read_in_seconds_and_as_a_date)
{
	static const struct {
		const char *value;
		bool good;
		uint64_t ms;
	} table[] = {
		{ "0", true, 0 },
		{ "120", true, 120000 },
		{ " 7", true, 7000 },
		{ "99999999999999999999999", true, FR_RETRY_AFTER_MAX_MS },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", true, 60000 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", true, 60000 },
		{ "Sun Nov  6 08:49:37 1994", true, 60000 },
		{ "Sun, 06 Nov 1994 08:48:37 GMT", true, 0 },
		{ "Sun, 06 Nov 1994 08:00:00 GMT", true, 0 },
		{ "Sun, 06 Nov 2094 08:49:37 GMT", true, FR_RETRY_AFTER_MAX_MS },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "12s", false, 0 },
		{ "soon", false, 0 },
		{ "Sun, 06 Foo 1994 08:49:37 GMT", false, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 PST", false, 0 },
		{ "Sun, 06 Nov 1994 28:49:37 GMT", false, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT and more", false, 0 },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		uint64_t ms = 12345;

		assert_int_equal(fr_retry_after_parse(table[i].value, NOV_6_1994 - 60, &ms), table[i].good);
		assert_int_equal(ms, table[i].good ? table[i].ms : 12345);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound_doubles_up_to_the_cap),
		cmocka_unit_test(test_full_jitter_uses_the_whole_range),
		cmocka_unit_test(test_two_machines_do_not_wait_alike),
		cmocka_unit_test(test_retry_after_is_a_floor_and_has_a_ceiling),
		cmocka_unit_test(test_many_failures_do_not_overflow),
		cmocka_unit_test(test_retry_after_is_read_in_seconds_and_as_a_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

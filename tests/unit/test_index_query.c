/* SPDX-License-Identifier: MIT */
/* test_index_query.c - one timeline out of the index, and every filter against a plain walk over all events. */
#include "recorder/core/host.h"
#include "tests/unit/unit_index.h"
#include "uploader/ranges.h"

/* Boots 1 to 3, each with two processes and the recorder. */
static void make_machine(const struct scratch *s)
{
	struct writer w;

	for (unsigned boot = 1; boot <= 3; boot++) {
		for (unsigned i = 0; i < 2; i++) {
			writer_make(&w, FRM_KIND_PROCESS, boot * 16 + i, 100 + 10 * boot + i, boot);
			for (uint64_t n = 0; n < 100; n++)
				writer_order(&w, n % 2, (200 + boot) * SECOND + n * 1000 + i * 300, n);
			writer_seal(&w, s, 0, i ? FRM_REASON_DIED : FRM_REASON_CLOSED, NULL, NULL);
			writer_done(&w);
		}
		writer_make(&w, FRM_KIND_SYSTEM, boot * 16 + 9, 50, boot);
		for (uint64_t n = 0; n < 20; n++)
			writer_say(&w, 0, (200 + boot) * SECOND + n * 4000 + 7, FR_EVENT_PROC_EXEC,
				   (struct said[]){ { "pid", 300 + n, NULL }, { "tid", 300 + n, NULL }, { "comm", 0, n % 2 ? "odd" : "even" },
						    { "filename", 0, "/bin/Thing" }, { NULL, 0, NULL } });
		writer_seal(&w, s, 0, FRM_REASON_DRAIN, NULL, NULL);
		writer_done(&w);
	}
}

/* How many events match; each must satisfy `good`, in order of time within rising boots. */
static uint64_t count(struct fr_index *index, const struct fr_query *query, bool (*good)(const struct fr_event *event))
{
	uint64_t events = 0, boot = 0, time = 0;
	struct fr_cursor *cursor;
	struct fr_event event;
	int r;

	assert_int_equal(fr_query_open(index, query, &cursor), 0);
	while ((r = fr_query_next(cursor, &event)) == 1) {
		assert_true(event.boot_seq >= boot);
		if (event.boot_seq > boot)
			time = 0;
		assert_true(event.time_ns >= time);
		boot = event.boot_seq;
		time = event.time_ns;
		assert_true(!good || good(&event));
		events++;
	}
	assert_int_equal(r, 0);
	assert_int_equal(fr_query_next(cursor, &event), 0);
	fr_query_close(cursor);
	return events;
}

#define GOOD(name, condition) \
	static bool name(const struct fr_event *e) { return condition; }
GOOD(is_boot_2, e->boot_seq == 2)
GOOD(is_pid_121, e->pid == 121)
GOOD(is_odd, !strcmp(e->comm, "odd"))
GOOD(is_helper, !strcmp(e->thread, "helper"))
GOOD(is_kernel, !strcmp(e->provider, "kernel"))
GOOD(is_grave, e->level && e->level <= FRM_LEVEL_WARNING)
GOOD(is_ring, e->ring_id[0] == 0x20)
GOOD(is_in_window, e->boot_seq == 2 && e->time_ns >= 202 * SECOND + 10000 && e->time_ns <= 202 * SECOND + 20000)

TEST(test_each_filter_gives_what_it_says_and_all_of_it)
{
	static uint8_t ring[16];
	struct fr_index *index;
	struct scratch s;

	scratch_make(&s);
	make_machine(&s);
	index = index_now(&s, NULL);
	memset(ring, 0x20, 16);
	assert_int_equal(count(index, &(struct fr_query){ 0 }, NULL), 660);
	assert_int_equal(count(index, &(struct fr_query){ .boot = "2" }, is_boot_2), 220);
	assert_int_equal(count(index, &(struct fr_query){ .boot = "0202" }, is_boot_2), 220);
	assert_int_equal(count(index, &(struct fr_query){ .boot = "-2" }, is_boot_2), 220); /* this boot is not in it */
	assert_int_equal(count(index, &(struct fr_query){ .pid = 121 }, is_pid_121), 100);
	assert_int_equal(count(index, &(struct fr_query){ .comm = "od*" }, is_odd), 30);
	assert_int_equal(count(index, &(struct fr_query){ .comm = "helper" }, is_helper), 300);
	assert_int_equal(count(index, &(struct fr_query){ .provider = "kern*" }, is_kernel), 60);
	assert_int_equal(count(index, &(struct fr_query){ .provider = "d53c445e-c9da-4141-8089-2c4e6564512b" }, is_kernel), 60);
	assert_int_equal(count(index, &(struct fr_query){ .event = "shop.*" }, NULL), 600);
	assert_int_equal(count(index, &(struct fr_query){ .level = FRM_LEVEL_WARNING }, is_grave), 600);
	assert_int_equal(count(index, &(struct fr_query){ .text = "/BIN/thing" }, is_kernel), 60);
	assert_int_equal(count(index, &(struct fr_query){ .text = "customer 77" }, NULL), 6);
	assert_int_equal(count(index, &(struct fr_query){ .ring_id = ring }, is_ring), 100);
	assert_int_equal(count(index, &(struct fr_query){ .session = "*" }, NULL), 0);
	assert_int_equal(count(index, &(struct fr_query){ .boot = "2", .since_boot_ns = 202 * SECOND + 10000,
							  .until_boot_ns = 202 * SECOND + 20000 }, is_in_window), 23);
	assert_int_equal(count(index, &(struct fr_query){ .since_real_ns = 2000202 * SECOND + 10000,
							  .until_real_ns = 2000202 * SECOND + 20000 }, is_in_window), 23);
	assert_int_equal(count(index, &(struct fr_query){ .pid = 121, .level = 3, .text = "customer 5", .boot = "2" }, is_pid_121), 11);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_the_last_n_are_the_newest_in_order)
{
	struct fr_index *index;
	struct fr_cursor *cursor;
	struct fr_event event;
	struct scratch s;

	scratch_make(&s);
	make_machine(&s);
	index = index_now(&s, NULL);
	assert_int_equal(count(index, &(struct fr_query){ .last = 1000 }, NULL), 660);
	assert_int_equal(count(index, &(struct fr_query){ .last = 300 }, NULL), 300);
	assert_int_equal(count(index, &(struct fr_query){ .last = 7, .comm = "odd" }, is_odd), 7);
	assert_int_equal(count(index, &(struct fr_query){ .last = 5, .boot = "2" }, is_boot_2), 5);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ .last = 1 }, &cursor), 0);
	assert_int_equal(fr_query_next(cursor, &event), 1);
	assert_int_equal(event.boot_seq, 3);
	assert_int_equal(event.time_ns, 203 * SECOND + 99 * 1000 + 300);
	fr_query_close(cursor);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_a_boot_or_incident_that_is_not_there_is_said)
{
	struct fr_cursor *cursor = NULL;
	struct fr_index *index;
	struct scratch s;
	char *id;

	scratch_make(&s);
	make_machine(&s);
	index = index_now(&s, NULL);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ .boot = "current" }, &cursor), -ENOENT);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ .boot = "-9" }, &cursor), -ENOENT);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ .boot = "77" }, &cursor), -ENOENT);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ .boot = "yesterday" }, &cursor), -EINVAL);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ .incident = "123456789abc" }, &cursor), -ENOENT);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ .incident = "" }, &cursor), -ENOENT);
	assert_null(cursor);
	id = index_ask(index, "SELECT id FROM incidents WHERE boot_seq = 2");
	id[12] = 0;
	assert_int_equal(count(index, &(struct fr_query){ .incident = id }, is_boot_2), 220);
	assert_int_equal(count(index, &(struct fr_query){ .incident = id, .before_ns = 1000 }, is_boot_2), 3);
	free(id);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_time_never_goes_against_the_order_of_a_lane)
{
	struct fr_index *index;
	struct fr_cursor *cursor;
	struct fr_event event;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 1, 100, 1);
	for (uint64_t n = 0; n < 10; n++) /* the third was stamped before the second */
		writer_order(&w, 0, 200 * SECOND + (n == 2 ? 500 : n * 1000), n);
	writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
	index = index_now(&s, NULL);
	assert_int_equal(fr_query_open(index, &(struct fr_query){ 0 }, &cursor), 0);
	for (uint64_t n = 0; n < 10; n++) {
		assert_int_equal(fr_query_next(cursor, &event), 1);
		assert_int_equal(event.seq, n);
		assert_int_equal(event.time_ns, 200 * SECOND + (n == 2 ? 500 : n * 1000));
	}
	fr_query_close(cursor);
	assert_answer(index, "SELECT time_ns - 200000000000 FROM events WHERE seq = 2", "500\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_sessions_of_one_number_are_told_apart_by_time)
{
	struct fr_index *index;
	struct scratch s;
	struct writer w;
	int number;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 1, 100, 1);
	number = fr_ring_session_begin(&w.ring, 0, NULL, "checkout");
	assert_true(number > 0);
	assert_int_equal(fr_emit(&w.lane[0], &(struct fr_stamp){ .time_ns = fr_clock_boot_ns() + SECOND, .event = w.order,
								 .session = (uint16_t)number }, NULL, 0), 0);
	writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
	index = index_now(&s, NULL);
	assert_int_equal(count(index, &(struct fr_query){ .session = "check*" }, NULL), 1);
	assert_int_equal(count(index, &(struct fr_query){ .session = "nothing" }, NULL), 0);
	assert_answer(index, "SELECT name FROM sessions", "checkout\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

/* ------------------------------------------------------------------ arithmetic of sets, against bits */

#define BITS 200

static void random_set(uint64_t *seed, struct fr_ranges *set, bool bits[BITS])
{
	memset(bits, 0, BITS);
	for (unsigned i = unit_random(seed) % 8; i > 0; i--) {
		uint64_t first = unit_random(seed) % BITS, last = first + unit_random(seed) % 30;

		last = last < BITS ? last : BITS - 1;
		assert_int_equal(fr_ranges_add(set, first, last), 0);
		memset(bits + first, 1, last - first + 1);
	}
	fr_ranges_tidy(set);
}

static void assert_set(const struct fr_ranges *set, const bool bits[BITS])
{
	uint64_t size = 0;

	for (unsigned i = 0; i < BITS; i++) {
		assert_int_equal(fr_ranges_has(set, i), bits[i]);
		size += bits[i];
	}
	assert_int_equal(fr_ranges_size(set), size);
	for (size_t i = 1; i < set->count; i++)
		assert_true(set->run[i].first > set->run[i - 1].last + 1);
}

TEST(test_sets_of_numbers_behave_like_sets)
{
	uint64_t seed = 42;

	for (unsigned round = 0; round < 3000; round++) {
		struct fr_ranges a = { 0 }, b = { 0 };
		bool in_a[BITS], in_b[BITS];

		random_set(&seed, &a, in_a);
		random_set(&seed, &b, in_b);
		assert_set(&a, in_a);
		switch (round % 3) {
		case 0:
			assert_int_equal(fr_ranges_merge(&a, &b), 0);
			break;
		case 1:
			assert_int_equal(fr_ranges_subtract(&a, &b), 0);
			break;
		default:
			assert_int_equal(fr_ranges_intersect(&a, &b), 0);
		}
		for (unsigned i = 0; i < BITS; i++)
			in_a[i] = round % 3 == 0 ? in_a[i] || in_b[i] : round % 3 == 1 ? in_a[i] && !in_b[i] : in_a[i] && in_b[i];
		assert_set(&a, in_a);
		fr_ranges_done(&a);
		fr_ranges_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_filter_gives_what_it_says_and_all_of_it),
		cmocka_unit_test(test_the_last_n_are_the_newest_in_order),
		cmocka_unit_test(test_a_boot_or_incident_that_is_not_there_is_said),
		cmocka_unit_test(test_time_never_goes_against_the_order_of_a_lane),
		cmocka_unit_test(test_sessions_of_one_number_are_told_apart_by_time),
		cmocka_unit_test(test_sets_of_numbers_behave_like_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

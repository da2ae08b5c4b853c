/* SPDX-License-Identifier: MIT */
/* test_clock.c - the clock of records against CLOCK_BOOTTIME, which is what eBPF programs read. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "recorder/core/clock.h"
#include "recorder/core/host.h"

#define BOUND_NS 1000

struct look {
	uint64_t looks;
	uint64_t worst_ns; /* how far outside its bracket the worst lay */
};

static void look(struct fr_clock *clock, struct look *l)
{
	uint64_t before = fr_clock_boot_ns(), ours = fr_clock_now(clock), after = fr_clock_boot_ns(), off = 0;

	if (ours < before)
		off = before - ours;
	else if (ours > after)
		off = ours - after;
	if (off > l->worst_ns)
		l->worst_ns = off;
	l->looks++;
}

static void report(const char *what, const struct look *l)
{
	print_message("%s: %llu looks, at worst %llu ns outside the bracket\n", what, (unsigned long long)l->looks,
		      (unsigned long long)l->worst_ns);
	assert_true(l->worst_ns <= BOUND_NS);
}

TEST(test_I12_the_clock_is_within_a_microsecond_in_a_hot_loop)
{
	struct fr_clock clock;
	struct look l = { 0 };
	uint64_t end = fr_clock_boot_ns() + 1000000000;

	fr_clock_init(&clock);
	while (fr_clock_boot_ns() < end)
		look(&clock, &l);
	report("hot loop", &l);
}

/* Most of the time nobody else looks at the kernel's clock in between. */
TEST(test_I12_the_clock_is_within_a_microsecond_after_many_readings)
{
	struct fr_clock clock;
	struct look l = { 0 };
	uint64_t end = fr_clock_boot_ns() + 500000000;

	fr_clock_init(&clock);
	while (fr_clock_boot_ns() < end) {
		for (int i = 0; i < 5000; i++)
			fr_clock_now(&clock);
		look(&clock, &l);
	}
	report("after 5,000 readings", &l);
}

TEST(test_I12_the_clock_is_within_a_microsecond_after_sleeps_of_any_length)
{
	struct fr_clock clock;
	struct look l = { 0 };
	uint64_t seed = 9;

	fr_clock_init(&clock);
	for (int i = 0; i < 200; i++) {
		struct timespec t = { 0, (long)(unit_random(&seed) % (i % 20 ? 3000000 : 30000000)) };

		nanosleep(&t, NULL);
		for (int j = 0; j < 20; j++)
			look(&clock, &l);
	}
	report("after sleeps", &l);
}

static void *wander(void *arg)
{
	struct look *l = arg;
	struct fr_clock clock;
	cpu_set_t all, one;
	uint64_t end = fr_clock_boot_ns() + 500000000;

	sched_getaffinity(0, sizeof(all), &all);
	fr_clock_init(&clock);
	while (fr_clock_boot_ns() < end) {
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &all))
				continue;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
			for (int i = 0; i < 100; i++)
				look(&clock, l);
		}
	}
	return NULL;
}

TEST(test_I12_the_clock_is_within_a_microsecond_across_processors)
{
	struct look l[2] = { 0 };
	pthread_t thread[2];
	struct fr_clock clock;

	fr_clock_init(&clock);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, wander, &l[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		report("across processors", &l[i]);
	}
}

TEST(test_the_clock_asks_the_kernel_where_the_counter_is_not_trusted)
{
	struct fr_clock clock = { 0 };
	struct look l = { 0 };

	for (int i = 0; i < 1000; i++)
		look(&clock, &l);
	assert_int_equal(l.worst_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I12_the_clock_is_within_a_microsecond_in_a_hot_loop),
		cmocka_unit_test(test_I12_the_clock_is_within_a_microsecond_after_many_readings),
		cmocka_unit_test(test_I12_the_clock_is_within_a_microsecond_after_sleeps_of_any_length),
		cmocka_unit_test(test_I12_the_clock_is_within_a_microsecond_across_processors),
		cmocka_unit_test(test_the_clock_asks_the_kernel_where_the_counter_is_not_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * bench_event.c - what libflightrec costs: an event with two u64 and a 40-byte string, to a ring file.
 * MODE: one, two (threads); off (the gate is shut); empty (the loop of "off" without an event).
 */
#include <flightrec/flightrec.h>

#include "tests/bench/bench_loop.h"

FLIGHTREC_PROVIDER(bench, "bench.event", "7d7a0c52-5c0c-4e28-a0a1-6d6f1f6f1c11", 1, 0);

#define PAID(F) F(u64, order_id, "") F(u64, amount, "") F(str, customer, "")
FLIGHTREC_EVENT(bench, paid, FLIGHTREC_INFO, 0, PAID)
FLIGHTREC_EVENT(bench, verbose_paid, FLIGHTREC_VERBOSE, 0, PAID)

static void on(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		flightrec_emit_paid(0, i, thread, BENCH_TEXT);
}

static void off(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		__asm__ volatile("" : "+r"(i));
		flightrec_emit_verbose_paid(0, i, thread, BENCH_TEXT);
	}
}

static void empty(unsigned thread, uint64_t first, uint64_t count)
{
	(void)thread;
	for (uint64_t i = first; i < first + count; i++)
		__asm__ volatile("" : "+r"(i));
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "one";
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : BENCH_EVENTS;
	struct flightrec_status status = { .size = sizeof(status) };
	bool two = !strcmp(mode, "two");

	if (flightrec_register(&bench) < 0 || flightrec_get_status(&status) < 0 || status.error || !status.ring_path[0]) {
		fprintf(stderr, "bench_event: no ring file: %s\n", strerror(-status.error));
		return 1;
	}
	printf("%.3f\n", bench_run(!strcmp(mode, "off") ? off : !strcmp(mode, "empty") ? empty : on, two ? 2 : 1, count));
	flightrec_get_status(&status);
	if (status.lost) {
		fprintf(stderr, "bench_event: %llu events were lost\n", (unsigned long long)status.lost);
		return 1;
	}
	flightrec_unregister(&bench);
	return 0;
}

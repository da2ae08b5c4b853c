/* SPDX-License-Identifier: MIT */
/* bench_lttng.c - the peer: LTTng-UST records the same event. MODE: one, two (threads). */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "tests/bench/lttng_tp.h"

#include "tests/bench/bench_loop.h"

static void loop(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		lttng_ust_tracepoint(fr_bench, paid, i, thread, BENCH_TEXT);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : BENCH_EVENTS;

	if (argc < 2)
		return 2;
	if (!lttng_ust_tracepoint_enabled(fr_bench, paid)) {
		fprintf(stderr, "bench_lttng: the tracepoint is off: no session records it\n");
		return 1;
	}
	printf("%.3f\n", bench_run(loop, strcmp(argv[1], "two") ? 1 : 2, count));
	return 0;
}

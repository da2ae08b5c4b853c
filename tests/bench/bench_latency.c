/* SPDX-License-Identifier: MIT */
/*
 * bench_latency.c - how long single events take: p50, p99 and p99.9 over all of them, each one
 * timed by itself.
 *
 *	bench_latency THREADS PAYLOAD hot|cold [EVENTS]
 *
 * The event has PAYLOAD bytes. Around each, the time-stamp counter is read, and the processor has
 * to finish one before it begins the next; what reading it twice costs (the median of as many empty
 * pairs) is taken off. So an event costs more here than among others, and no figure is finer than
 * the counter's grain: what events cost that follow each other is bench_event's to tell. "cold":
 * between two events the thread walks over more memory than the caches near it hold, as a program
 * does that records now and then. Prints one JSON object, nanoseconds: of the slowest thread.
 * x86-64 and arm64.
 */
#include <flightrec/flightrec.h>

#include "tests/bench/bench_loop.h"

#define CACHES (8u << 20) /* bytes to walk over: several times what one processor has to itself */

FLIGHTREC_PROVIDER(bench, "bench.latency", "7d7a0c52-5c0c-4e28-a0a1-6d6f1f6f1c12", 1, 0);
#define BLOB(F) F(bytes, blob, "")
FLIGHTREC_EVENT(bench, blob, FLIGHTREC_INFO, 0, BLOB)

static unsigned payload;
static bool cold;
static double ns_per_tick;
static struct {
	double p50, p99, p999;
} result[16];

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	uint32_t low, high;

	__asm__ volatile("rdtscp; lfence" : "=a"(low), "=d"(high) : : "ecx", "memory");
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(t) : : "memory");
	return t;
#endif
}

static int by_ticks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void calibrate(void)
{
	double from = bench_now_ns(), until = from + 50e6, now = from;
	uint64_t begin = ticks();

	while (now < until)
		now = bench_now_ns();
	ns_per_tick = (now - from) / (double)(ticks() - begin);
}

static unsigned walk(const unsigned char *memory)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < CACHES; i += 64)
		sum += memory[i];
	return sum;
}

static void measure(unsigned thread, uint64_t first, uint64_t count)
{
	unsigned char *memory = calloc(1, CACHES), blob[4096];
	uint64_t *took = calloc(count, sizeof(*took)), empty;
	static volatile unsigned sink;

	(void)first;
	if (!memory || !took)
		abort();
	memset(memory, 1, CACHES);
	memset(blob, 'x', sizeof(blob));
	for (uint64_t i = 0; i < count; i++) {
		uint64_t begin = ticks();

		took[i] = ticks() - begin;
	}
	qsort(took, count, sizeof(*took), by_ticks);
	empty = took[count / 2];
	for (uint64_t i = 0; i < count; i++) {
		uint64_t begin;

		if (cold)
			sink += walk(memory);
		begin = ticks();
		flightrec_emit_blob(0, blob, payload);
		took[i] = ticks() - begin;
		took[i] = took[i] > empty ? took[i] - empty : 0;
	}
	qsort(took, count, sizeof(*took), by_ticks);
	result[thread].p50 = (double)took[count / 2] * ns_per_tick;
	result[thread].p99 = (double)took[count - 1 - count / 100] * ns_per_tick;
	result[thread].p999 = (double)took[count - 1 - count / 1000] * ns_per_tick;
	free(took);
	free(memory);
}

static void *thread_main(void *arg)
{
	struct bench_thread *t = arg;

	bench_pin(t->index);
	t->loop(t->index, 0, t->count / 10);
	pthread_barrier_wait(t->barrier);
	t->loop(t->index, 0, t->count);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 0, slowest = 0;
	struct flightrec_status status = { .size = sizeof(status) };
	struct bench_thread t[16];
	pthread_barrier_t barrier;
	uint64_t count;

	payload = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	if (argc < 4 || !threads || threads > 16 || payload < 8 || payload > 4096)
		return 2;
	cold = !strcmp(argv[3], "cold");
	count = argc > 4 ? strtoull(argv[4], NULL, 0) : cold ? 5000 : 1000000;
	if (flightrec_register(&bench) < 0 || flightrec_get_status(&status) < 0 || status.error) {
		fprintf(stderr, "bench_latency: no ring: %s\n", strerror(-status.error));
		return 1;
	}
	calibrate();
	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		t[i] = (struct bench_thread) {
			.barrier = &barrier, .loop = measure, .index = i, .count = count
		};
		pthread_create(&t[i].thread, NULL, thread_main, &t[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(t[i].thread, NULL);
		if (result[i].p50 > result[slowest].p50)
			slowest = i;
	}
	printf("{\"threads\":%u,\"payload_bytes\":%u,\"cache\":\"%s\",\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f}\n",
	       threads, payload, argv[3], result[slowest].p50, result[slowest].p99,
	       result[slowest].p999);
	flightrec_get_status(&status);
	if (status.lost) {
		fprintf(stderr, "bench_latency: %llu events were lost\n", (unsigned long long)status.lost);
		return 1;
	}
	flightrec_unregister(&bench);
	return 0;
}

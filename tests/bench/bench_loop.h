/* SPDX-License-Identifier: MIT */
/*
 * bench_loop.h - what all event benches share: the event, threads pinned to processors, one number out.
 *
 * A program is called as PROGRAM MODE [EVENTS] and prints nanoseconds per event, as one number: the slowest thread's median
 * over stretches of 10,000 events each. (A stretch is shorter than a turn on the processor, so that a machine with something else to
 * do spoils some stretches, not the median.) Threads start together; each first records a tenth of the events unmeasured.
 */
#ifndef TESTS_BENCH_BENCH_LOOP_H
#define TESTS_BENCH_BENCH_LOOP_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_EVENTS 2000000ull
#define BENCH_STRETCH 10000ull
#define BENCH_TEXT "a forty byte long customer name, exactly" /* 40 characters */
_Static_assert(sizeof(BENCH_TEXT) == 41, "the string has 40 bytes");

typedef void bench_loop(unsigned thread, uint64_t first, uint64_t count);

struct bench_thread {
	pthread_t thread;
	pthread_barrier_t *barrier;
	bench_loop *loop;
	unsigned index;
	uint64_t count;
	double ns;
};

static inline double bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The index-th processor that this process may run on. */
static inline void bench_pin(unsigned index)
{
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || index--)
			continue;
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
		return;
	}
}

static inline int bench_by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static inline void *bench_thread_main(void *arg)
{
	struct bench_thread *t = arg;
	uint64_t stretches = (t->count + BENCH_STRETCH - 1) / BENCH_STRETCH;
	double *ns = calloc(stretches, sizeof(*ns));

	if (!ns)
		abort();
	bench_pin(t->index);
	t->loop(t->index, 0, t->count / 10);
	pthread_barrier_wait(t->barrier);
	for (uint64_t i = 0; i < stretches; i++) {
		double start = bench_now_ns();

		t->loop(t->index, i * BENCH_STRETCH, BENCH_STRETCH);
		ns[i] = (bench_now_ns() - start) / (double)BENCH_STRETCH;
	}
	qsort(ns, stretches, sizeof(*ns), bench_by_size);
	t->ns = ns[stretches / 2];
	free(ns);
	return NULL;
}

static inline double bench_run(bench_loop *loop, unsigned threads, uint64_t count)
{
	struct bench_thread t[16];
	pthread_barrier_t barrier;
	double slowest = 0;

	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		t[i] = (struct bench_thread){ .barrier = &barrier, .loop = loop, .index = i, .count = count };
		pthread_create(&t[i].thread, NULL, bench_thread_main, &t[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(t[i].thread, NULL);
		slowest = t[i].ns > slowest ? t[i].ns : slowest;
	}
	pthread_barrier_destroy(&barrier);
	return slowest;
}

#endif

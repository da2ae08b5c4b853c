/* SPDX-License-Identifier: MIT */
/*
 * shop.c - the demo's application: a till with several threads that records its orders through libflightrec.
 *
 *	shop WITNESS SLOT FATE [READY]
 *
 * WITNESS is a file shared by all tills. After each commit a thread stores its count there, outside the ring: that
 * is what the ring is held against afterwards (verdict.c). FATE says how this till ends:
 *
 *	closes    in order, after its orders
 *	killed    somebody kills it at an instant of his choice
 *	torn      one thread reserves a record and never commits; somebody kills it then (the file READY says when)
 *	crashes   a thread follows a bad pointer
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <flightrec/flightrec.h>

#include "tests/demo/witness.h"

FLIGHTREC_PROVIDER(shop, "demo.shop", "3b0f5f0e-7f4e-4d2c-9c55-1a6f2f0c7d11", 1, 0);

#define ORDER_PAID(F) F(u64, number, "") F(u32, thread, "") F(u32, amount, "cent") F(str, customer, "")
FLIGHTREC_EVENT(shop, order_paid, FLIGHTREC_INFO, 0, ORDER_PAID)

#define TILL_OPENED(F) F(u32, slot, "") F(str, fate, "")
FLIGHTREC_EVENT(shop, till_opened, FLIGHTREC_INFO, 0, TILL_OPENED)

#define PRICE_MISSING(F) F(u64, item, "") F(str, shelf, "")
FLIGHTREC_EVENT(shop, price_missing, FLIGHTREC_ERROR, 0, PRICE_MISSING)

static const char *const customers[] = { "Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Ken Thompson" };

struct till {
	struct witness *witness;
	const char *fate, *ready;
	unsigned slot;
};

struct clerk {
	struct till *till;
	unsigned thread;
};

static const uint64_t *volatile price = (const uint64_t *)0x10; /* what a bug left there */

static void sleep_us(long us)
{
	struct timespec pause = { .tv_nsec = us * 1000 };

	nanosleep(&pause, NULL);
}

static void touch(const char *path)
{
	int fd = path ? open(path, O_CREAT | O_WRONLY, 0644) : -1;

	if (fd >= 0)
		close(fd);
}

static void end_as_fated(const struct till *till)
{
	struct flightrec_slot slot;

	if (!strcmp(till->fate, "torn")) {
		if (!flightrec_reserve(&slot, &flightrec_event_order_paid, 0, 64))
			exit(1);
		touch(till->ready);
		for (;;)
			pause();
	}
	if (!strcmp(till->fate, "crashes")) {
		flightrec_emit_price_missing(0, 4711, "A-12");
		exit((int)*price);
	}
}

static void *serve(void *arg)
{
	const struct clerk *clerk = arg;
	struct till *till = clerk->till;
	uint64_t *count = &till->witness->count[till->slot][clerk->thread];
	char name[16];

	snprintf(name, sizeof(name), "clerk-%u", clerk->thread);
	prctl(PR_SET_NAME, name);
	for (uint64_t number = 1;; number++) {
		const char *customer = customers[(number + clerk->thread) % 5];

		if (flightrec_emit_order_paid(0, number, clerk->thread, (uint32_t)(100 + number * 7 % 9000), customer) != 1) {
			fprintf(stderr, "shop: order %llu was not recorded\n", (unsigned long long)number);
			exit(1);
		}
		__atomic_store_n(count, number, __ATOMIC_RELEASE); /* the witness: outside the ring, after the commit */
		if (number == WITNESS_ORDERS && clerk->thread == 0)
			end_as_fated(till);
		if (number == WITNESS_ORDERS && !strcmp(till->fate, "closes"))
			return NULL;
		sleep_us(300);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[WITNESS_THREADS];
	struct clerk clerks[WITNESS_THREADS];
	struct till till = { 0 };
	int fd, r;

	if (argc < 4) {
		fprintf(stderr, "usage: shop WITNESS SLOT FATE [READY]\n");
		return 2;
	}
	till.slot = (unsigned)atoi(argv[2]) % WITNESS_TILLS;
	till.fate = argv[3];
	till.ready = argc > 4 ? argv[4] : NULL;
	fd = open(argv[1], O_RDWR);
	till.witness = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*till.witness), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (till.witness == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	r = flightrec_register(&shop);
	if (r < 0) {
		fprintf(stderr, "shop: can't record: %s\n", strerror(-r));
		return 1;
	}
	flightrec_record_crashes();
	till.witness->pid[till.slot] = (uint32_t)getpid();
	flightrec_emit_till_opened(0, till.slot, till.fate);
	for (unsigned i = 0; i < WITNESS_THREADS; i++) {
		clerks[i] = (struct clerk){ &till, i };
		if (pthread_create(&threads[i], NULL, serve, &clerks[i]))
			return 1;
	}
	for (unsigned i = 0; i < WITNESS_THREADS; i++)
		pthread_join(threads[i], NULL);
	flightrec_unregister(&shop);
	return 0;
}

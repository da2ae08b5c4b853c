/* SPDX-License-Identifier: MIT */
/*
 * witness.c - an application that records numbered events for ever, and says each number outside the ring once its
 * event is committed: whoever reads both after a crash knows whether anything committed was lost.
 *
 *	witness FILE [PAUSE_US]
 *
 * Two tills count on their own. FILE gets a line "paid TILL NUMBER" after each commit. Without a pause they record
 * as fast as they can, so that a panic meets them at an arbitrary instruction.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flightrec/flightrec.h>

FLIGHTREC_PROVIDER(shop, "example.shop", "6d2b7a40-1f0c-4e1b-9d5e-7a3c52b8e604", 1, 0);

#define ORDER_PAID(F) F(u32, till, "") F(u64, number, "") F(u64, amount, "cent") F(str, customer, "")
FLIGHTREC_EVENT(shop, order_paid, FLIGHTREC_INFO, 0, ORDER_PAID)

static int witness = -1;
static useconds_t pause_us;

static void *till_main(void *data)
{
	static const char *const customer[] = { "Ada", "Grace", "Barbara", "Margaret", "Radia" };
	uint32_t till = (uint32_t)(uintptr_t)data;
	char name[16], line[48];
	int n;

	snprintf(name, sizeof(name), "till-%u", till);
	pthread_setname_np(pthread_self(), name);
	for (uint64_t number = 1;; number++) {
		if (flightrec_emit_order_paid(0, till, number, number * 7919 % 10000, customer[number % 5]) != 1)
			abort(); /* an event that was not recorded must not be witnessed */
		n = snprintf(line, sizeof(line), "paid %u %llu\n", till, (unsigned long long)number);
		if (write(witness, line, (size_t)n) != n)
			abort();
		if (pause_us)
			usleep(pause_us);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct flightrec_status status = { .size = sizeof(status) };
	pthread_t thread;
	int r;

	if (argc < 2)
		return fprintf(stderr, "usage: witness FILE [PAUSE_US]\n"), 2;
	if (argc > 2)
		pause_us = (useconds_t)strtoul(argv[2], NULL, 10);
	witness = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (witness < 0)
		return perror(argv[1]), 1;
	/* an ordinary user's ring comes from the daemon alone, which a slow guest may keep from answering in time */
	for (int tries = 0; (r = flightrec_register(&shop)) < 0 && tries < 60; tries++)
		sleep(1);
	if (r < 0)
		return fprintf(stderr, "witness: no ring: %s\n", strerror(-r)), 1;
	flightrec_get_status(&status);
	fprintf(stderr, "witness: ring %s, %s\n", status.ring_id, status.ring_path);
	if (pthread_create(&thread, NULL, till_main, (void *)(uintptr_t)1) != 0)
		return 1;
	till_main((void *)(uintptr_t)2);
	return 0;
}

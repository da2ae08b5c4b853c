/* SPDX-License-Identifier: MIT */
/*
 * power_witness.c - an application that records at a steady rate until the power goes, and says
 *each number outside the ring as soon as its call has returned:
 *
 *	power_witness FILE
 *
 * FILE gets a line "t TILL NUMBER US": US is CLOCK_BOOTTIME in microseconds when the call began.
 *Tills 1 and 2 record at level info, every 10 ms. Till 3 records what must survive a power cut: by
 *turns an event of level critical, and a reservation that is committed durably; now and then in a
 *session of its own.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <flightrec/flightrec.h>

FLIGHTREC_PROVIDER(power, "example.power", "c0b8a0de-5c1e-4f0e-8a63-0d0b6a9e7731", 1, 0);

#define SALE(F) F(u32, till, "") F(u64, number, "") F(str, goods, "")
FLIGHTREC_EVENT(power, sold, FLIGHTREC_INFO, 0, SALE)
FLIGHTREC_EVENT(power, alarm, FLIGHTREC_CRITICAL, 0, SALE)
#define RESERVED(F) F(u32, till, "") F(u64, number, "")
FLIGHTREC_EVENT(power, kept, FLIGHTREC_INFO, 0, RESERVED)

static int witness = -1;

static unsigned long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (unsigned long long)ts.tv_sec * 1000000 + (unsigned long long)ts.tv_nsec / 1000;
}

/* 1, or what went wrong. */
static int record_durably(uint32_t till, uint64_t number)
{
	struct {
		uint32_t till, padding;
		uint64_t number;
	} *payload;
	struct flightrec_slot slot;
	uint32_t session = 0;
	int r;

	if (number % 16 == 0)
		session = flightrec_session_begin(&power, NULL, "night");
	if (number % 2)
		return flightrec_emit_alarm(session, till, number, "smoke");
	payload = flightrec_reserve(&slot, &flightrec_event_kept, session, sizeof(*payload));
	if (!payload)
		return -1;
	payload->till = till;
	payload->padding = 0;
	payload->number = number;
	r = flightrec_commit_durable(&slot);
	return r < 0 ? r : 1;
}

static void *till_main(void *data)
{
	uint32_t till = (uint32_t)(uintptr_t)data;
	char line[64];

	for (uint64_t number = 1;; number++) {
		unsigned long long us = now_us();
		int r = till == 3 ? record_durably(till, number)
				  : flightrec_emit_sold(0, till, number, "bread"),
		    n;

		if (r != 1) {
			fprintf(stderr, "power_witness: till %u, number %llu: %d\n", till,
				(unsigned long long)number, r);
			abort();
		}
		n = snprintf(line, sizeof(line), "t %u %llu %llu\n", till,
			     (unsigned long long)number, us);
		if (write(witness, line, (size_t)n) != n)
			abort();
		usleep(10000);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int r;

	if (argc != 2)
		return fprintf(stderr, "usage: power_witness FILE\n"), 2;
	witness = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (witness < 0)
		return perror(argv[1]), 1;
	r = flightrec_register(&power);
	if (r < 0)
		return fprintf(stderr, "power_witness: no ring: %s\n", strerror(-r)), 1;
	for (uintptr_t till = 1; till < 3; till++) {
		if (pthread_create(&thread, NULL, till_main, (void *)till) != 0)
			return 1;
	}
	till_main((void *)(uintptr_t)3);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * verdict.c - holds what was recovered against what was witnessed.
 *
 *	verdict WITNESS SPOOL
 *
 * For each thread of each till: the orders in the spool's segments must be one run without a hole, each once, that ends at
 * the witnessed count (or one after: committed, and killed before the witness knew). The run's lane must be full, and have
 * lapped at least twice: an order that is missing may be older than the horizon, never inside it.
 * Prints a table, and three counts for the shell: committed, recovered, lost by each cause. Exit 1: something is missing.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/decode.h"
#include "recorder/core/ring.h"
#include "tests/demo/witness.h"

/* What the spool holds of one thread. */
struct run {
	uint64_t *orders;
	size_t count;
	uint64_t lane_bytes, span;
	uint64_t filled, largest; /* bytes of the lane that hold valid records, and of the largest */
	uint32_t pid;
};

static struct run runs[WITNESS_TILLS][WITNESS_THREADS];
static uint64_t losses[FRM_LOSS_COUNT];
static uint64_t events;

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void take_order(const struct fr_image *image, const struct fr_record *record, const struct fr_event *event, unsigned slot)
{
	uint64_t thread = fr_event_field(event, "thread")->u % WITNESS_THREADS;
	struct run *run = &runs[slot][thread];

	run->orders = realloc(run->orders, (run->count + 1) * sizeof(*run->orders));
	if (!run->orders)
		exit(1);
	run->orders[run->count++] = fr_event_field(event, "number")->u;
	run->lane_bytes = fr_image_lane(image, record->lane)->data_size;
	if (fr_record_span(record->payload_size + 40) > run->span)
		run->span = fr_record_span(record->payload_size + 40);
	run->pid = event->pid;
	if (!run->filled) {
		size_t count;
		const struct fr_record *all = fr_image_lane_records(image, record->lane, &count);

		for (size_t i = 0; i < count; i++) {
			uint64_t bytes = fr_record_span(all[i].payload_size + 40);

			run->filled += bytes;
			if (bytes > run->largest)
				run->largest = bytes;
		}
	}
}

static void take_segment(const char *path, const struct witness *witness)
{
	struct fr_image *image = NULL;
	unsigned slot = 0;
	int r = fr_image_open_path(path, 0, &image);

	if (r < 0) {
		printf("%s: %s\n", path, fr_image_strerror(r));
		exit(1);
	}
	while (slot < WITNESS_TILLS && witness->pid[slot] != fr_image_super(image)->pid)
		slot++;
	for (size_t i = 0; slot < WITNESS_TILLS && i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		events++;
		fr_decode(image, record, &event);
		if (!strcmp(event.name, "order_paid"))
			take_order(image, record, &event, slot);
	}
	for (size_t i = 0; slot < WITNESS_TILLS && i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if ((unsigned)loss->cause < FRM_LOSS_COUNT)
			losses[loss->cause] += loss->count;
	}
	fr_image_close(image);
}

static bool judge(const struct witness *witness, unsigned slot, unsigned thread)
{
	struct run *run = &runs[slot][thread];
	uint64_t committed = witness->count[slot][thread], first, last;
	const char *wrong = NULL;

	if (!run->count) {
		printf("  pid %-7" PRIu32 " clerk-%u  committed %7" PRIu64 "  NOTHING RECOVERED\n", witness->pid[slot], thread, committed);
		return false;
	}
	qsort(run->orders, run->count, sizeof(*run->orders), by_number);
	first = run->orders[0];
	last = run->orders[run->count - 1];
	for (size_t i = 1; i < run->count && !wrong; i++)
		if (run->orders[i] != run->orders[i - 1] + 1)
			wrong = run->orders[i] == run->orders[i - 1] ? "ONE ORDER TWICE" : "A HOLE INSIDE THE HORIZON";
	if (last < committed)
		wrong = "COMMITTED ORDERS ARE MISSING";
	if (last > committed + 1)
		wrong = "ORDERS THAT NOBODY COMMITTED";
	/* a lane that has lapped is full, but for the rest at the lap's end, what was being overwritten, and what was torn */
	if (first > 1 && run->filled + 3 * run->largest < run->lane_bytes)
		wrong = "THE HORIZON IS TOO SHORT";
	printf("  pid %-7" PRIu32 " clerk-%u  committed %7" PRIu64 "  recovered %5zu (%" PRIu64 "..%" PRIu64 ")  laps %.1f  %s\n", run->pid,
	       thread, committed, run->count, first, last, (double)last * (double)run->span / (double)run->lane_bytes,
	       wrong ? wrong : "whole");
	return !wrong && (double)last * (double)run->span > 2.0 * (double)run->lane_bytes;
}

int main(int argc, char **argv)
{
	struct witness witness;
	struct dirent *entry;
	uint64_t committed = 0, recovered = 0;
	bool good = true;
	FILE *file;
	DIR *spool;

	if (argc != 3) {
		fprintf(stderr, "usage: verdict WITNESS SPOOL\n");
		return 2;
	}
	file = fopen(argv[1], "r");
	spool = opendir(argv[2]);
	if (!file || fread(&witness, sizeof(witness), 1, file) != 1 || !spool) {
		perror("verdict");
		return 1;
	}
	while ((entry = readdir(spool))) {
		char path[4096];
		size_t length = strlen(entry->d_name);

		snprintf(path, sizeof(path), "%s/%s", argv[2], entry->d_name);
		if (length > 4 && !strcmp(entry->d_name + length - 4, ".frs"))
			take_segment(path, &witness);
	}
	for (unsigned slot = 0; slot < WITNESS_TILLS; slot++) {
		for (unsigned thread = 0; thread < WITNESS_THREADS; thread++) {
			good = judge(&witness, slot, thread) && good;
			committed += witness.count[slot][thread];
			recovered += runs[slot][thread].count;
			free(runs[slot][thread].orders);
		}
	}
	printf("committed=%" PRIu64 " recovered=%" PRIu64 " events=%" PRIu64, committed, recovered, events);
	for (unsigned cause = 0; cause < FRM_LOSS_COUNT; cause++)
		if (losses[cause])
			printf(" lost_%s=%" PRIu64, fr_loss_name(cause), losses[cause]);
	putchar('\n');
	closedir(spool);
	fclose(file);
	return good ? 0 : 1;
}

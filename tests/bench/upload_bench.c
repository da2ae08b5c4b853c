/* SPDX-License-Identifier: MIT */
/*
 * upload_bench.c - what compression makes of batches: all levels of zstd, and a dictionary.
 *
 *	upload_bench STATE
 *
 * Every event of STATE's index that was not sent yet goes into batches, as the uploader makes them;
 * nothing is marked, nothing sent.
 * level       batches of 5,000 events at each level of zstd: bytes an event, times smaller, events a second of CPU
 * dictionary  batches of 50, 500 and 5,000 events at level 9, plain and with a dictionary trained on half of them and
 *	       judged by the other half. One JSON object a line.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zdict.h>
#include <zstd.h>

#include "uploader/batch.h"

#define BATCHES	   4096
#define LEVELS	   19
#define LEVEL	   9
#define DICTIONARY (64u << 10)
#define REPEATS	   3

struct sample {
	struct fr_text text;
	uint64_t events;
};

static struct sample sample[BATCHES];
static size_t samples;

static void __attribute__((noreturn)) die(const char *what, int error)
{
	fprintf(stderr, "upload_bench: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

/* Of the processor, so that a busy machine doesn't choose the level. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void finish(struct fr_batch_maker *maker)
{
	struct fr_batch batch = { 0 };

	if (samples == BATCHES || fr_batch_maker_finish(maker, &batch) < 0)
		return;
	if (fr_batch_raw(batch.body, batch.body_size, &sample[samples].text) < 0)
		die("a batch", EBADMSG);
	sample[samples++].events = batch.events;
	fr_batch_done(&batch);
}

/* The bodies as they are before compression. */
static void make_batches(const char *state, uint64_t events)
{
	struct fr_batch_origin origin = { .database = { 1 }, .machine = { 2 }, .host = "bench" };
	struct fr_batch_limits limits = { .events = events, .raw_bytes = 4u << 20, .zstd_level = 1 };
	struct fr_batch_maker *maker;
	struct fr_pending *pending;
	struct fr_index *index;
	struct fr_event event;
	int r = fr_index_open(state, 0, &index);

	for (; samples; samples--)
		fr_text_done(&sample[samples - 1].text);
	if (r < 0)
		die(state, r);
	r = fr_batch_maker_new(&origin, &limits, &maker);
	if (r == 0)
		r = fr_index_pending(index, &pending);
	if (r < 0)
		die("pending events", r);
	while ((r = fr_pending_next(pending, &event)) == 1) {
		if (fr_batch_maker_add(maker, &event) == 0) {
			finish(maker);
			fr_batch_maker_add(maker, &event);
		}
	}
	if (r < 0)
		die("pending events", r);
	finish(maker);
	fr_pending_close(pending);
	fr_batch_maker_free(maker);
	fr_index_close(index);
}

/* Bytes and events of every `step`th sample from `first`, and the seconds that it took. */
static double compress(int level, const ZSTD_CDict *dictionary, size_t first, size_t step,
		       uint64_t *ret_bytes, uint64_t *ret_events)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(FR_BATCH_RAW_MAX);
	char *out = malloc(room);
	double best = 0;

	if (!context || !out)
		die("memory", ENOMEM);
	for (int repeat = 0; repeat < REPEATS; repeat++) {
		double begun = now(), took;

		*ret_bytes = *ret_events = 0;
		for (size_t i = first; i < samples; i += step) {
			size_t size;

			ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
			ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
			ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
			if (dictionary)
				ZSTD_CCtx_refCDict(context, dictionary);
			size = ZSTD_compress2(context, out, room, sample[i].text.data, sample[i].text.size);
			if (ZSTD_isError(size))
				die(ZSTD_getErrorName(size), EINVAL);
			*ret_bytes += size;
			*ret_events += sample[i].events;
		}
		took = now() - begun;
		best = !repeat || took < best ? took : best;
	}
	free(out);
	ZSTD_freeCCtx(context);
	return best;
}

static void bench_levels(void)
{
	uint64_t raw = 0, bytes, events;

	for (size_t i = 0; i < samples; i++)
		raw += sample[i].text.size;
	for (int level = 1; level <= LEVELS; level++) {
		double took = compress(level, NULL, 0, 1, &bytes, &events);

		printf("{\"bench\":\"zstd level\",\"level\":%d,\"events\":%llu,\"batches\":%zu,\"bytes_per_event\":%.2f,\"times_smaller\":%.1f,"
		       "\"events_per_s\":%.0f}\n",
		       level, (unsigned long long)events, samples, (double)bytes / (double)events,
		       (double)raw / (double)bytes, (double)events / took);
		fflush(stdout);
	}
}

static void bench_dictionary(uint64_t batch_events)
{
	size_t *size = calloc(BATCHES, sizeof(*size)), used = 0, count = 0, trained;
	uint64_t plain, with, events;
	char *all, *dictionary = malloc(DICTIONARY);
	ZSTD_CDict *prepared;

	for (size_t i = 0; i < samples; i += 2)
		used += sample[i].text.size;
	all = malloc(used + 1);
	if (!size || !all || !dictionary)
		die("memory", ENOMEM);
	used = 0;
	for (size_t i = 0; i < samples; i += 2) {
		memcpy(all + used, sample[i].text.data, sample[i].text.size);
		used += size[count++] = sample[i].text.size;
	}
	trained = ZDICT_trainFromBuffer(dictionary, DICTIONARY, all, size, (unsigned)count);
	if (ZDICT_isError(trained)) {
		printf("{\"bench\":\"dictionary\",\"batch_events\":%llu,\"batches\":%zu,\"error\":\"%s\"}\n",
		       (unsigned long long)batch_events, samples, ZDICT_getErrorName(trained));
	} else {
		prepared = ZSTD_createCDict(dictionary, trained, LEVEL);
		compress(LEVEL, NULL, 1, 2, &plain, &events);
		compress(LEVEL, prepared, 1, 2, &with, &events);
		printf("{\"bench\":\"dictionary\",\"batch_events\":%llu,\"batches\":%zu,\"dictionary_bytes\":%zu,\"plain_bytes_per_event\":%.2f,"
		       "\"bytes_per_event\":%.2f}\n",
		       (unsigned long long)batch_events, samples, trained,
		       (double)plain / (double)events, (double)with / (double)events);
		ZSTD_freeCDict(prepared);
	}
	fflush(stdout);
	free(size);
	free(all);
	free(dictionary);
}

int main(int argc, char **argv)
{
	static const uint64_t sizes[] = { 50, 500, 5000 };

	if (argc != 2) {
		fprintf(stderr, "usage: upload_bench STATE\n");
		return 2;
	}
	make_batches(argv[1], 5000);
	if (!samples)
		die("nothing waits in the index", ENODATA);
	bench_levels();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make_batches(argv[1], sizes[i]);
		bench_dictionary(sizes[i]);
	}
	return 0;
}

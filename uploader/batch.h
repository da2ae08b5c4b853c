/* SPDX-License-Identifier: MIT */
/*
 * batch.h - events become a batch: the body that goes over the wire, as schemas/WIRE.md defines it.
 *
 * Owns: the writing side of the body, and cutting a batch in two. A batch is of one boot. Its body never changes once
 * it is made; a cut makes two new batches with ids of their own. Nothing here touches a disk or a network.
 */
#ifndef UPLOADER_BATCH_H
#define UPLOADER_BATCH_H

#include "recorder/core/decode.h"
#include "uploader/index.h"
#include "uploader/text.h"

#define FR_BATCH_RAW_MAX (64u << 20) /* bytes of a body before compression; a receiver may refuse more */

/* Who sends, and from where. */
struct fr_batch_origin {
	uint8_t database[16];
	uint8_t machine[16];
	char host[65];
};

struct fr_batch {
	uint8_t id[16];
	uint8_t database[16], machine[16], boot[16];
	uint8_t parent[16]; /* zero, or the batch this is a half of */
	unsigned half;	    /* 0 or 1 of the parent */
	uint64_t created_ns; /* CLOCK_REALTIME */
	uint64_t events;
	struct fr_index_range *range; /* runs without a gap; their counts add up to events */
	size_t range_count;
	unsigned char *body; /* compressed */
	size_t body_size;
	uint32_t body_crc;
};

void fr_batch_done(struct fr_batch *batch);

struct fr_batch_limits {
	uint64_t events;
	uint64_t raw_bytes;
	int zstd_level;
};

/* A batch in the making. */
struct fr_batch_maker;

int fr_batch_maker_new(const struct fr_batch_origin *origin, const struct fr_batch_limits *limits,
		       struct fr_batch_maker **ret_maker);
void fr_batch_maker_free(struct fr_batch_maker *maker);
uint64_t fr_batch_maker_events(const struct fr_batch_maker *maker);

/*
 * Adds an event: 1 when it is in, 0 when the batch is full or of another boot - finish it and begin the next one - or a
 * negative errno. An event always fits an empty batch. Events of a lane must come in order of seq.
 */
int fr_batch_maker_add(struct fr_batch_maker *maker, const struct fr_event *event);

/* Compresses what was added into *ret_batch (with a new random id) and begins anew. -ENODATA: nothing was added. */
int fr_batch_maker_finish(struct fr_batch_maker *maker, struct fr_batch *ret_batch);

/*
 * Cuts a batch of two events or more in the middle. The halves name `batch` as parent. -EBADMSG: the body is not one that
 * this library made; -EINVAL: there is nothing to cut.
 */
int fr_batch_split(const struct fr_batch *batch, int zstd_level, struct fr_batch ret_half[2]);

/* The body as text, for tests and for people: *ret_text is to be freed. -EBADMSG, -E2BIG beyond FR_BATCH_RAW_MAX. */
int fr_batch_raw(const void *body, size_t size, struct fr_text *ret_text);

#endif

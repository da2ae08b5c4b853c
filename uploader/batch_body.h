/* SPDX-License-Identifier: MIT */
/*
 * batch_body.h - what batch.c (making) and batch_split.c (cutting) share: the header line and the compression.
 */
#ifndef UPLOADER_BATCH_BODY_H
#define UPLOADER_BATCH_BODY_H

#include "uploader/batch.h"

/* A range as the header line has it. */
struct fr_body_range {
	uint32_t g;
	uint64_t first, last;
	int64_t base_ns; /* "t" */
};

/* The key that follows the ranges: from there on the header line is the same in both halves of a cut batch. */
#define FR_BODY_FIXED ",\"host\":"

/* The header line up to FR_BODY_FIXED. */
void fr_body_header(struct fr_text *text, const struct fr_batch *batch, const struct fr_body_range *range);

/* Compresses header and lines into batch->body, and sums it up. */
int fr_body_seal(struct fr_batch *batch, const struct fr_text *header, const char *lines, size_t lines_size, int level);

int fr_batch_id_random(uint8_t id[16]);

#endif

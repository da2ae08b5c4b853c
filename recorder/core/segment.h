/* SPDX-License-Identifier: MIT */
/*
 * segment.h - the writing side of a segment: header, chunks, seal, and its appearance under its name in one step.
 *
 * Owns: how a segment comes to be. Reading is image.h's. schemas/FORMAT.md, "Segments", says what the bytes mean.
 *
 * PROTOCOL
 *	1. NAME.tmp (.tmp in place of .frs) is written: header, chunks, each with its checksum; last the seal
 *	2. fsync(NAME.tmp)
 *	3. rename(NAME.tmp, NAME)
 *	4. fsync(directory)
 * A crash before 3 leaves a .tmp, which nobody reads and the next run sweeps away; between 3 and 4 the segment is there
 * or not, and whole if it is. Only after 4 may its source go. (That the directory itself has a
 * durable name is the business of who made it: fr_spool_open().)
 */
#ifndef RECORDER_CORE_SEGMENT_H
#define RECORDER_CORE_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/fr_format.h"

#define FR_SEGMENT_NAME 48 /* 32 hex digits, '-', part, ".frs" and the terminator; also room for ".tmp" */

/* "<ring id>-<part %06u>.frs" */
void fr_segment_name(char name[FR_SEGMENT_NAME], const uint8_t ring_id[16], uint32_t part);
/* 0 when the name is one of a segment, else -EINVAL; what is asked for with NULL is not stored. */
int fr_segment_parse_name(const char *name, uint8_t ring_id[16], uint32_t *ret_part);

/* A segment's header, stamped with this moment and this boot. */
void fr_segment_head(struct frm_segment *head, const uint8_t ring_id[16], const uint8_t boot_id[16], uint32_t part,
		     enum frm_reason reason);

struct fr_segment; /* a segment being written */

/*
 * Begins NAME.tmp in the directory (an open descriptor, borrowed until seal or discard). -EEXIST when a segment of that
 * name is sealed already; -ENOMEM; what openat and write say.
 */
int fr_segment_create(int dir, const struct frm_segment *head, struct fr_segment **ret_segment);

/*
 * A chunk: begin with the bytes its body will have, append exactly these, end. Errors stick: after one, every
 * further call and the seal return it. -EINVAL when the bytes don't add up.
 */
int fr_segment_begin(struct fr_segment *segment, enum frm_chunk_type type, uint64_t body_bytes);
int fr_segment_append(struct fr_segment *segment, const void *bytes, size_t size);
int fr_segment_end(struct fr_segment *segment);
/* The three in one. */
int fr_segment_chunk(struct fr_segment *segment, enum frm_chunk_type type, const void *bytes, size_t size);
/* The meta chunk, without the zeros at the end of `meta` (super.meta_size bytes): most of a descriptor log is never used. */
int fr_segment_meta(struct fr_segment *segment, const struct frm_meta *meta);

/*
 * Seals: seal chunk, fsync, rename, fsync of the directory. `records` is the number of records in all lane chunks.
 * Frees the segment in any case; on failure nothing stays. *ret_bytes (may be NULL) is the size of the file.
 */
int fr_segment_seal(struct fr_segment *segment, uint64_t records, uint64_t *ret_bytes);
/* Gives up: nothing stays. NULL is fine. */
void fr_segment_discard(struct fr_segment *segment);

#endif

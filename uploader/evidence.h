/* SPDX-License-Identifier: MIT */
/*
 * evidence.h - the small text files in spool/ that outlive the index: acks.log and retention.log.
 *
 * Owns: their lines. A line is words separated by one space; the last word is the CRC32C of all
 * before it (without the space in front of it) in 8 hexadecimal digits. A line whose CRC does not
 * hold, such as one cut short by a power failure, is skipped; the next append begins on a new line.
 * Append only, synced before the call returns, and the file's name too where it is new. A shorter
 * file that says the same takes the place of one that has grown (compact.h).
 *
 *	acks.log       batch_id boot ring lane first last count unix_time crc
 *	retention.log  word boot ring lane first last count unix_time crc
 *
 * boot and ring are 32 hexadecimal digits; lane, first, last, count, unix_time decimal. Words of
 * retention.log: "sent" and "unsent" records that went; and what the segment that went had said of
 * others (retention.c has the list), where lane 4294967295 is the ring's ledger, and of a count
 * without a place `first` is the segment's part. A line whose ring is its boot is what the rings of
 * that boot lost of which nothing is left, added up.
 *
 * GENERATION. The first line of a file that was shortened is "compacted", with lane 4294967295 and
 * a number in `first` that no earlier file of this name had; a file that never was has generation
 * 0. A place in a log holds for one generation only.
 */
#ifndef UPLOADER_EVIDENCE_H
#define UPLOADER_EVIDENCE_H

#include <stdint.h>
#include <stdio.h>

#include "uploader/index.h"

#define FR_EVIDENCE_ACKS      "spool/acks.log"
#define FR_EVIDENCE_RETENTION "spool/retention.log"
#define FR_EVIDENCE_COMPACTED "compacted" /* the word of a generation's line */
#define FR_EVIDENCE_WORD_MAX  64

/*
 * Appends one line a range and syncs. `word` is the batch id (no spaces, at most 64 characters) or
 * a word. -EBUSY: it is locked.
 */
int fr_evidence_append(const char *state_dir, const char *file, const char *word, const struct fr_index_range *ranges,
		       size_t count);

/* Reads lines from byte `from` on; *ret_to is where the next reading begins. A missing file is an empty one. */
typedef int (*fr_evidence_line)(void *data, const char *word, const struct fr_index_range *range, uint64_t unix_time);
int fr_evidence_read(const char *state_dir, const char *file, uint64_t from, fr_evidence_line line, void *data,
		     uint64_t *ret_to);

/* The same in steps, so that what is asked and what is read is one file. -ENOENT: there is none. */
int fr_evidence_open(const char *state_dir, const char *file);
int fr_evidence_generation(int fd, uint64_t *ret_generation);
int fr_evidence_read_fd(int fd, uint64_t from, fr_evidence_line line, void *data, uint64_t *ret_to);

/* One line into a stream; whether that worked, fflush() says. */
void fr_evidence_put(FILE *stream, const char *word, const struct fr_index_range *range,
		     uint64_t unix_time);

#endif

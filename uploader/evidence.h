/* SPDX-License-Identifier: MIT */
/*
 * evidence.h - the small text files in spool/ that outlive the index: acks.log and retention.log.
 *
 * Owns: their lines. A line is words separated by one space; the last word is the CRC32C of all before it (without the
 * space in front of it) in 8 hexadecimal digits. A line whose CRC does not hold, such as one cut short by a power
 * failure, is skipped; the next append begins on a new line. Append only, synced before the call
 * returns, and the file's name before its first line is written.
 *
 *	acks.log       batch_id boot ring lane first last count unix_time crc
 *	retention.log  word boot ring lane first last count unix_time crc
 *
 * boot and ring are 32 hexadecimal digits; lane, first, last, count, unix_time decimal. Words of retention.log: "sent" and
 * "unsent" records that went; and what the segment that went had said of others (retention.c has the list), where
 * lane 4294967295 is the ring's ledger, and of a count without a place `first` is the segment's part.
 */
#ifndef UPLOADER_EVIDENCE_H
#define UPLOADER_EVIDENCE_H

#include <stdint.h>

#include "uploader/index.h"

#define FR_EVIDENCE_ACKS      "spool/acks.log"
#define FR_EVIDENCE_RETENTION "spool/retention.log"

/* Appends one line a range and syncs. `word` is the batch id (no spaces, at most 64 characters) or a word. */
int fr_evidence_append(const char *state_dir, const char *file, const char *word, const struct fr_index_range *ranges,
		       size_t count);

/* Reads lines from byte `from` on; *ret_to is where the next reading begins. A missing file is an empty one. */
typedef int (*fr_evidence_line)(void *data, const char *word, const struct fr_index_range *range, uint64_t unix_time);
int fr_evidence_read(const char *state_dir, const char *file, uint64_t from, fr_evidence_line line, void *data,
		     uint64_t *ret_to);

#endif

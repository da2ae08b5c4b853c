/* SPDX-License-Identifier: MIT */
/*
 * compact.h - keeps spool/acks.log and spool/retention.log from growing with time.
 *
 * Owns: what of them is still needed. Ranges that touch become one line. Of a ring that is over,
 * what was acknowledged and which numbers were dropped is forgotten; its losses are added to those
 * of its boot's other rings that are over, a line a cause, so that sums by boot and cause stay what
 * they were, over a rebuild, too. A ring is over when the spool has no segment and no cursor of it
 * and nothing was said of it for a day.
 */
#ifndef UPLOADER_COMPACT_H
#define UPLOADER_COMPACT_H

#include "uploader/index.h"

struct fr_compact {
	uint64_t larger_than; /* bytes: a smaller log stays as it is */
	uint64_t over_s;      /* for how long nothing was said of a ring that is over */
};

/*
 * Puts a shorter log in the place of one that is larger than that and at least twice as large as
 * need be, and has the index read it. Appenders wait meanwhile. May be killed anywhere. Does
 * nothing while somebody else has it locked. Call after fr_index_update(). `file` is
 * FR_EVIDENCE_ACKS or FR_EVIDENCE_RETENTION.
 */
int fr_compact(struct fr_index *index, const char *file, const struct fr_compact *how);

#endif

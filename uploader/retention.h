/* SPDX-License-Identifier: MIT */
/*
 * retention.h - keeps spool and index below their cap by dropping the oldest segments.
 *
 * Owns: what is dropped, and that it is said: each dropped range is written to spool/retention.log
 * before the segment goes, and what was never acknowledged becomes a loss with the cause
 * "retention". What lies in spool/quarantine may be a quarter of the cap (aside.h). The logs
 * themselves are kept short (compact.h).
 */
#ifndef UPLOADER_RETENTION_H
#define UPLOADER_RETENTION_H

#include "uploader/index.h"

struct fr_retention {
	uint64_t max_bytes; /* of spool/, quarantine too, and index.db together; 0: no cap */
	uint64_t max_age_s; /* since a segment was made; 0: no limit */
};

struct fr_retention_stats {
	uint64_t segments;
	uint64_t bytes;	      /* freed in the spool */
	uint64_t events;      /* gone from the index */
	uint64_t events_unsent; /* of these: never acknowledged, a loss now */
	uint64_t set_aside;	/* sources dropped from the quarantine */
	uint64_t bytes_after; /* of spool and index.db */
};

/*
 * Call after fr_index_update(). Idempotent; may be killed anywhere. Holds the cap when it returns, unless not even an
 * empty index fits; what salvage adds to the spool before the next call comes on top.
 */
int fr_retention_run(struct fr_index *index, const struct fr_retention *limits, struct fr_retention_stats *ret_stats);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - which records of a ring are missing, and why: the table loss.
 *
 * Owns: how the views of several segments become one truth. For each lane, with R = one past the highest number that
 * any segment knows of, what is missing is
 *
 *	[0, R)  minus what a segment holds  minus what its writer gave back  minus what retention dropped
 *
 * and its cause, the first that fits:
 *	torn, damaged	as claimed; where segments disagree, the later part saw more
 *	overwritten	as claimed. An earlier segment that has the record makes the claim of a later one void
 *	damaged		claimed by nobody: a segment that held it is gone, or is damaged itself
 * What retention dropped and no acknowledgement covers is a loss of its own. Counts without a place are what each
 * segment has to add to those before it. Dropped segments go on speaking through spool/retention.log.
 */
#ifndef UPLOADER_LEDGER_H
#define UPLOADER_LEDGER_H

#include "uploader/db.h"

/* Within the caller's transaction. A ring that no segment is left of keeps its losses by retention. */
int fr_ledger_ring(struct fr_index *index, const uint8_t ring_id[16]);

#endif

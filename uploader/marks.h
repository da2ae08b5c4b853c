/* SPDX-License-Identifier: MIT */
/* marks.h - what spool/acks.log and spool/retention.log say, as rows. */
#ifndef UPLOADER_MARKS_H
#define UPLOADER_MARKS_H

#include "uploader/db.h"
#include "uploader/ranges.h"

#define FR_DROPPED_UNSENT -2
#define FR_DROPPED_SENT	  -3

/* Reads what was appended since the last time, in one transaction. */
int fr_marks_read(struct fr_index *index);

/* Numbers of a lane that are marked; `least` FR_MARK_QUEUED: all, FR_MARK_ACKED: only acknowledged ones. */
int fr_marks_of(struct fr_index *index, const uint8_t ring_id[16], uint32_t lane, enum fr_mark least, struct fr_ranges *set);

/* Words of retention.log by cause (as in table dropped), and back; NULL and INT_MIN: none. */
const char *fr_dropped_word(int cause);
int fr_dropped_cause(const char *word);

#endif

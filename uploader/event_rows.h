/* SPDX-License-Identifier: MIT */
/*
 * event_rows.h - rows of table event, put in many at a time: SQLite takes as long to begin a statement as to put a row.
 *
 * Owns: how a record is a row. What the rows point to (records, payloads) has to stay until they are put.
 */
#ifndef UPLOADER_EVENT_ROWS_H
#define UPLOADER_EVENT_ROWS_H

#include "uploader/db.h"

#define FR_EVENT_ROWS	 32 /* by one statement */
#define FR_EVENT_NUMBERS 11 /* columns of a row before its payload */

struct fr_event_row {
	int64_t id, boot, time, descriptor;
	int64_t thread, process, lag; /* 0: NULL */
	uint32_t tid;		      /* 0: NULL */
	const struct fr_record *record;
};

struct fr_event_rows {
	struct fr_index *index;
	sqlite3_stmt *one, *many;
	int64_t in_one[1][FR_EVENT_NUMBERS], in_many[FR_EVENT_ROWS][FR_EVENT_NUMBERS]; /* what is bound to them */
	struct fr_event_row waiting[FR_EVENT_ROWS];
	size_t count;
};

/* `rows` is zeroed. Returns 0 or a negative errno; fr_event_rows_done() is right after either. */
int fr_event_rows_init(struct fr_event_rows *rows, struct fr_index *index);
void fr_event_rows_done(struct fr_event_rows *rows);

/*
 * Both count in *stats what was put, as new or as a duplicate, and return 0 or what SQLite said. After an
 * error the rows that waited are dropped: the transaction has failed.
 */
int fr_event_rows_add(struct fr_event_rows *rows, const struct fr_event_row *row, struct fr_index_stats *stats);
int fr_event_rows_flush(struct fr_event_rows *rows, struct fr_index_stats *stats); /* puts those that still wait */

#endif

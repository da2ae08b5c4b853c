/* SPDX-License-Identifier: MIT */
/* event_rows.c - see event_rows.h. */
#include "uploader/event_rows.h"

#define ROW	"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define ROWS_4	ROW ", " ROW ", " ROW ", " ROW
#define ROWS_16 ROWS_4 ", " ROWS_4 ", " ROWS_4 ", " ROWS_4
#define PUT	"INSERT OR IGNORE INTO event VALUES "
_Static_assert(FR_EVENT_ROWS == 2 * 16, "what `many` takes");

#define NIL INT64_MIN /* NULL: no number of a row is that small */

int fr_event_rows_init(struct fr_event_rows *rows, struct fr_index *index)
{
	int r;

	rows->index = index;
	for (int i = 0; i < FR_EVENT_NUMBERS; i++) {
		rows->in_one[0][i] = NIL;
		for (int nth = 0; nth < FR_EVENT_ROWS; nth++)
			rows->in_many[nth][i] = NIL;
	}
	r = fr_db_prepare(index, PUT ROW, &rows->one);
	return r ? r : fr_db_prepare(index, PUT ROWS_16 ", " ROWS_16, &rows->many);
}

void fr_event_rows_done(struct fr_event_rows *rows)
{
	sqlite3_finalize(rows->one);
	sqlite3_finalize(rows->many);
}

static int64_t or_nil(int64_t value)
{
	return value ? value : NIL;
}

/* What was bound for the row before stays, and most of a row is as it was there: only the rest is bound. */
static void bind_row(sqlite3_stmt *put, int nth, int64_t bound[FR_EVENT_NUMBERS], const struct fr_event_row *row)
{
	const struct fr_record *record = row->record;
	const int64_t number[FR_EVENT_NUMBERS] = {
		row->id, row->boot, row->time, row->descriptor, or_nil(row->tid), record->cpu == FRM_CPU_NONE ? NIL : record->cpu,
		or_nil(record->session), or_nil(row->thread), or_nil(row->process), or_nil(record->flags), or_nil(row->lag)
	};
	int at = nth * (FR_EVENT_NUMBERS + 1);

	for (int i = 0; i < FR_EVENT_NUMBERS; i++) {
		at++;
		if (number[i] == bound[i])
			continue;
		bound[i] = number[i];
		if (number[i] == NIL)
			sqlite3_bind_null(put, at);
		else
			sqlite3_bind_int64(put, at, number[i]);
	}
	sqlite3_bind_blob(put, at + 1, record->payload_size ? (const void *)record->payload : "", (int)record->payload_size,
			  SQLITE_STATIC);
}

/* Puts the rows from `first` by the statement that takes `count`. */
static int put(struct fr_event_rows *rows, sqlite3_stmt *statement, int64_t bound[][FR_EVENT_NUMBERS], size_t first, int count,
	       struct fr_index_stats *stats)
{
	int r, new;

	for (int i = 0; i < count; i++)
		bind_row(statement, i, bound[i], &rows->waiting[first + (size_t)i]);
	r = fr_db_run(statement);
	if (r < 0)
		return r;
	new = sqlite3_changes(rows->index->db);
	stats->events += (uint64_t)new;
	stats->duplicates += (uint64_t)(count - new);
	return 0;
}

int fr_event_rows_add(struct fr_event_rows *rows, const struct fr_event_row *row, struct fr_index_stats *stats)
{
	rows->waiting[rows->count++] = *row;
	if (rows->count < FR_EVENT_ROWS)
		return 0;
	rows->count = 0;
	return put(rows, rows->many, rows->in_many, 0, FR_EVENT_ROWS, stats);
}

int fr_event_rows_flush(struct fr_event_rows *rows, struct fr_index_stats *stats)
{
	int r = 0;

	for (size_t i = 0; i < rows->count && !r; i++)
		r = put(rows, rows->one, rows->in_one, i, 1, stats);
	rows->count = 0;
	return r;
}

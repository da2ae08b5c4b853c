/* SPDX-License-Identifier: MIT */
/* event_rows.c - see event_rows.h. */
#include "uploader/event_rows.h"

#define COLUMNS 12
#define ROW	"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define ROWS_4	ROW ", " ROW ", " ROW ", " ROW
#define ROWS_16 ROWS_4 ", " ROWS_4 ", " ROWS_4 ", " ROWS_4
#define PUT	"INSERT OR IGNORE INTO event VALUES "
_Static_assert(FR_EVENT_ROWS == 2 * 16, "what `many` takes");

int fr_event_rows_init(struct fr_event_rows *rows, struct fr_index *index)
{
	int r;

	rows->index = index;
	r = fr_db_prepare(index, PUT ROW, &rows->one);
	return r ? r : fr_db_prepare(index, PUT ROWS_16 ", " ROWS_16, &rows->many);
}

void fr_event_rows_done(struct fr_event_rows *rows)
{
	sqlite3_finalize(rows->one);
	sqlite3_finalize(rows->many);
}

static void bind_row(sqlite3_stmt *put, int nth, const struct fr_event_row *row)
{
	const struct fr_record *record = row->record;
	int at = nth * COLUMNS;

	sqlite3_bind_int64(put, ++at, row->id);
	sqlite3_bind_int64(put, ++at, row->boot);
	sqlite3_bind_int64(put, ++at, row->time);
	sqlite3_bind_int64(put, ++at, row->descriptor);
	fr_db_bind_or_null(put, ++at, row->tid, row->tid);
	fr_db_bind_or_null(put, ++at, record->cpu, record->cpu != FRM_CPU_NONE);
	fr_db_bind_or_null(put, ++at, record->session, record->session);
	fr_db_bind_or_null(put, ++at, row->thread, row->thread);
	fr_db_bind_or_null(put, ++at, row->process, row->process);
	fr_db_bind_or_null(put, ++at, record->flags, record->flags);
	fr_db_bind_or_null(put, ++at, row->lag, row->lag);
	sqlite3_bind_blob(put, ++at, record->payload_size ? (const void *)record->payload : "", (int)record->payload_size,
			  SQLITE_STATIC);
}

/* Puts `count` of the rows by the statement that takes so many. */
static int put(struct fr_event_rows *rows, sqlite3_stmt *statement, size_t first, int count, struct fr_index_stats *stats)
{
	int r, new;

	for (int i = 0; i < count; i++)
		bind_row(statement, i, &rows->waiting[first + (size_t)i]);
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
	return put(rows, rows->many, 0, FR_EVENT_ROWS, stats);
}

int fr_event_rows_flush(struct fr_event_rows *rows, struct fr_index_stats *stats)
{
	int r = 0;

	for (size_t i = 0; i < rows->count && !r; i++)
		r = put(rows, rows->one, i, 1, stats);
	rows->count = 0;
	return r;
}

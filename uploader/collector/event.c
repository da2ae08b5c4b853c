/* SPDX-License-Identifier: MIT */
/* event.c - event lines into the store. Owns: their rules, and the number that each gets from the ranges. */
#include "uploader/collector/event.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows in the store by index in the header's tables. */
struct rows {
	int64_t batch, *lane, *kind, *process;
};

static void rows_done(struct rows *rows)
{
	free(rows->lane);
	free(rows->kind);
	free(rows->process);
}

static void finalize(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

static int store_tables(struct fr_store *store, const struct fr_store_batch *batch, const struct fr_head *head, struct rows *rows)
{
	int r = fr_store_batch(store, batch, &rows->batch);

	rows->lane = calloc(head->lanes + 1, sizeof *rows->lane);
	rows->kind = calloc(head->kinds + 1, sizeof *rows->kind);
	rows->process = calloc(head->processes + 1, sizeof *rows->process);
	if (!rows->lane || !rows->kind || !rows->process)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < head->lanes; i++)
		r = fr_store_lane(store, batch, head->lane[i].ring, head->lane[i].lane, &rows->lane[i]);
	for (size_t i = 0; r == 0 && i < head->kinds; i++) {
		const struct fr_head_provider *provider = &head->provider[head->kind[i].provider];

		r = fr_store_kind(store, provider->guid, provider->name, head->kind[i].name, head->kind[i].level,
				  head->kind[i].keywords, &rows->kind[i]);
	}
	for (size_t i = 0; r == 0 && i < head->processes; i++) {
		const struct fr_head_process *from = &head->process[i];
		struct fr_store_process process = { from->pid, from->ppid, from->uid, from->gid, from->start_ns,
						    from->comm, from->cgroup };

		r = fr_store_process(store, batch, &process, &rows->process[i]);
	}
	return r;
}

/* One row: type and value of each key. */
#define KEY(key) "json_type(?1,'$." key "'),json_extract(?1,'$." key "')"
static const char line_sql[] = "select " KEY("t") "," KEY("e") "," KEY("p") "," KEY("i") "," KEY("c") "," KEY("x") "," KEY("f")
			       ",json_type(?1)";
enum { T = 0, E = 2, P = 4, I = 6, C = 8, X = 10, F = 12, WHOLE = 14 };

/* False when it is there and no integer within bounds, or not there and required (absent < min). */
static bool get(sqlite3_stmt *stmt, int column, int64_t min, int64_t max, int64_t absent, int64_t *ret)
{
	const char *type = (const char *)sqlite3_column_text(stmt, column);

	if (!type) {
		*ret = absent;
		return absent >= min;
	}
	if (strcmp(type, "integer") != 0 || sqlite3_column_type(stmt, column + 1) != SQLITE_INTEGER)
		return false;
	*ret = sqlite3_column_int64(stmt, column + 1);
	return *ret >= min && *ret <= max;
}

static const char *read_line(sqlite3_stmt *stmt, const struct fr_head *head, const struct fr_head_lane *lane,
			     const struct rows *rows, struct fr_store_event *event, int64_t *ret_delta)
{
	const char *whole = (const char *)sqlite3_column_text(stmt, WHOLE), *type;
	int64_t kind, process, session;

	if (!whole || strcmp(whole, "object") != 0)
		return "no JSON object";
	if (!sqlite3_column_text(stmt, T) || !get(stmt, T, INT64_MIN, INT64_MAX, 0, ret_delta))
		return "\"t\" is missing or no integer";
	if (!get(stmt, E, 0, (int64_t)head->kinds - 1, -1, &kind))
		return "\"e\" is missing or no index into \"kinds\"";
	if (!get(stmt, P, 0, (int64_t)head->processes - 1, lane->process, &process))
		return "\"p\" is no index into \"processes\"";
	if (!get(stmt, I, 0, UINT32_MAX, lane->tid, &event->tid))
		return "\"i\" is no thread id";
	if (!get(stmt, C, -1, UINT16_MAX, -1, &event->cpu) || (event->cpu < 0 && sqlite3_column_text(stmt, C)))
		return "\"c\" is no CPU";
	if (!get(stmt, X, -1, (int64_t)head->sessions - 1, -1, &session) || (session < 0 && sqlite3_column_text(stmt, X)))
		return "\"x\" is no index into \"sessions\"";
	type = (const char *)sqlite3_column_text(stmt, F);
	if (type && strcmp(type, "object") != 0)
		return "\"f\" is no object";
	event->kind = rows->kind[kind];
	event->process = rows->process[process];
	event->session = session < 0 ? NULL : head->session[session];
	event->fields = type ? (const char *)sqlite3_column_text(stmt, F + 1) : "{}";
	event->fields_size = type ? (size_t)sqlite3_column_bytes(stmt, F + 1) : 2;
	return NULL;
}

int fr_events_store(struct fr_store *store, const struct fr_store_batch *batch, const struct fr_head *head, const char *lines,
		    uint64_t *ret_new, uint64_t *ret_line, char *why, size_t why_size)
{
	__attribute__((cleanup(rows_done))) struct rows rows = { 0 };
	__attribute__((cleanup(finalize))) sqlite3_stmt *stmt = NULL;
	uint64_t line = 1;
	int r = store_tables(store, batch, head, &rows);

	if (r == 0 && sqlite3_prepare_v2(fr_store_db(store), line_sql, -1, &stmt, NULL) != SQLITE_OK)
		r = -ENOMEM;
	for (size_t i = 0; i < head->ranges; i++) {
		const struct fr_head_range *range = &head->range[i];
		uint64_t time = (uint64_t)range->base_ns;

		for (uint64_t seq = range->first; r == 0 && seq <= range->last; seq++) {
			struct fr_store_event event = { .lane = rows.lane[range->g], .seq = (int64_t)seq, .batch = rows.batch };
			const char *reason = "no JSON that SQLite reads";
			int64_t delta;
			bool is_new;

			*ret_line = ++line;
			sqlite3_bind_text(stmt, 1, lines, -1, SQLITE_STATIC);
			if (sqlite3_step(stmt) == SQLITE_ROW)
				reason = read_line(stmt, head, &head->lane[range->g], &rows, &event, &delta);
			if (reason) {
				snprintf(why, why_size, "%s", reason);
				return -EPROTO;
			}
			time += (uint64_t)delta;
			event.time_ns = (int64_t)time;
			r = fr_store_event(store, &event, &is_new);
			if (r == 0)
				*ret_new += is_new;
			sqlite3_reset(stmt);
			lines += strlen(lines) + 1;
		}
	}
	return r;
}

/* SPDX-License-Identifier: MIT */
/* head.c - reads and checks the header line. One query an array: index, then each key with its type. */
#include "uploader/collector/head.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/paths.h"

/* A descriptor's name is below 4 KiB, and each byte of it that is no UTF-8 becomes three. */
#define NAME_BYTES_MAX (16u << 10)

struct reader {
	sqlite3 *db;
	const char *line;
	struct fr_head *head;
	char *why;
	size_t why_size;
};

static void finalize(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

__attribute__((format(printf, 2, 3))) static int broken(const struct reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reader->why, reader->why_size, format, args);
	va_end(args);
	return -EPROTO;
}

static int prepare(const struct reader *reader, const char *sql, sqlite3_stmt **ret_stmt)
{
	if (sqlite3_prepare_v2(reader->db, sql, -1, ret_stmt, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(*ret_stmt, 1, reader->line, -1, SQLITE_STATIC) != SQLITE_OK)
		return -ENOMEM;
	return 0;
}

/* ------------------------------------------------------------------ columns: each false when it is not what it must be */

static bool get_int(sqlite3_stmt *stmt, int i, int64_t min, int64_t max, int64_t *ret)
{
	if (sqlite3_column_type(stmt, i) != SQLITE_INTEGER)
		return false;
	*ret = sqlite3_column_int64(stmt, i);
	return *ret >= min && *ret <= max;
}

static bool get_text(sqlite3_stmt *stmt, int i, size_t most, char **ret)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);
	size_t size = (size_t)sqlite3_column_bytes(stmt, i);

	if (sqlite3_column_type(stmt, i) != SQLITE_TEXT || !text || size > most || strlen(text) != size)
		return false;
	*ret = strdup(text);
	return *ret;
}

static bool get_uuid(sqlite3_stmt *stmt, int i, uint8_t id[16])
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return sqlite3_column_type(stmt, i) == SQLITE_TEXT && text && strlen(text) == 36 && fr_uuid_parse(id, text) == 0;
}

static bool get_hex(sqlite3_stmt *stmt, int i, uint8_t id[16])
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return sqlite3_column_type(stmt, i) == SQLITE_TEXT && text && strlen(text) == 32 && fr_unhex(id, 16, text) == 0;
}

/* ------------------------------------------------------------------ arrays */

typedef bool (*take_element)(struct fr_head *head, size_t i, sqlite3_stmt *stmt);

static bool take_lane(struct fr_head *head, size_t i, sqlite3_stmt *stmt)
{
	struct fr_head_lane *lane = &head->lane[i];

	return get_hex(stmt, 1, lane->ring) && get_int(stmt, 2, 0, UINT32_MAX, &lane->lane) &&
	       get_int(stmt, 3, 0, (int64_t)head->processes - 1, &lane->process) && get_int(stmt, 4, 0, UINT32_MAX, &lane->tid);
}

static bool take_provider(struct fr_head *head, size_t i, sqlite3_stmt *stmt)
{
	struct fr_head_provider *provider = &head->provider[i];

	return get_uuid(stmt, 1, provider->guid) && get_text(stmt, 2, NAME_BYTES_MAX, &provider->name);
}

static bool take_kind(struct fr_head *head, size_t i, sqlite3_stmt *stmt)
{
	struct fr_head_kind *kind = &head->kind[i];
	const char *keywords;
	char *end;

	if (!get_int(stmt, 1, 0, (int64_t)head->providers - 1, &kind->provider) ||
	    !get_text(stmt, 2, NAME_BYTES_MAX, &kind->name) ||
	    !get_int(stmt, 3, 0, 5, &kind->level) || sqlite3_column_type(stmt, 4) != SQLITE_TEXT)
		return false;
	keywords = (const char *)sqlite3_column_text(stmt, 4);
	if (*keywords < '0' || *keywords > '9')
		return false;
	errno = 0;
	kind->keywords = (int64_t)strtoull(keywords, &end, 10);
	return !*end && !errno;
}

static bool take_process(struct fr_head *head, size_t i, sqlite3_stmt *stmt)
{
	struct fr_head_process *process = &head->process[i];

	return get_int(stmt, 1, 0, UINT32_MAX, &process->pid) &&
	       get_int(stmt, 2, 0, UINT32_MAX, &process->ppid) &&
	       get_int(stmt, 3, 0, UINT32_MAX, &process->uid) &&
	       get_int(stmt, 4, 0, UINT32_MAX, &process->gid) &&
	       get_int(stmt, 5, 0, INT64_MAX, &process->start_ns) &&
	       get_text(stmt, 6, NAME_BYTES_MAX, &process->comm) &&
	       get_text(stmt, 7, NAME_BYTES_MAX, &process->cgroup);
}

static bool take_session(struct fr_head *head, size_t i, sqlite3_stmt *stmt)
{
	int64_t number;

	return get_int(stmt, 1, 0, UINT16_MAX, &number) &&
	       get_text(stmt, 2, NAME_BYTES_MAX, &head->session[i]);
}

static bool take_range(struct fr_head *head, size_t i, sqlite3_stmt *stmt)
{
	struct fr_head_range *range = &head->range[i];
	int64_t g, first, last;

	if (!get_int(stmt, 1, 0, (int64_t)head->lanes - 1, &g) || !get_int(stmt, 2, 0, INT64_MAX, &first) ||
	    !get_int(stmt, 3, first, INT64_MAX, &last) || !get_int(stmt, 4, INT64_MIN, INT64_MAX, &range->base_ns))
		return false;
	range->g = (uint32_t)g;
	range->first = (uint64_t)first;
	range->last = (uint64_t)last;
	return true;
}

static int read_array(const struct reader *reader, const char *name, const char *sql, size_t element, void **ret_array,
		      size_t *ret_count, take_element take)
{
	__attribute__((cleanup(finalize))) sqlite3_stmt *count = NULL, *stmt = NULL;
	char text[160];
	int r;

	snprintf(text, sizeof text, "select json_array_length(?1,'$.%s') where json_type(?1,'$.%s')='array'", name, name);
	r = prepare(reader, text, &count);
	if (r < 0)
		return r;
	if (sqlite3_step(count) != SQLITE_ROW)
		return broken(reader, "header: \"%s\" is no array", name);
	*ret_array = calloc((size_t)sqlite3_column_int(count, 0) + 1, element);
	if (!*ret_array)
		return -ENOMEM;
	*ret_count = (size_t)sqlite3_column_int(count, 0);
	r = prepare(reader, sql, &stmt);
	for (size_t i = 0; r == 0 && i < *ret_count; i++)
		if (sqlite3_step(stmt) != SQLITE_ROW || !take(reader->head, i, stmt))
			r = broken(reader, "header: element %zu of \"%s\" is not as it must be", i, name);
	return r;
}

/* A key of an element, or of the header; null when it is neither integer nor string (true would come out as 1). */
#define E(key) "iif(e.type='object' and json_type(e.value,'$." key "') in ('integer','text'),json_extract(e.value,'$." key "'),null)"
#define S(key) "iif(json_type(?1,'$." key "') in ('integer','text'),json_extract(?1,'$." key "'),null)"
#define EACH(array) " from json_each(?1,'$." array "') e order by e.key"

static int read_arrays(const struct reader *reader)
{
	struct fr_head *head = reader->head;
	int r = read_array(reader, "processes", "select 0," E("pid") "," E("ppid") "," E("uid") "," E("gid") "," E("start_ns") ","
			   E("comm") "," E("cgroup") EACH("processes"), sizeof *head->process, (void **)&head->process,
			   &head->processes, take_process);

	if (r == 0)
		r = read_array(reader, "providers", "select 0," E("guid") "," E("name") EACH("providers"), sizeof *head->provider,
			       (void **)&head->provider, &head->providers, take_provider);
	if (r == 0)
		r = read_array(reader, "kinds", "select 0," E("p") "," E("name") "," E("v") "," E("k") EACH("kinds"),
			       sizeof *head->kind, (void **)&head->kind, &head->kinds, take_kind);
	if (r == 0)
		r = read_array(reader, "sessions", "select 0," E("n") "," E("name") EACH("sessions"), sizeof *head->session,
			       (void **)&head->session, &head->sessions, take_session);
	if (r == 0)
		r = read_array(reader, "lanes", "select 0," E("ring") "," E("lane") "," E("p") "," E("i") EACH("lanes"),
			       sizeof *head->lane, (void **)&head->lane, &head->lanes, take_lane);
	if (r == 0)
		r = read_array(reader, "ranges", "select 0," E("g") "," E("first") "," E("last") "," E("t") EACH("ranges"),
			       sizeof *head->range, (void **)&head->range, &head->ranges, take_range);
	return r;
}

/* ------------------------------------------------------------------ the rest */

static int read_scalars(const struct reader *reader)
{
	static const char sql[] = "select json_type(?1)='object'"
		"," S("flightrec") "," S("batch") "," S("database") "," S("machine") "," S("boot") "," S("created_ns")
		"," S("events") "," S("host") "," S("agent") "," S("boot_seq");
	__attribute__((cleanup(finalize))) sqlite3_stmt *stmt = NULL;
	struct fr_head *head = reader->head;
	int64_t version;
	int r = prepare(reader, sql, &stmt);

	if (r < 0)
		return r;
	if (sqlite3_step(stmt) != SQLITE_ROW || !sqlite3_column_int(stmt, 0))
		return broken(reader, "header: no JSON object");
	if (!get_int(stmt, 1, 1, 1, &version))
		return broken(reader, "header: \"flightrec\" is not 1");
	if (!get_uuid(stmt, 2, head->id) || !get_uuid(stmt, 3, head->database) || !get_uuid(stmt, 5, head->boot) ||
	    !get_hex(stmt, 4, head->machine))
		return broken(reader, "header: batch, database, machine or boot is missing or malformed");
	if (!get_int(stmt, 6, 0, INT64_MAX, &head->created_ns) || !get_int(stmt, 10, 0, INT64_MAX, &head->boot_seq))
		return broken(reader, "header: created_ns or boot_seq is missing or no integer");
	if (!get_int(stmt, 7, 1, INT64_MAX, &head->events))
		return broken(reader, "header: \"events\" is not an integer of at least 1");
	if (!get_text(stmt, 8, NAME_BYTES_MAX, &head->host) ||
	    !get_text(stmt, 9, NAME_BYTES_MAX, &head->agent))
		return broken(reader, "header: host or agent is missing or too long");
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct fr_head_range *x = a, *y = b;

	if (x->g != y->g)
		return x->g < y->g ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* The ranges hold `events` numbers, and none of them twice. */
static int check_ranges(const struct reader *reader)
{
	const struct fr_head *head = reader->head;
	struct fr_head_range *sorted;
	uint64_t left = (uint64_t)head->events;
	int r = 0;

	for (size_t i = 0; i < head->ranges; i++) {
		uint64_t count = head->range[i].last - head->range[i].first + 1;

		if (!count || count > left)
			return broken(reader, "header: the ranges hold more numbers than \"events\" says");
		left -= count;
	}
	if (left)
		return broken(reader, "header: the ranges hold fewer numbers than \"events\" says");
	sorted = malloc(head->ranges * sizeof *sorted);
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, head->range, head->ranges * sizeof *sorted);
	qsort(sorted, head->ranges, sizeof *sorted, by_place);
	for (size_t i = 1; i < head->ranges && r == 0; i++)
		if (sorted[i].g == sorted[i - 1].g && sorted[i].first <= sorted[i - 1].last)
			r = broken(reader, "header: number %" PRIu64 " of lane %u occurs in two ranges", sorted[i].first, sorted[i].g);
	free(sorted);
	return r;
}

int fr_head_read(struct sqlite3 *db, const char *line, struct fr_head *ret_head, char *why, size_t why_size)
{
	struct fr_head head = { 0 };
	struct reader reader = { db, line, &head, why, why_size };
	int r = read_scalars(&reader);

	if (r == 0)
		r = read_arrays(&reader);
	if (r == 0)
		r = check_ranges(&reader);
	if (r < 0) {
		fr_head_done(&head);
		return r;
	}
	*ret_head = head;
	return 0;
}

void fr_head_done(struct fr_head *head)
{
	free(head->host);
	free(head->agent);
	for (size_t i = 0; i < head->providers; i++)
		free(head->provider[i].name);
	for (size_t i = 0; i < head->kinds; i++)
		free(head->kind[i].name);
	for (size_t i = 0; i < head->processes; i++) {
		free(head->process[i].comm);
		free(head->process[i].cgroup);
	}
	for (size_t i = 0; i < head->sessions; i++)
		free(head->session[i]);
	free(head->range);
	free(head->lane);
	free(head->provider);
	free(head->kind);
	free(head->process);
	free(head->session);
	*head = (struct fr_head){ 0 };
}

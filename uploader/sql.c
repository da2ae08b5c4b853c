/* SPDX-License-Identifier: MIT */
/* sql.c - a person's own questions: any SELECT over the documented views; see index.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uploader/db.h"
#include "uploader/resolve.h"

/* Reading only: no ATTACH, no PRAGMA that changes anything, no table of one's own. */
static int allow(void *data, int action, const char *a, const char *b, const char *c, const char *d)
{
	(void)data;
	(void)b;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_FUNCTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_PRAGMA:
		return a && !strncmp(a, "table_", 6) ? SQLITE_OK : SQLITE_DENY; /* table_info and the like */
	default:
		return SQLITE_DENY;
	}
}

/* fr_fields(event_id): the event's fields as one JSON object. */
struct fields {
	struct fr_resolver *resolver;
	sqlite3_stmt *event;
};

static void sql_fields(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct fields *fields = sqlite3_user_data(context);
	struct fr_event event;
	size_t size;
	char *text;
	int r;

	if (count != 1 || sqlite3_value_type(values[0]) != SQLITE_INTEGER)
		return;
	sqlite3_bind_int64(fields->event, 1, sqlite3_value_int64(values[0]));
	r = fr_db_step(fields->event);
	if (r == 1 && (r = fr_resolve(fields->resolver, fields->event, &event)) == 0) {
		size = fr_event_json_fields(&event, NULL, 0);
		text = sqlite3_malloc64(size + 1);
		if (text) {
			fr_event_json_fields(&event, text, size + 1);
			sqlite3_result_text(context, text, (int)size, sqlite3_free);
		} else {
			sqlite3_result_error_nomem(context);
		}
	} else if (r < 0) {
		sqlite3_result_error(context, fr_index_strerror(r), -1);
	}
	sqlite3_reset(fields->event);
}

struct row {
	int columns;
	const char **names, **values;
	int *types;
	char **digits; /* allocated, of blobs */
};

static void row_done(struct row *row)
{
	for (int i = 0; row->digits && i < row->columns; i++)
		free(row->digits[i]);
	free(row->names);
	free(row->values);
	free(row->types);
	free(row->digits);
}

static int row_make(struct row *row, int columns)
{
	size_t count = (size_t)columns + 1;

	*row = (struct row){ .columns = columns };
	row->names = calloc(count, sizeof(*row->names));
	row->values = calloc(count, sizeof(*row->values));
	row->types = calloc(count, sizeof(*row->types));
	row->digits = calloc(count, sizeof(*row->digits));
	return row->names && row->values && row->types && row->digits ? 0 : -ENOMEM;
}

static int fill(struct row *row, sqlite3_stmt *statement)
{
	for (int i = 0; i < row->columns; i++) {
		int type = sqlite3_column_type(statement, i);

		row->names[i] = sqlite3_column_name(statement, i);
		row->types[i] = FR_SQL_TEXT;
		if (type == SQLITE_BLOB) {
			const uint8_t *bytes = sqlite3_column_blob(statement, i);
			size_t size = (size_t)sqlite3_column_bytes(statement, i);
			char *digits = realloc(row->digits[i], 2 * size + 1);

			if (!digits)
				return -ENOMEM;
			fr_hex(digits, bytes, size);
			row->values[i] = row->digits[i] = digits;
			continue;
		}
		row->values[i] = (const char *)sqlite3_column_text(statement, i);
		if (type == SQLITE_INTEGER || (type == SQLITE_FLOAT && row->values[i] && !strchr(row->values[i], 'n')))
			row->types[i] = FR_SQL_NUMBER; /* but not Inf */
	}
	return 0;
}

static int run(struct fr_index *index, const char *sql, fr_index_row each, void *data)
{
	FR_STMT statement = NULL;
	const char *tail = sql;
	struct row row;
	int r;

	while (*tail) {
		r = fr_db_error(sqlite3_prepare_v2(index->db, tail, -1, &statement, &tail));
		if (r < 0)
			return r;
		if (!statement)
			continue; /* a comment, or nothing */
		r = row_make(&row, sqlite3_column_count(statement));
		while (!r && (r = fr_db_step(statement)) == 1) {
			r = fill(&row, statement);
			if (!r)
				r = each(data, row.columns, row.names, row.values, row.types);
		}
		row_done(&row);
		if (r)
			return r;
		sqlite3_finalize(statement);
		statement = NULL;
	}
	return 0;
}

int fr_index_sql(struct fr_index *index, const char *sql, fr_index_row row, void *data, char **ret_error)
{
	struct fields fields = { 0 };
	int r = fr_resolver_new(index, &fields.resolver);

	if (!r)
		r = fr_db_prepare(index, "SELECT " FR_RESOLVE_COLUMNS " FROM event e WHERE e.id = ?", &fields.event);
	if (!r)
		r = fr_db_error(sqlite3_create_function(index->db, "fr_fields", 1, SQLITE_UTF8, &fields, sql_fields, NULL, NULL));
	if (!r) /* in schema temp, where an unqualified name is looked for first */
		r = fr_db_exec(index, "PRAGMA query_only=0; DROP VIEW IF EXISTS temp.events;"
				      "CREATE TEMP VIEW events AS SELECT e.*, fr_fields(e.event_id) AS fields FROM main.events e;"
				      "PRAGMA query_only=1");
	if (!r) {
		sqlite3_set_authorizer(index->db, allow, NULL);
		r = run(index, sql, row, data);
		if (r < 0 && ret_error)
			*ret_error = strdup(sqlite3_errmsg(index->db));
		sqlite3_set_authorizer(index->db, NULL, NULL);
	} else if (ret_error) {
		*ret_error = strdup(sqlite3_errmsg(index->db));
	}
	(void)fr_db_exec(index, "PRAGMA query_only=0; DROP VIEW IF EXISTS temp.events");
	if (index->flags & FR_INDEX_READ)
		(void)fr_db_exec(index, "PRAGMA query_only=1");
	sqlite3_create_function(index->db, "fr_fields", 1, SQLITE_UTF8, NULL, NULL, NULL, NULL);
	sqlite3_finalize(fields.event);
	fr_resolver_free(fields.resolver);
	return r;
}

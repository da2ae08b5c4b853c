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

	if (count != 1 || sqlite3_value_type(values[0]) != SQLITE_INTEGER)
		return;
	sqlite3_bind_int64(fields->event, 1, sqlite3_value_int64(values[0]));
	if (fr_db_step(fields->event) == 1 && fr_resolve(fields->resolver, fields->event, &event) == 0) {
		size = fr_event_json_fields(&event, NULL, 0);
		text = sqlite3_malloc64(size + 1);
		if (text) {
			fr_event_json_fields(&event, text, size + 1);
			sqlite3_result_text(context, text, (int)size, sqlite3_free);
		}
	}
	sqlite3_reset(fields->event);
}

static int run(struct fr_index *index, const char *sql, fr_index_row row, void *data)
{
	const char **names, **values;
	FR_STMT statement = NULL;
	int *types, columns, r;
	const char *tail = sql;

	while (*tail) {
		r = fr_db_error(sqlite3_prepare_v2(index->db, tail, -1, &statement, &tail));
		if (r < 0)
			return r;
		if (!statement)
			continue; /* a comment, or nothing */
		columns = sqlite3_column_count(statement);
		names = calloc((size_t)columns + 1, sizeof(*names));
		values = calloc((size_t)columns + 1, sizeof(*values));
		types = calloc((size_t)columns + 1, sizeof(*types));
		r = names && values && types ? 0 : -ENOMEM;
		while (!r && (r = fr_db_step(statement)) == 1) {
			for (int i = 0; i < columns; i++) {
				names[i] = sqlite3_column_name(statement, i);
				types[i] = sqlite3_column_type(statement, i);
				values[i] = (const char *)sqlite3_column_text(statement, i);
			}
			r = row(data, columns, names, values, types);
		}
		free(names);
		free(values);
		free(types);
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

/* SPDX-License-Identifier: MIT */
/* db.c - see db.h. */
#include "uploader/db.h"

#include <errno.h>
#include <string.h>

int fr_db_error(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_INTERRUPT:
		return -EINTR;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_IOERR:
		return -EIO;
	default:
		return -EINVAL;
	}
}

/* What the kernel said, where SQLite says only that it said no: a full disk is not a broken one. */
static int error_of(sqlite3 *db, int code)
{
	int primary = code & 0xff, error = 0;

	if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)
		error = sqlite3_system_errno(db);
	return error && error != ENOENT ? -error : fr_db_error(code);
}

int fr_db_exec(struct fr_index *index, const char *sql)
{
	return error_of(index->db, sqlite3_exec(index->db, sql, NULL, NULL, NULL));
}

int fr_db_prepare(struct fr_index *index, const char *sql, sqlite3_stmt **ret_statement)
{
	sqlite3_stmt *statement;
	int r = error_of(index->db, sqlite3_prepare_v2(index->db, sql, -1, &statement, NULL));

	if (!r)
		*ret_statement = statement;
	return r;
}

int fr_db_step(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	return code == SQLITE_ROW ? 1 : error_of(sqlite3_db_handle(statement), code);
}

int fr_db_run(sqlite3_stmt *statement)
{
	int code, r;

	do
		code = sqlite3_step(statement);
	while (code == SQLITE_ROW);
	r = error_of(sqlite3_db_handle(statement), code);
	sqlite3_reset(statement);
	return r;
}

int fr_db_int(struct fr_index *index, const char *sql, int64_t *ret_value)
{
	FR_STMT statement = NULL;
	int r = fr_db_prepare(index, sql, &statement);

	if (!r)
		r = fr_db_step(statement);
	if (r <= 0)
		return r ? r : -ENOENT;
	*ret_value = sqlite3_column_int64(statement, 0);
	return 0;
}

int fr_db_begin(struct fr_index *index)
{
	return fr_db_exec(index, "BEGIN IMMEDIATE");
}

int fr_db_commit(struct fr_index *index)
{
	int r = fr_db_exec(index, "COMMIT");

	if (r < 0)
		fr_db_rollback(index);
	return r;
}

void fr_db_rollback(struct fr_index *index)
{
	if (!sqlite3_get_autocommit(index->db))
		(void)fr_db_exec(index, "ROLLBACK");
}

int fr_db_progress(struct fr_index *index, const char *key, uint64_t *ret_value)
{
	FR_STMT statement = NULL;
	int r = fr_db_prepare(index, "SELECT value FROM progress WHERE key = ?", &statement);

	if (r < 0)
		return r;
	sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	r = fr_db_step(statement);
	if (r >= 0)
		*ret_value = r ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	return r < 0 ? r : 0;
}

int fr_db_set_progress(struct fr_index *index, const char *key, uint64_t value)
{
	FR_STMT statement = NULL;
	int r = fr_db_prepare(index, "INSERT OR REPLACE INTO progress VALUES (?, ?)", &statement);

	if (r < 0)
		return r;
	sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, (int64_t)value);
	return fr_db_run(statement);
}

void fr_db_id(sqlite3_stmt *statement, int column, uint8_t id[16])
{
	const void *blob = sqlite3_column_blob(statement, column);

	if (blob && sqlite3_column_bytes(statement, column) == 16)
		memcpy(id, blob, 16);
	else
		memset(id, 0, 16);
}

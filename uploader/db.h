/* SPDX-License-Identifier: MIT */
/*
 * db.h - what uploader/ shares about its database: the handle, prepared statements, errors.
 *
 * Owns: the translation between SQLite and the house (negative errno, cleanup). Only uploader/ includes this.
 *
 * LOCKING. Whoever may change the index holds STATE/index.lock (flock) from open to close: shared, as SQLite itself puts
 * writers in order, one transaction after the other; alone, while a damaged file is moved aside and made again, or a new
 * one is made to take its place. To go from one to the other gives the lock up in between: who has it again looks whether the file
 * is still the one. Readers take no lock of ours: they keep the file they opened. Every transaction looks at
 * what is there after it has begun, since another process may have done the same work meanwhile. What the file holds is
 * trial.h's.
 */
#ifndef UPLOADER_DB_H
#define UPLOADER_DB_H

#include <sqlite3.h>
#include <sys/types.h>

#include "recorder/core/paths.h"
#include "uploader/index.h"

#define FR_INDEX_VERSION 2 /* PRAGMA user_version in schemas/index.sql */
#define FR_INDEX_BUSY_MS 10000 /* how long one waits for another writer */

struct fr_index {
	sqlite3 *db;
	unsigned flags;
	int lock;		 /* of the writer; -1 for a reader */
	char state[FR_PATH_MAX];
	char path[FR_PATH_MAX];	 /* of the database */
	char note[256];
	dev_t dev;		 /* of the file that is open for writing */
	ino_t ino;
	bool aside;		 /* it is being made, and nobody else sees it */
	char *order;		 /* SQL that gives it what was put off until all events are in; or NULL */
	fr_index_at *at;	 /* whom to tell how far an update is, or NULL */
	void *at_ctx;
};

extern const char fr_index_schema[]; /* schemas/index.sql */

static inline void fr_finalize(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}
#define FR_STMT __attribute__((cleanup(fr_finalize))) sqlite3_stmt *

int fr_db_error(int code);				 /* SQLite's result as negative errno; 0 for good ones */
int fr_db_exec(struct fr_index *index, const char *sql); /* may be several statements */
int fr_db_prepare(struct fr_index *index, const char *sql, sqlite3_stmt **ret_statement);
int fr_db_step(sqlite3_stmt *statement);		 /* 1 a row, 0 done, or negative errno */
int fr_db_run(sqlite3_stmt *statement);			 /* steps to the end and resets */
int fr_db_int(struct fr_index *index, const char *sql, int64_t *ret_value); /* first column of first row; -ENOENT */

int fr_db_begin(struct fr_index *index);
int fr_db_commit(struct fr_index *index);
void fr_db_rollback(struct fr_index *index); /* does nothing when no transaction is open */

/* Progress of something, by name; 0 when never set. */
int fr_db_progress(struct fr_index *index, const char *key, uint64_t *ret_value);
int fr_db_set_progress(struct fr_index *index, const char *key, uint64_t value);

/* A number of a record as SQLite keeps it: above 2^63 - 1 it is cut, no honest one is. */
static inline int64_t fr_db_clamp(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static inline void fr_db_bind_or_null(sqlite3_stmt *statement, int at, int64_t value, bool there)
{
	if (there)
		sqlite3_bind_int64(statement, at, value);
	else
		sqlite3_bind_null(statement, at);
}

/* Text that may be NULL, as a C string. */
static inline const char *fr_db_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text ? text : "";
}

/* Copies a blob of exactly 16 bytes; anything else gives zeros. */
void fr_db_id(sqlite3_stmt *statement, int column, uint8_t id[16]);

#endif

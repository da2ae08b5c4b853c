/* SPDX-License-Identifier: MIT */
/* store.c - the collector's tables and the statements that fill them. */
#include "uploader/collector/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCHEMA_VERSION 1

static const char schema[] =
	"create table batches(row integer primary key, id blob not null unique, machine blob not null, database blob not null,"
	" boot blob not null, boot_seq integer not null, host text not null, agent text not null, created_ns integer not null,"
	" received_ns integer not null, events integer not null, deliveries integer not null, body blob not null);"
	"create table lanes(row integer primary key, machine blob not null, ring blob not null, lane integer not null,"
	" boot blob not null, unique(machine, ring, lane));"
	"create table kinds(row integer primary key, guid blob not null, provider text not null, name text not null,"
	" level integer not null, keywords integer not null, unique(guid, provider, name, level, keywords));"
	"create table processes(row integer primary key, machine blob not null, boot blob not null, pid integer not null,"
	" ppid integer not null, uid integer not null, gid integer not null, start_ns integer not null, comm text not null,"
	" cgroup text not null, unique(machine, boot, pid, start_ns, comm, ppid, uid, gid, cgroup));"
	"create table events(lane integer not null references lanes, seq integer not null, time_ns integer not null,"
	" kind integer not null references kinds, process integer not null references processes, tid integer not null,"
	" cpu integer, session text, fields text not null, batch integer not null references batches,"
	" primary key(lane, seq)) without rowid;"
	"create view event as select lower(hex(l.machine)) machine, lower(hex(l.boot)) boot, lower(hex(l.ring)) ring, l.lane, e.seq,"
	" e.time_ns, k.provider, k.name, k.level, k.keywords, p.pid, e.tid, p.comm, p.cgroup, e.cpu, e.session, e.fields"
	" from events e join lanes l on l.row=e.lane join kinds k on k.row=e.kind join processes p on p.row=e.process;"
	"pragma user_version=1;";

enum statement { KNOWN, DELIVERED, BEGIN, COMMIT, ROLLBACK, BATCH, LANE, KIND, PROCESS, EVENT, STATS, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[KNOWN] = "select body, events from batches where id=?1",
	[DELIVERED] = "update batches set deliveries=deliveries+1 where id=?1",
	[BEGIN] = "begin immediate",
	[COMMIT] = "commit",
	[ROLLBACK] = "rollback",
	[BATCH] = "insert into batches(id, machine, database, boot, boot_seq, host, agent, created_ns, received_ns, events,"
		  " deliveries, body) values(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,1,?11) returning row",
	[LANE] = "insert into lanes(machine, ring, lane, boot) values(?1,?2,?3,?4)"
		 " on conflict do update set lane=excluded.lane returning row",
	[KIND] = "insert into kinds(guid, provider, name, level, keywords) values(?1,?2,?3,?4,?5)"
		 " on conflict do update set level=excluded.level returning row",
	[PROCESS] = "insert into processes(machine, boot, pid, ppid, uid, gid, start_ns, comm, cgroup)"
		    " values(?1,?2,?3,?4,?5,?6,?7,?8,?9) on conflict do update set pid=excluded.pid returning row",
	[EVENT] = "insert or ignore into events(lane, seq, time_ns, kind, process, tid, cpu, session, fields, batch)"
		  " values(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
	[STATS] = "select (select count(distinct machine) from batches), count(*), total(deliveries), total(events),"
		  " (select count(*) from events), total(length(body)) from batches",
};

struct fr_store {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENTS];
	char error[256];
};

static int failed(struct fr_store *store)
{
	strncpy(store->error, sqlite3_errmsg(store->db), sizeof store->error - 1);
	return sqlite3_errcode(store->db) == SQLITE_FULL ? -ENOSPC : -EIO;
}

const char *fr_store_error(const struct fr_store *store)
{
	return store->error;
}

struct sqlite3 *fr_store_db(const struct fr_store *store)
{
	return store->db;
}

static int set_up(struct fr_store *store)
{
	sqlite3_stmt *stmt;
	int version;

	sqlite3_busy_timeout(store->db, 10000);
	if (sqlite3_exec(store->db, "pragma journal_mode=wal; pragma synchronous=full; pragma trusted_schema=off;", NULL, NULL,
			 NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(store->db, "pragma user_version", -1, &stmt, NULL) != SQLITE_OK)
		return failed(store);
	version = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : -1;
	sqlite3_finalize(stmt);
	if (version > SCHEMA_VERSION)
		return -EPROTONOSUPPORT;
	if (version == 0 && (sqlite3_exec(store->db, "begin immediate", NULL, NULL, NULL) != SQLITE_OK ||
			     sqlite3_exec(store->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
			     sqlite3_exec(store->db, "commit", NULL, NULL, NULL) != SQLITE_OK))
		return failed(store);
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statement[i], NULL) != SQLITE_OK)
			return failed(store);
	return 0;
}

int fr_store_open(const char *path, struct fr_store **ret_store)
{
	struct fr_store *store = calloc(1, sizeof *store);
	int r;

	if (!store)
		return -ENOMEM;
	*ret_store = store; /* also on failure: it knows why; the caller closes it */
	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return failed(store);
	r = set_up(store);
	return r;
}

void fr_store_close(struct fr_store *store)
{
	if (!store)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(store->statement[i]);
	sqlite3_close(store->db);
	free(store);
}

static int run(struct fr_store *store, enum statement which)
{
	sqlite3_stmt *stmt = store->statement[which];
	int r = sqlite3_step(stmt) == SQLITE_DONE ? 0 : failed(store);

	sqlite3_reset(stmt);
	return r;
}

/* An insert with "returning row". */
static int run_row(struct fr_store *store, enum statement which, int64_t *ret_row)
{
	sqlite3_stmt *stmt = store->statement[which];
	int r = sqlite3_step(stmt) == SQLITE_ROW ? 0 : failed(store);

	if (r == 0) {
		*ret_row = sqlite3_column_int64(stmt, 0);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			r = failed(store);
	}
	sqlite3_reset(stmt);
	return r;
}

static void id16(sqlite3_stmt *stmt, int i, const uint8_t id[16])
{
	sqlite3_bind_blob(stmt, i, id, 16, SQLITE_STATIC);
}

static void text(sqlite3_stmt *stmt, int i, const char *string)
{
	sqlite3_bind_text(stmt, i, string, -1, SQLITE_STATIC);
}

int fr_store_known(struct fr_store *store, const uint8_t id[16], const void *body, size_t size, uint64_t *ret_events)
{
	sqlite3_stmt *stmt = store->statement[KNOWN];
	int step, r = 0;

	id16(stmt, 1, id);
	step = sqlite3_step(stmt);
	if (step == SQLITE_ROW) {
		r = (size_t)sqlite3_column_bytes(stmt, 0) == size && memcmp(sqlite3_column_blob(stmt, 0), body, size) == 0
			    ? 1 : -EEXIST;
		*ret_events = (uint64_t)sqlite3_column_int64(stmt, 1);
	} else if (step != SQLITE_DONE) {
		r = failed(store);
	}
	sqlite3_reset(stmt);
	if (r == 1) {
		int counted;

		id16(store->statement[DELIVERED], 1, id);
		counted = run(store, DELIVERED);
		if (counted < 0)
			return counted;
	}
	return r;
}

int fr_store_begin(struct fr_store *store)
{
	return run(store, BEGIN);
}

void fr_store_rollback(struct fr_store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		run(store, ROLLBACK);
}

int fr_store_commit(struct fr_store *store)
{
	int r = run(store, COMMIT);

	if (r < 0)
		fr_store_rollback(store);
	return r;
}

int fr_store_batch(struct fr_store *store, const struct fr_store_batch *batch, int64_t *ret_row)
{
	sqlite3_stmt *stmt = store->statement[BATCH];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	id16(stmt, 1, batch->id);
	id16(stmt, 2, batch->machine);
	id16(stmt, 3, batch->database);
	id16(stmt, 4, batch->boot);
	sqlite3_bind_int64(stmt, 5, batch->boot_seq);
	text(stmt, 6, batch->host);
	text(stmt, 7, batch->agent);
	sqlite3_bind_int64(stmt, 8, batch->created_ns);
	sqlite3_bind_int64(stmt, 9, now.tv_sec * 1000000000ll + now.tv_nsec);
	sqlite3_bind_int64(stmt, 10, batch->events);
	sqlite3_bind_blob(stmt, 11, batch->body, (int)batch->body_size, SQLITE_STATIC);
	return run_row(store, BATCH, ret_row);
}

int fr_store_lane(struct fr_store *store, const struct fr_store_batch *batch, const uint8_t ring[16], int64_t lane, int64_t *ret_row)
{
	sqlite3_stmt *stmt = store->statement[LANE];

	id16(stmt, 1, batch->machine);
	id16(stmt, 2, ring);
	sqlite3_bind_int64(stmt, 3, lane);
	id16(stmt, 4, batch->boot);
	return run_row(store, LANE, ret_row);
}

int fr_store_kind(struct fr_store *store, const uint8_t guid[16], const char *provider, const char *name, int64_t level,
		  int64_t keywords, int64_t *ret_row)
{
	sqlite3_stmt *stmt = store->statement[KIND];

	id16(stmt, 1, guid);
	text(stmt, 2, provider);
	text(stmt, 3, name);
	sqlite3_bind_int64(stmt, 4, level);
	sqlite3_bind_int64(stmt, 5, keywords);
	return run_row(store, KIND, ret_row);
}

int fr_store_process(struct fr_store *store, const struct fr_store_batch *batch, const struct fr_store_process *process,
		     int64_t *ret_row)
{
	sqlite3_stmt *stmt = store->statement[PROCESS];

	id16(stmt, 1, batch->machine);
	id16(stmt, 2, batch->boot);
	sqlite3_bind_int64(stmt, 3, process->pid);
	sqlite3_bind_int64(stmt, 4, process->ppid);
	sqlite3_bind_int64(stmt, 5, process->uid);
	sqlite3_bind_int64(stmt, 6, process->gid);
	sqlite3_bind_int64(stmt, 7, process->start_ns);
	text(stmt, 8, process->comm);
	text(stmt, 9, process->cgroup);
	return run_row(store, PROCESS, ret_row);
}

int fr_store_event(struct fr_store *store, const struct fr_store_event *event, bool *ret_new)
{
	sqlite3_stmt *stmt = store->statement[EVENT];
	int r;

	sqlite3_bind_int64(stmt, 1, event->lane);
	sqlite3_bind_int64(stmt, 2, event->seq);
	sqlite3_bind_int64(stmt, 3, event->time_ns);
	sqlite3_bind_int64(stmt, 4, event->kind);
	sqlite3_bind_int64(stmt, 5, event->process);
	sqlite3_bind_int64(stmt, 6, event->tid);
	if (event->cpu < 0)
		sqlite3_bind_null(stmt, 7);
	else
		sqlite3_bind_int64(stmt, 7, event->cpu);
	sqlite3_bind_text(stmt, 8, event->session, -1, SQLITE_STATIC); /* NULL binds NULL */
	sqlite3_bind_text(stmt, 9, event->fields, (int)event->fields_size, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 10, event->batch);
	r = run(store, EVENT);
	if (r == 0)
		*ret_new = sqlite3_changes(store->db) > 0;
	return r;
}

int fr_store_stats(struct fr_store *store, struct fr_store_stats *ret_stats)
{
	sqlite3_stmt *stmt = store->statement[STATS];
	int r = sqlite3_step(stmt) == SQLITE_ROW ? 0 : failed(store);

	if (r == 0)
		*ret_stats = (struct fr_store_stats){
			.machines = sqlite3_column_int64(stmt, 0), .batches = sqlite3_column_int64(stmt, 1),
			.deliveries = sqlite3_column_int64(stmt, 2), .events = sqlite3_column_int64(stmt, 3),
			.unique = sqlite3_column_int64(stmt, 4), .bytes = sqlite3_column_int64(stmt, 5),
		};
	sqlite3_reset(stmt);
	return r;
}

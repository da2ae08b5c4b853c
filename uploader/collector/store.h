/* SPDX-License-Identifier: MIT */
/*
 * store.h - what the collector got, in SQLite: batches as they came, events once each.
 *
 * Owns: the database (WAL, synchronous=FULL: a commit that returned survives a power cut), its schema, and that an event
 * is there once however often it is sent. Belongs to one thread.
 */
#ifndef UPLOADER_COLLECTOR_STORE_H
#define UPLOADER_COLLECTOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sqlite3;
struct fr_store;

int fr_store_open(const char *path, struct fr_store **ret_store); /* -EPROTONOSUPPORT: a newer schema; -EIO: SQLite says why */
void fr_store_close(struct fr_store *store);
const char *fr_store_error(const struct fr_store *store); /* the last thing SQLite complained about */
struct sqlite3 *fr_store_db(const struct fr_store *store); /* for its JSON functions */

/* Is this batch here? 0 no, 1 with these bytes, -EEXIST with others; counts the delivery when it is. */
int fr_store_known(struct fr_store *store, const uint8_t id[16], const void *body, size_t size, uint64_t *ret_events);

/* One transaction a batch: begin, add ..., commit. Anything but a commit that returned 0 leaves nothing. */
int fr_store_begin(struct fr_store *store);
void fr_store_rollback(struct fr_store *store);
int fr_store_commit(struct fr_store *store);

struct fr_store_batch {
	uint8_t id[16], database[16], machine[16], boot[16];
	int64_t boot_seq, created_ns, events;
	const char *host, *agent;
	const void *body;
	size_t body_size;
};
int fr_store_batch(struct fr_store *store, const struct fr_store_batch *batch, int64_t *ret_row);

/* Each returns the row of what may be there already. */
int fr_store_lane(struct fr_store *store, const struct fr_store_batch *batch, const uint8_t ring[16], int64_t lane, int64_t *ret_row);
int fr_store_kind(struct fr_store *store, const uint8_t guid[16], const char *provider, const char *name, int64_t level,
		  int64_t keywords, int64_t *ret_row);
struct fr_store_process {
	int64_t pid, ppid, uid, gid, start_ns;
	const char *comm, *cgroup;
};
int fr_store_process(struct fr_store *store, const struct fr_store_batch *batch, const struct fr_store_process *process,
		     int64_t *ret_row);

struct fr_store_event {
	int64_t lane, seq, batch, time_ns, kind, process, tid;
	int64_t cpu;	      /* -1 unknown */
	const char *session;  /* NULL: in none */
	const char *fields;   /* JSON object */
	size_t fields_size;
};
int fr_store_event(struct fr_store *store, const struct fr_store_event *event, bool *ret_new);

struct fr_store_stats {
	int64_t machines, batches, deliveries; /* deliveries: of batches, with those that came again */
	int64_t events;			       /* as the batches count them */
	int64_t unique;			       /* as they are here */
	int64_t bytes;			       /* of bodies */
};
int fr_store_stats(struct fr_store *store, struct fr_store_stats *ret_stats);

#endif

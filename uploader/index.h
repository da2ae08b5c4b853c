/* SPDX-License-Identifier: MIT */
/*
 * index.h - STATE/index.db: what the spool holds, in a form that answers questions.
 *
 * Owns: the database's life (open, version, corruption, rebuild), ingest of sealed segments, and what has been sent.
 * The spool is the truth and the index is disposable: everything here can be made again from STATE/spool.
 * Only uploader/ links SQLite. All calls block; none is safe in a signal handler; an index belongs to one thread
 * and does not survive fork. Libraries are silent: what a person should hear is in fr_index_note().
 */
#ifndef UPLOADER_INDEX_H
#define UPLOADER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/core/decode.h"

struct fr_index;

enum fr_index_flags {
	FR_INDEX_READ = 1, /* only questions: never made, changed, migrated or rebuilt; -ENOENT when there is none */
};

/*
 * Opens STATE/index.db, and makes it when it is not there. An older schema, or a damaged file, is moved aside and
 * made again (fr_index_note() says so, and the next fr_index_update() ingests the spool). Errors: -EPROTONOSUPPORT
 * a newer schema; -ENOENT (READ); -EACCES it is there, and not for this user; -EBUSY another process writes
 * for more than 10 s; -EPERM it has to be made again, and is another user's; -EUCLEAN (READ) damaged or older; what open
 * says. *ret_index is untouched on failure.
 */
int fr_index_open(const char *state_dir, unsigned flags, struct fr_index **ret_index);
void fr_index_close(struct fr_index *index);
const char *fr_index_strerror(int error); /* why the last open failed, for a person */

/* One line a program should log once: "index.db was damaged, ..."; "" when there is nothing to say. */
const char *fr_index_note(const struct fr_index *index);

/* From now on an update tells how far it is: bytes of new segments, done and in all. */
typedef void fr_index_at(void *ctx, uint64_t done, uint64_t total);
void fr_index_tell(struct fr_index *index, fr_index_at *at, void *ctx);

struct fr_index_stats {
	uint64_t segments;	 /* ingested now */
	uint64_t segments_bad;	 /* unreadable, noted in table segments with their error, and left alone */
	uint64_t records;	 /* read from them */
	uint64_t events;	 /* of these: new */
	uint64_t duplicates;	 /* of these: known from another segment */
	uint64_t incidents;	 /* in all */
	uint64_t elapsed_ns;
};

/*
 * Ingests every sealed segment of the spool that is not yet in, forgets those that are gone, reads what was
 * acknowledged (spool/acks.log) and dropped (spool/retention.log), and works out losses and incidents again where
 * something changed. One transaction a segment: killed at any point and run again gives the same.
 */
int fr_index_update(struct fr_index *index, struct fr_index_stats *ret_stats);

/*
 * Makes the index anew from the whole spool; the new database replaces the old one when it is complete. `at` (may be
 * NULL): as above. Others who want to write wait meanwhile, up to 10 s. As above, and -EPERM: what is there is another user's.
 */
int fr_index_rebuild(const char *state_dir, fr_index_at *at, void *ctx, struct fr_index_stats *ret_stats);

/*
 * Any SQL over the documented views (schemas/index.sql), read only. `row` gets the columns as text (NULL:
 * SQL NULL; a blob: its hexadecimal digits) and stops the query by returning non-zero, which is handed back. *ret_error
 * (may be NULL) is a line to free().
 */
enum fr_sql_type { FR_SQL_TEXT = 0, FR_SQL_NUMBER };
typedef int (*fr_index_row)(void *data, int columns, const char *const *names, const char *const *values,
			    const int *types);
int fr_index_sql(struct fr_index *index, const char *sql, fr_index_row row, void *data, char **ret_error);

/* ------------------------------------------------------------------ what has been sent */

/*
 * Records [first, last] of one lane. As the uploader uses them every number in between is there: begin a new range
 * where a number is missing, so that a record that turns up later is still pending.
 */
struct fr_index_range {
	uint8_t ring_id[16];
	uint8_t boot_id[16];
	uint32_t lane;
	uint64_t first, last;
	uint64_t count;
};

enum fr_mark {
	FR_MARK_QUEUED = 1, /* in a batch that lies durably in the outbox */
	FR_MARK_ACKED = 2,  /* acknowledged by the endpoint; spool/acks.log has the evidence */
	FR_MARK_REFUSED = 3, /* the endpoint will never take it; lies in the outbox's quarantine, is not sent again */
};

/*
 * Events that no mark covers, ring by ring (oldest boot first), lane by lane, in order of seq. The event and what
 * it points to stay good until the next call. next: 1 an event, 0 no more, or a negative errno. While it is open other
 * calls on the same index are fine, and marks set meanwhile are not seen.
 */
struct fr_pending;
int fr_index_pending(struct fr_index *index, struct fr_pending **ret_pending);
int fr_pending_next(struct fr_pending *pending, struct fr_event *ret_event);
void fr_pending_close(struct fr_pending *pending);

/*
 * Marks ranges, in one durable transaction. Idempotent; ACKED and REFUSED are stronger than QUEUED. After a kill, and
 * after a rebuild, the uploader calls fr_index_forget_queued() and marks what really lies in the outbox again; what was
 * acknowledged is read from spool/acks.log by fr_index_update().
 */
int fr_index_mark(struct fr_index *index, const struct fr_index_range *ranges, size_t count, enum fr_mark mark);
int fr_index_forget_queued(struct fr_index *index);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * resolve.h - a row of the table event becomes a struct fr_event: names, identity, fields, wall clock.
 *
 * Owns: the caches between an event and what it refers to. They are of fixed size; their strings are bounded by
 * the format. What a resolver hands out stays good until its next call.
 */
#ifndef UPLOADER_RESOLVE_H
#define UPLOADER_RESOLVE_H

#include "uploader/db.h"

/* What a statement that feeds a resolver has to select, in this order, from `event e`. */
#define FR_RESOLVE_COLUMNS                                                                                  \
	"e.id, e.boot, e.time, e.descriptor, e.tid, e.cpu, e.session, e.thread, e.process, e.flags, e.lag," \
	" e.payload"
enum { FR_RESOLVE_ID, FR_RESOLVE_BOOT, FR_RESOLVE_TIME, FR_RESOLVE_DESCRIPTOR, FR_RESOLVE_TID, FR_RESOLVE_CPU,
       FR_RESOLVE_SESSION, FR_RESOLVE_THREAD, FR_RESOLVE_PROCESS, FR_RESOLVE_FLAGS, FR_RESOLVE_LAG, FR_RESOLVE_PAYLOAD };

/* Such a row, taken out of its statement; the payload is still the statement's. */
struct fr_row {
	int64_t id, boot, time, lag, descriptor, thread, process; /* 0: NULL */
	uint32_t tid;
	uint16_t cpu, session, flags;
	const void *payload;
	uint32_t payload_size;
};
void fr_row_read(sqlite3_stmt *statement, struct fr_row *row);

struct fr_resolver;

int fr_resolver_new(struct fr_index *index, struct fr_resolver **ret_resolver);
void fr_resolver_free(struct fr_resolver *resolver);
/* What the event points to is the resolver's, but for the payload, which stays the row's. */
int fr_resolve_row(struct fr_resolver *resolver, const struct fr_row *row, struct fr_event *ret_event);
int fr_resolve(struct fr_resolver *resolver, sqlite3_stmt *statement, struct fr_event *ret_event);

/* Wall clock of an instant of a boot (its row), 0 unknown: by the last anchor before it, else by the first. */
int fr_resolve_real_ns(struct fr_resolver *resolver, int64_t boot, uint64_t boot_ns, uint64_t *ret_real_ns);

#endif

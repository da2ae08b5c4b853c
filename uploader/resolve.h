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

struct fr_resolver;

int fr_resolver_new(struct fr_index *index, struct fr_resolver **ret_resolver);
void fr_resolver_free(struct fr_resolver *resolver);
int fr_resolve(struct fr_resolver *resolver, sqlite3_stmt *row, struct fr_event *ret_event);

/* Wall clock of an instant of a boot (its row), 0 unknown: by the last anchor before it, else by the first. */
uint64_t fr_resolve_real_ns(struct fr_resolver *resolver, int64_t boot, uint64_t boot_ns);

/* The row of the process that this event speaks of, as of the last fr_resolve(). */
int64_t fr_resolved_process(const struct fr_resolver *resolver);
int64_t fr_resolved_ring(const struct fr_resolver *resolver);

#endif

/* SPDX-License-Identifier: MIT */
/* event.h - the event lines of a batch, checked and stored: the table "Events" of schemas/WIRE.md. */
#ifndef UPLOADER_COLLECTOR_EVENT_H
#define UPLOADER_COLLECTOR_EVENT_H

#include "uploader/collector/head.h"
#include "uploader/collector/store.h"

/*
 * Stores batch, tables and events within the transaction that is open. `lines`: as many terminated strings as
 * head->events says, back to back, each known to be JSON. -EPROTO: a rule does not hold, *ret_line and `why` say
 * where and which; else what the store says. *ret_new: events that were not here before.
 */
int fr_events_store(struct fr_store *store, const struct fr_store_batch *batch, const struct fr_head *head, const char *lines,
		    uint64_t *ret_new, uint64_t *ret_line, char *why, size_t why_size);

#endif
